// Opening: the engine is loaded, the storage opened and read, and the store put together; or all of it is let go again.

import { RevkvError } from './errors.js'
import type { Find } from './load/compile.js'
import { lockOf } from './lock.js'
import { Medium, newCore, newIncarnation } from './medium.js'
import { Sentinel } from './sentinel.js'
import { checkOpen } from './settings.js'
import { EngineStore } from './store.js'
import type { OpenOptions, Store } from './types.js'
import { type Core, loadEngine } from './wasm.js'
import { readReady } from './wire.js'

/** `open` of an entry that finds the engine by `find`. */
export async function openWith<V>(find: Find, options?: OpenOptions<V>): Promise<Store<V>> {
  // It may fail before anybody waits for it, or when nobody has to.
  Promise.resolve(options?.wasm).catch(() => {})
  const { name, storage, durability, retention, maxBytes, form, wasm, signal } = checkOpen<V>(options)
  signal?.throwIfAborted()
  await loadEngine(wasm ?? find)
  signal?.throwIfAborted()
  if (!storage) return new EngineStore({ name, core: newCore(0, maxBytes).start(), durability, retention }, form)

  const lock = await lockOf(storage, name, signal)
  let medium: Medium | undefined
  try {
    medium = await Medium.open(storage, name, maxBytes, signal)
    const sentinel = Sentinel.of(storage, name)
    const core = await claim(medium, sentinel, signal)
    return new EngineStore({ name, core, durability, retention, medium, lock, sentinel }, form)
  } catch (e) {
    await medium?.close()
    await lock?.release()
    throw e
  }
}

/** Openers that come at once claim the storage one after the other; one who loses this often has met a busy writer. */
const claimRetriesMax = 3

/**
 * An engine that holds all there is and whose epoch the storage has taken: whoever had it open before writes no more.
 * The claim is refused when someone has written since it was read, for then what was read is not all there is.
 */
async function claim(medium: Medium, sentinel: Sentinel | undefined, signal: AbortSignal | undefined): Promise<Core> {
  for (let retries = 0; ; retries++) {
    let core: Core | undefined
    try {
      core = await medium.recover({ signal })
      core.start()
      if (sentinel?.compare(core)) core.call((engine) => engine.renew(newIncarnation()))
      const opening = core.call((engine) => engine.takeReady())
      if (opening) {
        const { through, ...batch } = readReady(opening)
        try {
          await medium.write(batch, 'relaxed')
        } catch (e) {
          const isFull = RevkvError.is(e) && e.code === 'QUOTA_EXCEEDED'
          if (!isFull || core.call((engine) => engine.revision) === 1) throw e
          await unclaimed(core, medium, sentinel, signal)
          return core
        }
        core.call((engine) => engine.persisted(through))
      }
      signal?.throwIfAborted()
      return core
    } catch (e) {
      core?.free()
      if (retries === claimRetriesMax || !RevkvError.is(e) || e.code !== 'NOT_LEADER') throw e
    }
  }
}

/**
 * There is no room for a claim: the engine goes back to what is stored, and can be read and backed up. Its first write
 * claims the storage, once there is room, and is refused like one of a deposed writer if another has written since.
 */
async function unclaimed(
  core: Core,
  medium: Medium,
  sentinel: Sentinel | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await medium.reopen()
  const found = (await medium.recover({ signal, beside: core })).start()
  core.adopt(found, (engine, found) => engine.rewind(found))
  if (sentinel?.compare(core)) core.call((engine) => engine.renew(newIncarnation()))
}
