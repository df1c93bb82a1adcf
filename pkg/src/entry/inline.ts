// `revkv/inline`: the engine is inside the JavaScript, so that there is no second file. For single-file bundles, pages
// without a server, and hosts that serve nothing but scripts.

import { compileInlined } from '../load/inlined.js'
import { openWith } from '../open.js'
import type { OpenOptions, Store } from '../types.js'

export * from '../surface.js'

export function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  return openWith(compileInlined, options)
}
