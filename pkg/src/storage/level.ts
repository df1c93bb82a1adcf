// Any database of the Level family as a medium.

import { RevkvError, storageError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'
import { judged, type Keys, keysOf, type Meta } from './keys.js'
import { inTurn } from './turns.js'

/** What is used of an abstract-level database. */
export interface LevelDatabase {
  open(): Promise<void>
  get(key: string, options: LevelEncodings): Promise<Uint8Array | undefined>
  batch(operations: LevelOperation[], options: LevelEncodings & { sync: boolean }): Promise<void>
  iterator(options: LevelEncodings & { gte: string; lt: string }): AsyncIterable<[string, Uint8Array]>
  readonly supports?: { readonly permanence?: boolean }
}

/** Keys are text, values bytes; every call says so. */
export interface LevelEncodings {
  keyEncoding: 'utf8'
  valueEncoding: 'view'
}

/** One of a batch. */
export type LevelOperation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

const maxBlobBytes = 256 * 1024
const encodings: LevelEncodings = { keyEncoding: 'utf8', valueEncoding: 'view' }

/**
 * Keeps stores in a Level database, beside whatever else is in it, under keys that begin with "revkv/". "strict" is a batch
 * with `sync: true`; what that is worth is the database's word: classic-level flushes its log. The database stays open
 * when a store is closed.
 *
 * @example
 * const store = await open({ name: 'notes', storage: level(new ClassicLevel('./data')) })
 */
export function level(db: LevelDatabase): StorageAdapter {
  return {
    name: 'level',
    maxBlobBytes,
    supports: { strict: true, persistent: db.supports?.permanence === true, sharedByTabs: false },
    async open(database, signal) {
      signal?.throwIfAborted()
      try {
        await db.open()
      } catch (e) {
        throw opening(e)
      }
      return new LevelHandle(db, database)
    },
  }
}

class LevelHandle implements StorageHandle {
  readonly #db: LevelDatabase
  readonly #database: string
  readonly #keys: Keys
  #closed = false

  constructor(db: LevelDatabase, database: string) {
    this.#db = db
    this.#database = database
    this.#keys = keysOf(database)
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    this.#checkOpen()
    const { blobs, blobsEnd } = this.#keys
    try {
      // An iterator reads one state of the database, whatever is written meanwhile.
      for await (const [key, bytes] of this.#db.iterator({ ...encodings, gte: blobs, lt: blobsEnd })) {
        yield { id: key.slice(blobs.length), bytes }
      }
    } catch (e) {
      throw storageError(e)
    }
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    this.#checkOpen()
    await inTurn(this.#db, this.#database, async () => {
      try {
        const meta = judged(await this.#meta(), batch, maxBlobBytes)
        const { meta: metaKey, blobs } = this.#keys
        const operations: LevelOperation[] = [
          // Always written, so that a batch without blobs is a flush too.
          { type: 'put', key: metaKey, value: new TextEncoder().encode(JSON.stringify(meta)) },
          ...batch.put.map(({ id, bytes }) => ({ type: 'put' as const, key: blobs + id, value: bytes })),
          ...batch.delete.map((id) => ({ type: 'del' as const, key: blobs + id })),
        ]
        await this.#db.batch(operations, { ...encodings, sync: durability === 'strict' })
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

  async #meta(): Promise<Meta> {
    try {
      const bytes = await this.#db.get(this.#keys.meta, encodings)
      if (bytes) return JSON.parse(new TextDecoder().decode(bytes)) as Meta
    } catch (e) {
      // The older ones of the family throw where the newer give undefined.
      if (codeOf(e) !== 'LEVEL_NOT_FOUND') throw e
    }
    return { epoch: 0, head: '' }
  }

  #checkOpen(): void {
    if (this.#closed) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }
}

/** A database that another process has open says so only as the cause. */
function opening(e: unknown): RevkvError {
  const locked = codeOf(e) === 'LEVEL_LOCKED' || codeOf((e as { cause?: unknown } | null)?.cause) === 'LEVEL_LOCKED'
  if (!locked) return storageError(e)
  return new RevkvError('STORAGE_BLOCKED', 'The database is open in another process; close it there.', { cause: e })
}

function codeOf(e: unknown): unknown {
  return (e as { code?: unknown } | null)?.code
}
