// What is left of a damaged database.

import { invalidArgument, RevkvError } from './errors.js'
import { lockOf } from './lock.js'
import { Medium } from './medium.js'
import { checkOpen } from './settings.js'
import { EngineStore } from './store.js'
import type { Loss, OpenOptions, Salvaged } from './types.js'
import { loadEngine } from './wasm.js'
import { readLosses } from './wire.js'

export type { Loss, Salvaged } from './types.js'

/**
 * Reads a database that `open` refuses with `CORRUPT`: everything that verifies, in a store that is kept in memory only,
 * and what does not. The database is not written to. Errors: those of `open`, but for `CORRUPT` and `EVICTED`.
 *
 * @example
 * const { store, lost } = await salvage({ name: 'notes', storage: indexedDb() })
 * const bytes = await store.backup().bytes()
 */
export async function salvage<V = unknown>(options: OpenOptions<V>): Promise<Salvaged<V>> {
  const { name, storage, form, wasm, signal } = checkOpen<V>(options)
  if (!storage) throw invalidArgument('storage: expected a storage adapter, such as indexedDb().')
  signal?.throwIfAborted()
  await loadEngine(wasm)
  const lock = await lockOf(storage, name, signal)
  try {
    const medium = await Medium.open(storage, name, 0, signal)
    try {
      const lost: Loss[] = []
      const core = await medium.recover({ signal, refused: (error) => lost.push(unread(error)) })
      lost.push(...readLosses(core.call((engine) => engine.salvage())))
      return { store: new EngineStore<V>({ name, core, form, durability: 'memory' }), lost }
    } finally {
      await medium.close()
    }
  } finally {
    await lock?.release()
  }
}

/** A blob that cannot be read at all does not say which revisions it holds. */
function unread(error: unknown): Loss {
  if (!RevkvError.is(error) || (error.code !== 'CORRUPT' && error.code !== 'UNSUPPORTED_FORMAT')) throw error
  return { what: error.message }
}
