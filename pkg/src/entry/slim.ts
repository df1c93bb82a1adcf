// `revkv/slim`: without an engine; the caller brings it.

import { find } from '../load/given.js'
import { openWith } from '../open.js'
import type { OpenOptions, Store } from '../types.js'

export * from '../surface.js'

/** The options of `open`, of which `wasm` is not one that can be left out. */
export type SlimOptions<V = unknown> = OpenOptions<V> & Required<Pick<OpenOptions<V>, 'wasm'>>

/**
 * As `open` of `revkv`, which documents it, with the engine given. Errors: those, and `INVALID_ARGUMENT` without `wasm`.
 *
 * @example
 * import wasm from './revkv.wasm' // compiled by the platform
 * const store = await open({ wasm })
 */
export function open<V = unknown>(options: SlimOptions<V>): Promise<Store<V>> {
  return openWith(find, options)
}
