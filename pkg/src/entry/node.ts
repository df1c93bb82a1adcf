// `revkv` where there is a file system: Node, Bun, Deno.

import { find } from '../load/file.js'
import { openWith } from '../open.js'
import type { OpenOptions, Store } from '../types.js'

export * from '../surface.js'

export function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  return openWith(find, options)
}
