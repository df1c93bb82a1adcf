// What is left of a damaged database.

import { invalidArgument, RevkvError } from './errors.js'
import type { Find } from './load/compile.js'
import { lockOf } from './lock.js'
import { Medium } from './medium.js'
import { checkOpen } from './settings.js'
import { EngineStore } from './store.js'
import type { Loss, OpenOptions, Salvaged } from './types.js'
import { loadEngine } from './wasm.js'
import { readLosses } from './wire.js'

/** `salvage` of an entry that finds the engine by `find`. */
export async function salvageWith<V>(find: Find, options: OpenOptions<V>): Promise<Salvaged<V>> {
  const { name, storage, form, wasm, signal } = checkOpen<V>(options)
  if (!storage) throw invalidArgument('storage: expected a storage adapter, such as indexedDb().')
  signal?.throwIfAborted()
  await loadEngine(wasm ?? find)
  const lock = await lockOf(storage, name, signal)
  try {
    const medium = await Medium.open(storage, name, 0, signal)
    try {
      const lost: Loss[] = []
      const core = await medium.recover({ signal, refused: (error) => lost.push(unread(error)) })
      lost.push(...readLosses(core.call((engine) => engine.salvage())))
      return { store: new EngineStore<V>({ name, core, durability: 'memory' }, form), lost }
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
