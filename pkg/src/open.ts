// Opening: the engine is loaded, the storage opened and read, and the store put together; or all of it is let go again.

import * as args from './arguments.js'
import { isWellFormed, json } from './codecs.js'
import type { Form } from './entry.js'
import { invalidArgument, RevkvError } from './errors.js'
import { takeLock } from './lock.js'
import { Medium, newCore, newIncarnation } from './medium.js'
import { Sentinel } from './sentinel.js'
import { EngineStore } from './store.js'
import type { Codec, Durability, OpenOptions, StorageAdapter, Store } from './types.js'
import { type Core, checkSource, loadEngine } from './wasm.js'
import { readReady } from './wire.js'

interface Settings<V> {
  name: string
  storage: StorageAdapter | undefined
  durability: Durability
  form: Form<V>
  wasm: OpenOptions['wasm']
  signal: AbortSignal | undefined
}

/**
 * Loads the engine, recovers what the storage holds, and is ready to read. Importing the package does no work.
 * Errors: `STORAGE_BLOCKED` (another tab has it open), `NOT_LEADER` (another keeps writing to it), `STORAGE_LOST`,
 * `CORRUPT` (salvage reads what is left), `EVICTED` (the browser has thrown something away; opening again goes on with
 * what there is), `UNSUPPORTED_FORMAT`, `CSP`, `ENGINE_FAILED`.
 *
 * @example
 * const store = await open<Note>({ name: 'notes', storage: indexedDb() })
 */
export async function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  // It may fail before anybody waits for it, or when nobody has to.
  Promise.resolve(options?.wasm).catch(() => {})
  const { name, storage, durability, form, wasm, signal } = checkOpen<V>(options)
  signal?.throwIfAborted()
  await loadEngine(wasm)
  signal?.throwIfAborted()
  if (!storage) return new EngineStore({ name, core: newCore(0).start(), form, durability })

  const lock = await lockOf(storage, name, signal)
  let medium: Medium | undefined
  try {
    medium = await Medium.open(storage, name, signal)
    const sentinel = Sentinel.of(storage, name)
    const core = await claim(medium, sentinel, signal)
    return new EngineStore({ name, core, form, durability, medium, lock, sentinel })
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
    const core = await medium.recover(signal)
    try {
      core.start()
      if (sentinel?.compare(core)) core.call((engine) => engine.renew(newIncarnation()))
      const opening = core.call((engine) => engine.takeReady())
      if (opening) {
        const { through, ...batch } = readReady(opening)
        await medium.write(batch, 'relaxed')
        core.call((engine) => engine.persisted(through))
      }
      signal?.throwIfAborted()
      return core
    } catch (e) {
      core.free()
      if (retries === claimRetriesMax || !RevkvError.is(e) || e.code !== 'NOT_LEADER') throw e
    }
  }
}

export function lockOf(storage: StorageAdapter, name: string, signal: AbortSignal | undefined) {
  return storage.supports.sharedByTabs && hasLocks() ? takeLock(name, signal) : undefined
}

function hasLocks(): boolean {
  return typeof navigator === 'object' && navigator.locks !== undefined
}

const openOptions = ['name', 'storage', 'durability', 'values', 'keys', 'wasm', 'signal']

export function checkOpen<V>(options: OpenOptions<V> | undefined): Settings<V> {
  const given = args.options(options, openOptions, 'open')
  return {
    name: checkName(given.name ?? 'revkv'),
    storage: checkStorage(given.storage),
    durability: args.durability(given.durability) ?? 'strict',
    form: {
      values: checkCodec<V>(given.values ?? json),
      keys: args.oneOf(given.keys, ['utf8', 'bytes'], 'keys') ?? 'utf8',
    },
    wasm: checkSource(given.wasm),
    signal: args.abortSignal(given.signal),
  }
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || name === '') throw invalidArgument('name: expected text that is not empty.')
  if (!isWellFormed(name)) throw invalidArgument('name: may not contain a lone surrogate.')
  return name
}

function checkStorage(storage: unknown): StorageAdapter | undefined {
  if (storage === undefined) return undefined
  const adapter = storage as Partial<StorageAdapter> | null
  if (typeof adapter?.open !== 'function' || typeof (adapter.supports ?? 0) !== 'object') {
    throw invalidArgument('storage: expected a storage adapter, such as memory() or indexedDb().')
  }
  if (!Number.isSafeInteger(adapter.maxBlobBytes) || (adapter.maxBlobBytes as number) < 1) {
    throw invalidArgument('storage: maxBlobBytes has to be a positive integer.')
  }
  return adapter as StorageAdapter
}

function checkCodec<V>(codec: unknown): Codec<V> {
  const { encode, decode } = (codec ?? {}) as Partial<Codec<V>>
  if (typeof encode === 'function' && typeof decode === 'function') return codec as Codec<V>
  throw invalidArgument('values: expected a codec with encode and decode, such as json, utf8 or bytes.')
}
