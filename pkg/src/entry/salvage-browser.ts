// `revkv/salvage` where there is a page or a worker of one, and wherever no other entry is meant.

import { find } from '../load/browser.js'
import { salvageWith } from '../salvage.js'
import type { OpenOptions, Salvaged } from '../types.js'

export type { Loss, Salvaged } from '../types.js'

/**
 * Reads a database that `open` refuses with `CORRUPT`: everything that verifies, in a store that is kept in memory only,
 * and what does not. The database is not written to. Errors: those of `open`, but for `CORRUPT` and `EVICTED`.
 *
 * @example
 * const { store, lost } = await salvage({ name: 'notes', storage: indexedDb() })
 * const bytes = await store.backup().bytes()
 */
export function salvage<V = unknown>(options: OpenOptions<V>): Promise<Salvaged<V>> {
  return salvageWith(find, options)
}
