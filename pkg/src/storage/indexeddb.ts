// The browser's database as a medium. The version of its schema is 1 for ever, because an upgrade waits without an end
// for a frozen tab; formats are told apart by what is in the blobs.

import { type DBSchema, type IDBPDatabase, openDB, unwrap } from 'idb'
import { RevkvError, storageError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'

interface Schema extends DBSchema {
  blobs: { key: string; value: Uint8Array }
  meta: { key: 'epoch'; value: number }
}

type Database = IDBPDatabase<Schema>

/** Chromium keeps values from about 64 KiB on as files of their own, which fail in ways of their own. */
const maxBlobBytes = 48 * 1024
/** Blobs read at once: 3 MiB at most in flight, and few enough requests that reading is bound by the disk. */
const pageBlobs = 64
/** The first open of a session has been seen to hang and the next one to succeed at once. */
const openMsMax = 5000
const openTries = 2

/**
 * Keeps a store in IndexedDB, as the database `revkv:<name>`. Tabs of one origin see the same one.
 *
 * @example
 * const store = await open({ name: 'notes', storage: indexedDb() })
 */
export function indexedDb(): StorageAdapter {
  return {
    name: 'indexeddb',
    maxBlobBytes,
    supports: { strict: true, persistent: true, sharedByTabs: true },
    async open(database, signal) {
      signal?.throwIfAborted()
      if (typeof indexedDB === 'undefined') throw new RevkvError('STORAGE_LOST', 'IndexedDB is not available here.')
      return new IndexedDbHandle(await connect(`revkv:${database}`, signal))
    },
  }
}

async function connect(name: string, signal: AbortSignal | undefined): Promise<Database> {
  for (let tries = 1; tries <= openTries; tries++) {
    const db = await withinDeadline(openDatabase(name), signal)
    if (db) return db
  }
  throw new RevkvError(
    'STORAGE_BLOCKED',
    `IndexedDB did not open "${name}" within ${(openTries * openMsMax) / 1000} s.`,
  )
}

async function openDatabase(name: string): Promise<Database> {
  try {
    return await openDB<Schema>(name, 1, {
      upgrade(db) {
        db.createObjectStore('blobs')
        db.createObjectStore('meta')
      },
      // Someone deletes the database: they must not wait for this tab. The next write fails and says so.
      blocking: (_from, _to, event) => (event.target as IDBDatabase).close(),
    })
  } catch (e) {
    if (e instanceof Error && e.name === 'VersionError') {
      throw new RevkvError('UNSUPPORTED_FORMAT', `"${name}" was made by something newer.`, { cause: e })
    }
    throw storageError(e)
  }
}

/** The connection, or nothing when it takes too long; one that comes too late is closed again. */
function withinDeadline(opening: Promise<Database>, signal: AbortSignal | undefined): Promise<Database | undefined> {
  return new Promise((resolve, reject) => {
    let late = false
    const abort = () => {
      late = true
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      late = true
      resolve(undefined)
    }, openMsMax)
    signal?.addEventListener('abort', abort, { once: true })
    opening
      .then((db) => (late ? db.close() : resolve(db)), reject)
      .finally(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      })
  })
}

class IndexedDbHandle implements StorageHandle {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    let last: string | undefined
    for (;;) {
      const page = await this.#page(last)
      yield* page
      if (page.length < pageBlobs) return
      last = page.at(-1)?.id
    }
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    try {
      const tx = this.#db.transaction(['blobs', 'meta'], 'readwrite', { durability })
      const done = tx.done
      // Told below; without this an abort would also count as unhandled.
      done.catch(() => {})
      const stored = (await tx.objectStore('meta').get('epoch')) ?? 0
      if (batch.epoch < stored) {
        tx.abort()
        throw new RevkvError('NOT_LEADER', `Another tab has opened this database since (epoch ${stored}).`)
      }
      // The plain requests: their failures come as the transaction's, so a promise for each would only cost.
      const blobs = unwrap(tx.objectStore('blobs'))
      for (const { id, bytes } of batch.put) blobs.put(bytes, id)
      for (const id of batch.delete) blobs.delete(id)
      // Always written, so that a batch without blobs is a flush too.
      unwrap(tx.objectStore('meta')).put(batch.epoch, 'epoch')
      tx.commit()
      // Success of the requests is not success: a full disk shows only here.
      await done
    } catch (e) {
      throw storageError(e)
    }
  }

  async bytesUsed(): Promise<number> {
    let total = 0
    for await (const { bytes } of this.read()) total += bytes.length
    return total
  }

  async close(): Promise<void> {
    this.#db.close()
  }

  async #page(after: string | undefined): Promise<{ id: string; bytes: Uint8Array }[]> {
    try {
      const range = after === undefined ? undefined : IDBKeyRange.lowerBound(after, true)
      const { store } = this.#db.transaction('blobs')
      const [ids, blobs] = await Promise.all([store.getAllKeys(range, pageBlobs), store.getAll(range, pageBlobs)])
      return ids.map((id, i) => ({ id, bytes: blobs[i] as Uint8Array }))
    } catch (e) {
      throw storageError(e)
    }
  }
}
