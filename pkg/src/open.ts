// Opening: the engine is loaded, the storage opened and read, and the store put together; or all of it is let go again.

import * as args from './arguments.js'
import { copyBytes, isBytes, isWellFormed, json } from './codecs.js'
import type { Form } from './entry.js'
import { invalidArgument, RevkvError, storageError } from './errors.js'
import { takeLock } from './lock.js'
import { release, write } from './persist.js'
import { EngineStore } from './store.js'
import type { Codec, Durability, OpenOptions, StorageAdapter, StorageHandle, Store } from './types.js'
import { Core, checkSource, loadEngine } from './wasm.js'
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
 * `CORRUPT`, `UNSUPPORTED_FORMAT`, `CSP`, `ENGINE_FAILED`.
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

  const lock = storage.supports.sharedByTabs && hasLocks() ? await takeLock(name, signal) : undefined
  let handle: StorageHandle | undefined
  try {
    handle = await opened(storage, name, signal)
    const core = await claim(storage, checkHandle(handle), signal)
    return new EngineStore({ name, core, form, durability, handle, lock })
  } catch (e) {
    if (handle) await release(handle)
    await lock?.release()
    throw e
  }
}

function newCore(maxBlobBytes: number): Core {
  return new Core(crypto.getRandomValues(new Uint8Array(16)), maxBlobBytes)
}

async function opened(storage: StorageAdapter, name: string, signal: AbortSignal | undefined): Promise<StorageHandle> {
  try {
    return await storage.open(name, signal)
  } catch (e) {
    throw signal?.aborted ? signal.reason : storageError(e)
  }
}

/** Openers that come at once claim the storage one after the other; one who loses this often has met a busy writer. */
const claimRetriesMax = 3

/**
 * An engine that holds all there is and whose epoch the storage has taken: whoever had it open before writes no more.
 * The claim is refused when someone has written since it was read, for then what was read is not all there is.
 */
async function claim(storage: StorageAdapter, handle: StorageHandle, signal: AbortSignal | undefined): Promise<Core> {
  for (let retries = 0; ; retries++) {
    const core = newCore(storage.maxBlobBytes)
    try {
      await recover(core, handle, signal)
      const opening = core.start().call((engine) => engine.takeReady())
      if (opening) {
        const ready = readReady(opening)
        await write(handle, { ready, durability: 'relaxed' })
        core.call((engine) => engine.persisted(ready.through))
      }
      signal?.throwIfAborted()
      return core
    } catch (e) {
      core.free()
      if (retries === claimRetriesMax || !RevkvError.is(e) || e.code !== 'NOT_LEADER') throw e
    }
  }
}

async function recover(core: Core, handle: StorageHandle, signal: AbortSignal | undefined): Promise<void> {
  try {
    for await (const blob of handle.read()) {
      signal?.throwIfAborted()
      const { id, bytes } = checkBlob(blob)
      core.call((engine) => engine.recover(id, bytes))
    }
  } catch (e) {
    throw signal?.aborted ? signal.reason : storageError(e)
  }
  signal?.throwIfAborted()
}

/** What a medium gives can be anything, and the engine's memory is no place to find out. */
function checkBlob(blob: unknown): { id: string; bytes: Uint8Array } {
  const { id, bytes } = (blob ?? {}) as Record<string, unknown>
  if (typeof id !== 'string') throw new RevkvError('CORRUPT', `A blob's id is no text but of type ${typeof id}.`)
  try {
    if (isBytes(bytes)) return { id, bytes: copyBytes(bytes) }
  } catch {
    // Of a buffer that was transferred: as good as none.
  }
  throw new RevkvError('CORRUPT', `Blob ${id} is no Uint8Array.`)
}

function hasLocks(): boolean {
  return typeof navigator === 'object' && navigator.locks !== undefined
}

const openOptions = ['name', 'storage', 'durability', 'values', 'keys', 'wasm', 'signal']

function checkOpen<V>(options: OpenOptions<V> | undefined): Settings<V> {
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

function checkHandle(handle: StorageHandle | undefined): StorageHandle {
  const has = (name: 'read' | 'write' | 'close') => typeof handle?.[name] === 'function'
  if (handle && has('read') && has('write') && has('close')) return handle
  throw invalidArgument('storage: its open gave no handle with read, write and close.')
}

function checkCodec<V>(codec: unknown): Codec<V> {
  const { encode, decode } = (codec ?? {}) as Partial<Codec<V>>
  if (typeof encode === 'function' && typeof decode === 'function') return codec as Codec<V>
  throw invalidArgument('values: expected a codec with encode and decode, such as json, utf8 or bytes.')
}
