// Opening: the engine is loaded, the storage opened and read, and the store put together; or all of it is let go again.

import { claim } from './claim.js'
import { RevkvError } from './errors.js'
import type { Find } from './load/compile.js'
import { Medium, newCore } from './medium.js'
import { Sentinel } from './sentinel.js'
import { checkOpen, type Settings } from './settings.js'
import { EngineStore } from './store.js'
import { broadcast, hasBroadcast } from './tabs/broadcast.js'
import { hasLocks } from './tabs/election.js'
import { Tab } from './tabs/tab.js'
import type { OpenOptions, StorageAdapter, Store, Transport } from './types.js'
import { loadEngine } from './wasm.js'

/** `open` of an entry that finds the engine by `find`. */
export async function openWith<V>(find: Find, options?: OpenOptions<V>): Promise<Store<V>> {
  // It may fail before anybody waits for it, or when nobody has to.
  Promise.resolve(options?.wasm).catch(() => {})
  const settings = checkOpen<V>(options)
  const { name, storage, durability, retention, maxBytes, form, wasm, signal } = settings
  signal?.throwIfAborted()
  await loadEngine(wasm ?? find)
  signal?.throwIfAborted()
  if (!storage) return new EngineStore({ name, core: newCore(0, maxBytes).start(), durability, retention }, form)
  const transport = transportOf(settings.tabs, storage)
  return transport ? openShared(settings, storage, transport) : openAlone(settings, storage)
}

/** How the tabs that share this storage hear of each other; none where it is not shared, or there is no telling who leads. */
function transportOf(tabs: Transport | false | undefined, storage: StorageAdapter): Transport | undefined {
  if (tabs === false || !storage.supports.sharedByTabs || !hasLocks()) return undefined
  return tabs ?? (hasBroadcast() ? broadcast() : undefined)
}

async function openAlone<V>(settings: Settings<V>, storage: StorageAdapter): Promise<Store<V>> {
  const { name, durability, retention, maxBytes, form, signal } = settings
  let medium: Medium | undefined
  try {
    medium = await Medium.open(storage, name, maxBytes, signal)
    const sentinel = Sentinel.of(storage, name)
    const core = await claim(medium, sentinel, { signal })
    return new EngineStore({ name, core, durability, retention, medium, sentinel }, form)
  } catch (e) {
    await medium?.close()
    throw e
  }
}

/** A tab begins with nothing, as a follower; it is open when it leads, or has everything from whoever does. */
async function openShared<V>(settings: Settings<V>, storage: StorageAdapter, transport: Transport): Promise<Store<V>> {
  const { name, durability, retention, maxBytes, form, signal } = settings
  const core = newCore(0, 0).start()
  const tab = new Tab({ core, name, storage, transport, maxBytes })
  const store = new EngineStore({ name, core, durability, retention, tab }, form)
  try {
    await tab.ready(signal)
    return store
  } catch (e) {
    await store.close().catch(() => {})
    throw RevkvError.is(e) || signal?.aborted
      ? e
      : new RevkvError('STORAGE_LOST', 'The store could not be opened.', { cause: e })
  }
}
