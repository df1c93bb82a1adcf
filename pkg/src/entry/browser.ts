// `revkv` where there is a page or a worker of one, and wherever no other entry is meant.

import { find } from '../load/browser.js'
import { openWith } from '../open.js'
import type { OpenOptions, Store } from '../types.js'

/**
 * Loads the engine, recovers what the storage holds, and is ready to read. Importing the package does no work.
 * Errors: `STORAGE_BLOCKED` (another has it, and does not share it), `NOT_LEADER` (another keeps writing to it), `STORAGE_LOST`,
 * `CORRUPT` (salvage reads what is left), `EVICTED` (the browser has thrown something away; opening again goes on with
 * what there is), `UNSUPPORTED_FORMAT`, `CSP`, `ENGINE_FAILED`.
 *
 * @example
 * const store = await open<Note>({ name: 'notes', storage: indexedDb() })
 */
export function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  return openWith(find, options)
}
