// The storage of a Durable Object as a medium.

import { invalidArgument, RevkvError, storageError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'
import { judged, type Keys, keysOf, type Meta } from './keys.js'
import { inTurn } from './turns.js'

/** What is used of `ctx.storage`. */
export interface DurableObjectStorage {
  get(key: string): Promise<unknown>
  put(entries: Record<string, unknown>): Promise<void>
  delete(keys: string[]): Promise<number>
  list(options: { prefix: string; startAfter?: string; limit: number }): Promise<Map<string, unknown>>
  sync(): Promise<void>
}

/** The platform takes 128 keys a call, 2 KiB of key and, where objects are not on SQLite, 128 KiB of value; local ones do not mind. */
const keysMax = 128
const keyBytesMax = 2048
const maxBlobBytes = 96 * 1024
/** Blobs read at once: an object has 128 MB of memory in all. */
const pageBlobs = 64
/** An id and what is in front of it. */
const idBytesMax = 64 + 'blob/'.length

/**
 * Keeps a store in a Durable Object, beside whatever else is in it, under keys that begin with "revkv/". "strict" is `sync()`.
 * "relaxed" is what the platform does of itself: what the object sends is held back until what it wrote is on disk.
 *
 * @example
 * const store = await open({ name: 'notes', storage: durableObject(ctx.storage), wasm })
 */
export function durableObject(storage: DurableObjectStorage): StorageAdapter {
  return {
    name: 'durable-object',
    maxBlobBytes,
    supports: { strict: true, persistent: true, sharedByTabs: false },
    async open(database, signal) {
      signal?.throwIfAborted()
      const keys = keysOf(database)
      if (keys.meta.length + idBytesMax > keyBytesMax) throw invalidArgument('name: too long for a key.')
      return new DurableObjectHandle(storage, database, keys)
    },
  }
}

class DurableObjectHandle implements StorageHandle {
  readonly #storage: DurableObjectStorage
  readonly #database: string
  readonly #keys: Keys
  #closed = false

  constructor(storage: DurableObjectStorage, database: string, keys: Keys) {
    this.#storage = storage
    this.#database = database
    this.#keys = keys
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    this.#checkOpen()
    const { blobs } = this.#keys
    let head: string | undefined
    try {
      for (let after = {}; ; ) {
        // Asked for in one turn, so that they are of one state.
        const [page, meta] = await Promise.all([
          this.#storage.list({ prefix: blobs, limit: pageBlobs, ...after }),
          this.#meta(),
        ])
        if (meta.head !== (head ??= meta.head)) {
          throw new RevkvError('NOT_LEADER', 'Another store has written to this database while it was read.')
        }
        for (const [key, bytes] of page) yield { id: key.slice(blobs.length), bytes: bytes as Uint8Array }
        if (page.size < pageBlobs) return
        after = { startAfter: [...page.keys()].at(-1) }
      }
    } catch (e) {
      throw storageError(e)
    }
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    this.#checkOpen()
    await inTurn(this.#storage, this.#database, async () => {
      try {
        const before = await this.#meta()
        await this.#put(judged(before, batch, maxBlobBytes), batch)
        if (durability === 'strict') await this.#storage.sync()
      } catch (e) {
        throw storageError(e)
      }
    })
  }

  async bytesUsed(): Promise<number> {
    let total = 0
    for await (const { bytes } of this.read()) total += bytes.length
    return total
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  /** Calls between which nothing is awaited are one batch to the platform, all or nothing. */
  #put(meta: Meta, batch: StorageBatch): Promise<unknown> {
    const { meta: metaKey, blobs } = this.#keys
    // A copy, for what is stored of a view is its whole buffer.
    const entries: [string, unknown][] = batch.put.map(({ id, bytes }) => [blobs + id, bytes.slice()])
    entries.push([metaKey, meta])
    const gone = batch.delete.map((id) => blobs + id)
    return Promise.all([
      ...slices(entries).map((some) => this.#storage.put(Object.fromEntries(some))),
      ...slices(gone).map((some) => this.#storage.delete(some)),
    ])
  }

  async #meta(): Promise<Meta> {
    return ((await this.#storage.get(this.#keys.meta)) as Meta | undefined) ?? { epoch: 0, head: '' }
  }

  #checkOpen(): void {
    if (this.#closed) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }
}

/** As many as one call may have. */
function slices<T>(all: T[]): T[][] {
  const count = Math.ceil(all.length / keysMax)
  return Array.from({ length: count }, (_, i) => all.slice(keysMax * i, keysMax * (i + 1)))
}
