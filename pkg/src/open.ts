// Opening: the engine is loaded, the storage opened and read, and the store put together; or all of it is let go again.

import * as args from './arguments.js'
import { isWellFormed, json } from './codecs.js'
import type { Form } from './entry.js'
import { invalidArgument, storageError } from './errors.js'
import { takeLock } from './lock.js'
import { EngineStore } from './store.js'
import type { Codec, Durability, OpenOptions, StorageAdapter, StorageHandle, Store } from './types.js'
import { Core, loadEngine } from './wasm.js'

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
 * Errors: `STORAGE_BLOCKED` (another tab has it open), `STORAGE_LOST`, `CORRUPT`, `UNSUPPORTED_FORMAT`, `CSP`, `ENGINE_FAILED`.
 *
 * @example
 * const store = await open<Note>({ name: 'notes', storage: indexedDb() })
 */
export async function open<V = unknown>(options?: OpenOptions<V>): Promise<Store<V>> {
  const { name, storage, durability, form, wasm, signal } = checkOpen<V>(options)
  signal?.throwIfAborted()
  await loadEngine(wasm)
  signal?.throwIfAborted()

  const lock = storage?.supports.sharedByTabs && hasLocks() ? await takeLock(name, signal) : undefined
  let handle: StorageHandle | undefined
  let core: Core | undefined
  try {
    handle = storage && (await opened(storage, name, signal))
    core = new Core(crypto.getRandomValues(new Uint8Array(16)), storage?.maxBlobBytes ?? 0)
    if (handle) await recover(core, handle, signal)
    core.call((engine) => engine.start())
    return new EngineStore({ name, core, form, durability, handle, lock })
  } catch (e) {
    core?.free()
    await handle?.close().catch(() => {})
    await lock?.release()
    throw e
  }
}

async function opened(storage: StorageAdapter, name: string, signal: AbortSignal | undefined): Promise<StorageHandle> {
  try {
    return await storage.open(name, signal)
  } catch (e) {
    throw signal?.aborted ? signal.reason : storageError(e)
  }
}

async function recover(core: Core, handle: StorageHandle, signal: AbortSignal | undefined): Promise<void> {
  const blobs = handle.read()[Symbol.asyncIterator]()
  for (;;) {
    const next = await blobs.next().catch((e: unknown) => {
      throw storageError(e)
    })
    signal?.throwIfAborted()
    if (next.done) return
    core.call((engine) => engine.recover(next.value.id, next.value.bytes))
  }
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
    wasm: given.wasm as OpenOptions['wasm'],
    signal: args.abortSignal(given.signal),
  }
}

function checkName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && isWellFormed(name)) return name
  throw invalidArgument('name: expected text that is not empty.')
}

function checkStorage(storage: unknown): StorageAdapter | undefined {
  if (storage === undefined) return undefined
  const adapter = storage as Partial<StorageAdapter> | null
  if (typeof adapter?.open !== 'function' || typeof adapter.supports !== 'object') {
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
