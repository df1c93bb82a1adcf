// Opening claims the storage: whoever had it open before writes no more.

import { RevkvError } from './errors.js'
import { type Medium, newIncarnation } from './medium.js'
import type { Sentinel } from './sentinel.js'
import type { Core } from './wasm.js'
import { readReady } from './wire.js'

/** Openers that come at once claim the storage one after the other; one who loses this often has met a busy writer. */
const claimRetriesMax = 3

/**
 * An engine that holds all there is and whose epoch the storage has taken: whoever had it open before writes no more.
 * With `beside`, one that another core can adopt; `accept` throws where what was found will not do. The claim is refused when someone has written since it was read, for then what was read is not all there is.
 */
export async function claim(
  medium: Medium,
  sentinel: Sentinel | undefined,
  how: { signal?: AbortSignal | undefined; beside?: Core; accept?: (found: Core) => void } = {},
): Promise<Core> {
  const { signal } = how
  for (let retries = 0; ; retries++) {
    let core: Core | undefined
    try {
      core = await medium.recover(how)
      core.start()
      how.accept?.(core)
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
