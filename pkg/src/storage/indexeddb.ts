// The browser's database as a medium. The version of its schema is 1 for ever, because an upgrade waits without an end
// for a frozen tab; formats are told apart by what is in the blobs.

import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, unwrap } from 'idb'
import { RevkvError, storageError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'

interface Schema extends DBSchema {
  blobs: { key: string; value: Uint8Array }
  /** No two of these may name the same writer: it is either the last one, or has been followed by another. */
  meta: { key: string; value: State | Pick<State, 'writer'>; indexes: { writers: number } }
}

/** What the store `meta` holds as `state`, written in each transaction that it tells of. */
interface State {
  /** The last writer's. */
  epoch: number
  /** The highest id ever put: that of the last blob there is, else something has taken it away. */
  head: string
  /** That blob has been deleted. */
  headless: boolean
  /** The number of the last writer: one more with each handle that begins to write. */
  writer?: number
}

const fresh: State = { epoch: 0, head: '', headless: false }

/** In `meta`, for ever or for long: the writer after whom another has begun to write. */
const followedBy = (writer: number) => `after ${writer}`
/** So many of those are kept. Whoever slept through more is stopped by the ids of blobs, but for a batch without any. */
const writersKept = 1000

type Database = IDBPDatabase<Schema>

/** Chromium keeps values from about 64 KiB on as files of their own, which fail in ways of their own. */
const maxBlobBytes = 48 * 1024
/** Blobs read at once, and again while they are looked at: 6 MiB at most, and few enough requests that reading is bound by the disk. */
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
  let isWiped = false
  try {
    const db = await openDB<Schema>(name, 1, {
      upgrade(db, _from, _to, _tx, event) {
        db.createObjectStore('blobs')
        db.createObjectStore('meta').createIndex('writers', 'writer', { unique: true })
        isWiped = (event as { dataLoss?: string }).dataLoss === 'total'
      },
      // Someone deletes the database: they must not wait for this tab. The next write fails and says so.
      blocking: (_from, _to, event) => (event.target as IDBDatabase).close(),
    })
    if (!isWiped || hasSentinel()) return db
    db.close()
  } catch (e) {
    throw openingError(name, e)
  }
  const advice = 'Opening it again begins anew.'
  throw new RevkvError('EVICTED', `The browser found its files damaged and wiped "${name}". ${advice}`)
}

/**
 * Chromium says of a database that it makes in the place of a damaged one that all is lost, once, whether this one was
 * among those or not. In a page the sentinel knows better; where there is none, it is all that is ever said.
 */
function hasSentinel(): boolean {
  return typeof document !== 'undefined'
}

function openingError(name: string, e: unknown): RevkvError {
  if (e instanceof Error && e.name === 'VersionError') {
    return new RevkvError('UNSUPPORTED_FORMAT', `"${name}" was made by something newer.`, { cause: e })
  }
  if (e instanceof Error && e.name === 'UnknownError') {
    // A file that all databases of the origin need is gone or damaged; not even deleting them works then.
    const advice = 'If that stays so, only clearing the data of this site helps; what it held is lost.'
    return new RevkvError('STORAGE_LOST', `The browser cannot open its database "${name}". ${advice}`, { cause: e })
  }
  return storageError(e)
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
  #closed = false
  /** What this handle has written last, if it has. */
  #last: Written | undefined

  constructor(db: Database) {
    this.#db = db
  }

  async *read(): AsyncGenerator<Blob> {
    this.#checkOpen()
    let before: string | undefined
    let last = ''
    let whole = true
    for await (const { blobs, head, headless } of this.#pages()) {
      // Each page is a transaction; what is written between two of them may have deleted what the first one held.
      if (head !== (before ??= head)) throw notLeader('while it was read')
      yield* blobs
      last = blobs.at(-1)?.id ?? last
      whole = !headless
    }
    if (last === before || !whole) return
    const name = this.#db.name
    throw new RevkvError('CORRUPT', `"${name}" has lost blobs: it ends with "${last}", and "${before}" was written.`)
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    this.#checkOpen()
    const large = batch.put.find(({ bytes }) => bytes.length > maxBlobBytes)
    if (large) throw new RevkvError('TOO_LARGE', `Blob ${large.id} is larger than ${maxBlobBytes} bytes.`)
    if (this.#last && (await this.#writeAtOnce(batch, durability, this.#last))) return
    await this.#writeChecked(batch, durability)
  }

  /**
   * As whoever has written last: all of it in one turn of the event loop, because a page that is frozen while its transaction
   * waits for it holds up all other tabs. `false`: somebody else has written since, and nothing is written.
   *
   * IndexedDB has one condition that it checks by itself: that what is to be unique is. So whoever begins to write leaves the
   * number of the writer before under a key of its own, and that one cannot write it as the last writer's any more.
   * (Adding and deleting a key in each batch, where there may be none, took half as long again.)
   */
  async #writeAtOnce(batch: StorageBatch, durability: 'relaxed' | 'strict', last: Written): Promise<boolean> {
    if (batch.epoch < last.epoch || batch.put.some(({ id }) => id <= last.head)) return false
    let isRefused = false
    try {
      const tx = this.#db.transaction(['blobs', 'meta'], 'readwrite', { durability })
      const done = tx.done
      // Told below; without this an abort would also count as unhandled.
      done.catch(() => {})
      // Before the transaction's own promise rejects, which at that moment does not know why.
      const refused = ({ target }: Event) => {
        isRefused ||= (target as IDBRequest).error?.name === 'ConstraintError'
      }
      unwrap(tx).addEventListener('error', refused, { capture: true })
      const state = put(tx, batch, last)
      tx.commit()
      // Success of the requests is not success: a full disk shows only here.
      await done
      this.#last = { ...state, writer: last.writer }
      return true
    } catch (e) {
      this.#last = undefined
      if (isRefused) return false
      throw storageError(e)
    }
  }

  async #writeChecked(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    try {
      const tx = this.#db.transaction(['blobs', 'meta'], 'readwrite', { durability })
      const done = tx.done
      done.catch(() => {})
      const meta = tx.objectStore('meta')
      const before = ((await meta.get('state')) as State | undefined) ?? fresh
      const { epoch, head, writer = 0 } = before
      if (batch.epoch < epoch || batch.put.some(({ id }) => id <= head)) {
        tx.abort()
        throw notLeader(`in epoch ${epoch}`)
      }
      const last = { ...put(tx, batch, { ...before, writer: writer + 1 }), writer: writer + 1 }
      unwrap(meta).put({ writer }, followedBy(writer))
      unwrap(meta).delete(followedBy(writer - writersKept))
      const isFenced = meta.indexNames.contains('writers')
      tx.commit()
      await done
      // A database that was made before there was such an index is asked each time.
      if (isFenced) this.#last = last
    } catch (e) {
      throw e instanceof Error && e.name === 'ConstraintError' ? notLeader('under the same id', e) : storageError(e)
    }
  }

  async bytesUsed(): Promise<number> {
    this.#checkOpen()
    let total = 0
    for await (const { blobs } of this.#pages()) for (const { bytes } of blobs) total += bytes.length
    return total
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#db.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }

  /** Each page is asked for while the one before is looked at. */
  async *#pages(): AsyncGenerator<Page> {
    try {
      for (let page = this.#page(undefined); ; ) {
        const { blobs, ...state } = await page
        const isLast = blobs.length < pageBlobs
        if (!isLast) {
          page = this.#page(blobs.at(-1)?.id)
          // Told when it is waited for, if anybody still does.
          page.catch(() => {})
        }
        yield { blobs, ...state }
        if (isLast) return
      }
    } catch (e) {
      throw storageError(e)
    }
  }

  async #page(after: string | undefined): Promise<Page> {
    const range = after === undefined ? undefined : IDBKeyRange.lowerBound(after, true)
    const tx = this.#db.transaction(['blobs', 'meta'])
    // Its requests tell.
    tx.done.catch(() => {})
    const store = tx.objectStore('blobs')
    const [ids, values, state] = await Promise.all([
      store.getAllKeys(range, pageBlobs),
      store.getAll(range, pageBlobs),
      tx.objectStore('meta').get('state') as Promise<State | undefined>,
    ])
    const { head, headless } = state ?? fresh
    return { blobs: ids.map((id, i) => ({ id, bytes: values[i] as Uint8Array })), head, headless }
  }
}

type Page = Pick<State, 'head' | 'headless'> & { blobs: Blob[] }

type Written = State & { writer: number }

type Blob = StorageBatch['put'][number]

type Writing = IDBPTransaction<Schema, ('blobs' | 'meta')[], 'readwrite'>

/** The requests of a batch, or none; `before` is what the storage held. Gives what it holds then. */
function put(tx: Writing, batch: StorageBatch, before: State): State {
  try {
    return request(tx, batch, before)
  } catch (e) {
    // A blob that cannot be copied: without this those before it would be written.
    tx.abort()
    throw e
  }
}

function request(tx: Writing, batch: StorageBatch, before: State): State {
  // The plain requests: their failures come as the transaction's, so a promise for each would only cost.
  const blobs = unwrap(tx.objectStore('blobs'))
  for (const { id, bytes } of batch.put) blobs.add(bytes, id)
  for (const id of batch.delete) blobs.delete(id)
  const head = batch.put.at(-1)?.id ?? before.head
  const headless = batch.delete.includes(head) || (batch.put.length === 0 && before.headless)
  const state = { ...before, epoch: batch.epoch, head, headless }
  // Always written, so that a batch without blobs is a flush too.
  unwrap(tx.objectStore('meta')).put(state, 'state')
  return state
}

function notLeader(how: string, cause?: unknown): RevkvError {
  return new RevkvError('NOT_LEADER', `Another tab has written to this database, ${how}.`, { cause })
}
