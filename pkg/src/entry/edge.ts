// `revkv` in Vercel's edge runtime.

import { find } from '../load/edge.js'
import { openWith } from '../open.js'
import type { OpenOptions, Store } from '../types.js'

export * from '../surface.js'

export function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  return openWith(find, options)
}
