/// <reference lib="esnext.disposable" preserve="true" />
// Every public type of the package, written once. The runtime rooms import their shapes from here and nowhere else.

import type { RevkvError } from './errors.js'

/**
 * A key is bytes; a string means its UTF-8. Keys are ordered by their bytes.
 * A string with a lone surrogate, or an empty key, is `INVALID_KEY`.
 */
export type Key = string | Uint8Array

/**
 * Keys in [start, end), inside `prefix` when given. `{}` is everything. `end` absent = to the last key.
 * An empty `prefix` or `start` is the same as none; an empty `end` is `INVALID_KEY`.
 * A range whose start is not before its end holds no keys: it lists and deletes nothing, and watching it is `INVALID_RANGE`.
 *
 * @example
 * store.list({ prefix: 'users/' })
 * store.list({ start: 'a', end: 'n' })
 */
export interface Range {
  prefix?: Key
  start?: Key
  end?: Key
}

/**
 * How values become bytes. Built in: `json` (default), `utf8`, `bytes`.
 * What `encode` throws reaches the writer as the `cause` of `INVALID_ARGUMENT`, and nothing is written;
 * what `decode` throws reaches the reader the same way. `decode` owns the bytes it is given.
 */
export interface Codec<V> {
  readonly name: string
  /** What is stored for a value. */
  encode(value: V): Uint8Array
  /** The value that was stored. */
  decode(bytes: Uint8Array): V
}

/**
 * When a write's promise resolves. "memory": when applied. "relaxed": when the medium has taken it.
 * "strict": when the medium was asked to flush it.
 */
export type Durability = 'memory' | 'relaxed' | 'strict'

/** How and where a store is opened; all of it may be left out. */
export interface OpenOptions<V = unknown> {
  /** Names the database. Tabs of one origin that open the same name in the same storage share it. Default "revkv". */
  name?: string
  /** Where it is kept. Without it nothing is kept, nothing outlives the store, and every write is durable at once. */
  storage?: StorageAdapter
  /**
   * Default for every write: "strict" unless given here. Writers that wait at the same time share one commit.
   */
  durability?: Durability
  /** Forgets history by itself, off the critical path. Absent = it is kept until `compact`. */
  retention?: Retention
  /**
   * The most that keys and history may be counted as: for a key 80 and its length, 16 for each change of it, 20 and the
   * lengths of key and value for each record. A write past it is `QUOTA_EXCEEDED`; deletes and compaction go on. 0 or
   * absent: no bound.
   */
  maxBytes?: number
  /** How values become bytes. Default `json`. */
  values?: Codec<V>
  /** What `Entry.key` is: text (default; a key that is not UTF-8 shows with U+FFFD in it) or bytes. */
  keys?: 'utf8' | 'bytes'
  /**
   * A compiled module, bytes, URL or Response, where the default way of finding the .wasm does not suit.
   * The engine is loaded once; the first `open` decides from where.
   */
  wasm?: WebAssembly.Module | BufferSource | URL | string | Response | Promise<Response>
  /**
   * How the tabs that have this database open hear of each other; without it by broadcast channels. `false`: they do not, and
   * whoever opens it last has it, the others' writes are `NOT_LEADER`. Only storages that tabs share have a use for it.
   */
  tabs?: Transport | false
  /** Aborting while the store opens rejects with the signal's reason; an open store is not touched by it. */
  signal?: AbortSignal
}

/**
 * How much history is kept, by as many of these as are given: what one of them lets go of is forgotten, whatever the others
 * say. The newest revision always stays, and what snapshots hold. Up to an eighth more is kept, or a sixteenth of `bytes`,
 * so that forgetting, which passes over every key, is not done all the time; it begins about a tenth of a second after a
 * write. A watch that is further behind than this ends with `COMPACTED`, or goes on by `onCompacted`.
 *
 * @example
 * const store = await open({ retention: { revisions: 1000, ageMs: 24 * 3600_000 } })
 */
export interface Retention {
  /** So many of the newest revisions stay readable; at least 1. */
  revisions?: number
  /**
   * What the store held within so many milliseconds stays readable. When revisions were made is known only while the store
   * is open: what it held when it was opened counts as made then.
   */
  ageMs?: number
  /**
   * While keys and history are counted as more, as by `maxBytes`, the older half of history goes. Below `maxBytes`, or
   * writes are refused before anything is forgotten.
   */
  bytes?: number
}

/** How a namespace is seen. */
export interface NamespaceOptions<V> {
  /** How its values become bytes. As in the store it is of, unless given. */
  values?: Codec<V>
  keys?: 'utf8' | 'bytes'
}

/** One key as it was at one revision. */
export interface Entry<V> {
  /** Text, or a Uint8Array when opened with keys: "bytes". */
  readonly key: string
  /** Decoded on first access, then kept. Undefined in a list with `keysOnly`. */
  readonly value: V
  /** The stored value, a copy. */
  readonly bytes: Uint8Array
  /** The revision that began the key's current life. */
  readonly createRevision: number
  /** The revision of its last change. */
  readonly modRevision: number
  /** Counts the puts of the current life, from 1. */
  readonly version: number
  /** 0n = none. */
  readonly lease: bigint
  /** The same fields as plain data; the lease as decimal text, since JSON has no bigint. */
  toJSON(): object
}

/**
 * A versioned key-value store: each write makes one revision, and every revision stays readable until `compact`.
 * Reads are synchronous and throw; writes are promises and reject. Every failure is a `RevkvError` (or the reason of your own signal).
 *
 * @example
 * const store = await open({ name: 'notes', storage: indexedDb() })
 * const { revision } = await store.put('notes/1', { text: 'first' })
 * await store.put('notes/1', { text: 'second' })
 * store.get('notes/1')                  // { text: 'second' }
 * store.get('notes/1', { revision })    // { text: 'first' }
 */
export interface Store<V = unknown> extends EventTarget, AsyncDisposable {
  readonly name: string
  /** The newest revision visible here. A fresh store is at 1; the first write makes 2. */
  readonly revision: number
  /** Reads below this fail with `COMPACTED`. 0 = never compacted. */
  readonly compactRevision: number
  /** Every revision up to here is in the storage at the durability asked for. */
  readonly durableRevision: number
  /**
   * "leader" writes to the storage; "follower" has a replica of it, and writes through whoever leads; "alone" shares with
   * nobody.
   */
  readonly role: 'leader' | 'follower' | 'alone'

  // Reads: synchronous, from memory, a consistent cut at one revision.

  /**
   * The value of a key, undefined where absent.
   *
   * Values read by text keys and not from the past are kept decoded, one or two thousand of them: until its key is written,
   * the same key gives the same object, to everybody who asks. Treat it as read-only: whoever changes it changes what the
   * others see. (Not so with the codec `bytes`, of which each read gives a copy.)
   */
  get(key: Key, options?: ReadOptions): V | undefined
  /** The key with its value, revisions, version and lease. */
  entry(key: Key, options?: ReadOptions): Entry<V> | undefined
  /** Aligned with `keys`; undefined where absent. */
  getMany(keys: Iterable<Key>, options?: ReadOptions): (V | undefined)[]
  /**
   * The entries of a range, in key order unless `sortBy` says otherwise.
   *
   * @example
   * for (const entry of store.list({ prefix: 'users/' }, { limit: 20, reverse: true })) show(entry.key, entry.value)
   */
  list(range?: Range, options?: ListOptions): ListResult<V>
  /** How many keys the range has at that revision. */
  count(range?: Range, options?: ReadOptions): number
  /** Every retained change of the target, oldest first, deletions included. from..to inclusive; 0 or absent = the oldest kept, and now. */
  history(target: Key | Range, options?: HistoryOptions): Change<V>[]

  /** What differs in a range between two revisions (`to` 0 or absent: now), in key order. Errors: `COMPACTED`, `FUTURE_REVISION`. */
  diff(range: Range, from: number, to?: number): Difference<V>[]
  /**
   * Reads pinned to one revision (0 or absent: now); compaction keeps what they need until the snapshot is disposed of. It
   * costs next to nothing. Errors: `COMPACTED`, `FUTURE_REVISION`.
   *
   * @example
   * using then = store.snapshot()
   * for (const entry of then.list({ prefix: 'users/' })) await send(entry.key, then.get(entry.key))
   */
  snapshot(revision?: number): Snapshot<V>

  // Writes: one revision each; the promise resolves at the durability asked for, and by then it can be read here. Where this
  // tab leads, or is alone, it is applied before the call returns; where it follows, when whoever leads has stored it.
  // One for which the storage has no room is taken back. When the storage has failed for good, nothing more is written:
  // what was applied stays visible until the store is opened again, and reads go on from memory.

  /**
   * Sets a key. Errors: `INVALID_KEY`, `INVALID_ARGUMENT` (the codec refused the value), `LEASE_NOT_FOUND`,
   * `KEY_NOT_FOUND`, `VALUE_PROVIDED` and `LEASE_PROVIDED` (the ignore options), `TOO_LARGE`, `QUOTA_EXCEEDED`.
   *
   * @example
   * await store.put('session/9', { user: 'ada' }, { ttlSeconds: 60 })
   */
  put(key: Key, value: undefined, options: PutOptions & { ignoreValue: true }): Promise<PutResult<V>>
  /** The same with a value. */
  put(key: Key, value: V, options?: PutOptions): Promise<PutResult<V>>
  /**
   * Sets any number of keys in one revision, all with the same options; a `ttlSeconds` is of one lease for all of them. No
   * entries are no revision. Up to 32 MiB at once. Errors: those of `put`, and `DUPLICATE_KEY` for a key given twice.
   *
   * @example
   * await store.putMany([['users/ada', { born: 1815 }], ['users/alan', { born: 1912 }]])
   * await store.putMany(Object.entries(settings))
   */
  putMany(entries: Iterable<readonly [Key, V]>, options?: PutManyOptions): Promise<WriteResult>
  /** Removes a key, or every key of a range; deleting what is absent is no error and makes no revision. */
  delete(target: Key | Range, options?: WriteOptions & { prevEntries?: boolean }): Promise<DeleteResult<V>>
  /**
   * etcd's Txn as plain data: all `if` hold → `then`, else → `else`. One revision. An error applies nothing.
   *
   * @example
   * const { ok } = await store.txn({
   *   if: [{ key: 'lock', version: 0 }],
   *   then: [{ put: ['lock', 'mine'] }],
   *   else: [{ get: 'lock' }],
   * })
   */
  txn(request: TxnRequest<V>, options?: WriteOptions): Promise<TxnResult<V>>
  /**
   * Sets a key if it has the value `expected`, as the codec encodes it; undefined = the key must be absent.
   *
   * @example
   * const { ok } = await store.compareAndSet('lock', undefined, 'mine')
   */
  compareAndSet(
    key: Key,
    expected: V | undefined,
    value: V,
    options?: PutManyOptions,
  ): Promise<{ ok: boolean; revision: number }>
  /**
   * Runs `body` on the newest revision and commits what it writes as one revision, if by then nothing it has read was
   * written by others: not a key, nor one that was absent, nor any key of a range it has listed or counted (with whatever
   * limit). Else runs it again, up to `retries` times (10 unless given), and then fails with `CONFLICT`. So a body has no
   * effects but by its transaction. It may await; what it throws ends the transaction without a trace. A body that writes
   * nothing never conflicts, as all it reads is of one revision. An aborted `signal` ends it at once.
   *
   * @example
   * const left = await store.transact((tx) => {
   *   const stock = tx.get('stock/tea') ?? 0
   *   if (stock === 0) throw new Error('sold out')
   *   tx.put('stock/tea', stock - 1)
   *   return stock - 1
   * })
   */
  transact<T>(body: (tx: Transaction<V>) => T | Promise<T>, options?: WriteOptions & { retries?: number }): Promise<T>
  /**
   * Puts a range back to how it was at `revision`, as one ordinary write, which can be undone in the same way: values come
   * back, what was not there is deleted, keys keep the lease they have now. Errors: `COMPACTED`, `FUTURE_REVISION`.
   */
  restoreTo(range: Range, revision: number, options?: WriteOptions): Promise<WriteResult>
  /**
   * Forgets history before `revision`, which stays readable. Resolves when the storage has let go of it too.
   * What `on` listeners have coming is delivered first. Errors: `COMPACTED`, `FUTURE_REVISION`.
   */
  compact(revision: number): Promise<void>
  /** The same number for the same history, equal to what etcd's HashKV gives for it. */
  hash(revision?: number): { hash: number; revision: number; compactRevision: number }
  /**
   * Everything at one revision, checksummed, with all that is kept of its history unless `history` is false; leases are
   * those there are now. It is cut at the call: its size is known, and what is written afterwards is not in it. Its bytes are
   * made as they are read; from the first to the last, compaction removes nothing. Where compaction has removed something
   * of it before, or a lease was granted or has ended, reading it fails with `COMPACTED`; where the content was replaced,
   * with `RESTORED`. Errors: `COMPACTED`, `FUTURE_REVISION`.
   *
   * @example
   * const backup = store.backup()
   * await fetch(url, { method: 'PUT', body: backup.stream(), headers: { 'content-length': String(backup.size) } })
   */
  backup(options?: BackupOptions): Backup
  /**
   * Replaces the content by a backup, after the whole of it has been checked; a bad one changes nothing. Watches end with
   * `RESTORED`. Errors: `CORRUPT`, `UNSUPPORTED_FORMAT`.
   */
  restore(source: ReadableStream<Uint8Array> | Uint8Array): Promise<void>
  /**
   * The log: the transactions after revision `from`, oldest first and whole, at most `max` (0 or absent: any number) and
   * about 256 KiB, but at least one. With them travels what became of leases. `to` below the store's revision: there is more.
   * Errors: `COMPACTED` when some of them are gone, `FUTURE_REVISION` beyond the newest revision.
   *
   * @example
   * await replica.applyChanges(store.changes(replica.revision))
   */
  changes(from: number, options?: { max?: number }): ChangeSet
  /**
   * Applies another store's log with its own revisions; gives the store's revision. Transactions that are here already are
   * compared and skipped. A store that nothing was written to becomes a replica; whatever else is written to a replica,
   * the end of a lease included, makes another history of it. What is refused changes nothing.
   * Errors: `GAP` (ask for the changes after `revision`), `DIVERGED` and `REVISION_NOT_FOUND` (another history: start from a
   * backup), `CORRUPT`, `UNSUPPORTED_FORMAT`, `QUOTA_EXCEEDED`.
   */
  applyChanges(changes: ChangeSet): Promise<number>
  /** Resolves when everything written so far is durable ("strict" unless given); gives the durable revision. */
  sync(options?: { durability?: 'relaxed' | 'strict'; signal?: AbortSignal }): Promise<number>

  // Watch.

  /**
   * Every change of the target, in order, whole revisions, from `from` (inclusive; 0 or absent = from now on).
   * Where it starts is settled by the call; nothing is buffered for a slow reader but its place in the history.
   *
   * @example
   * // `durable`, because `saved` outlives the page: after a failure of the storage it must not be ahead of it.
   * for await (const batch of store.watch({ prefix: 'users/' }, { from: saved + 1, durable: true })) {
   *   for (const change of batch.changes) apply(change)
   *   saved = batch.revision
   * }
   */
  watch(target: Key | Range, options?: WatchOptions): Watch<V>
  /**
   * The callback form. A listener may read, write, cancel or throw; one that throws is reported and does not stop the others.
   * Batches arrive in a microtask after the write that caused them.
   */
  on(
    target: Key | Range,
    listener: (batch: WatchBatch<V>) => void,
    options?: WatchOptions & { onError?: (error: RevkvError) => void },
  ): Unsubscribe

  /**
   * The value of a function of the store, run again when something it has read through `view` has changed, absent keys and
   * ranges included. All reads of a run are at one revision. Nothing runs before its value is asked for; without
   * subscribers it holds nothing in the store.
   *
   * @example
   * const open = store.live((view) => view.count({ prefix: 'todo/' }))
   * const unsubscribe = open.subscribe(() => show(open.value))
   * show(open.value)
   */
  live<T>(query: (view: ReadView<V>) => T): Live<T>

  // Leases.

  /** A lease that lives `ttlSeconds` (1 to 9,000,000,000) from each keep-alive. `id` is chosen at random unless given. Errors: `LEASE_EXISTS`. */
  grant(ttlSeconds: number, options?: { id?: bigint }): Promise<Lease>
  /** The lease with this id, undefined when there is none (any more). */
  lease(id: bigint): Lease | undefined
  /** Ids of all leases, ascending. */
  leases(): bigint[]

  /**
   * The same store seen through a key prefix, with its own codec: its keys are those that begin so, shown without the
   * prefix. It costs nothing to make and need not be closed. Revisions, `compact`, `sync`, `hash`, `backup`, `restore`,
   * `stats`, leases (but for their keys) and events are those of the store; a lease that ends takes its keys in every
   * namespace. `close` of a namespace ends its watches and live queries, and those of namespaces made from it, and waits
   * until what was written is in the storage; the store stays open.
   *
   * @example
   * const users = store.namespace<User>('users/')
   * await users.put('ada', { name: 'Ada' })   // the key users/ada
   */
  namespace<W = V>(prefix: Key, options?: NamespaceOptions<W>): Store<W>

  /** How much there is and how it has been used. It costs about as much as a read. */
  stats(): StoreStats

  /**
   * Flushes, releases the storage and the engine. May be called twice. Afterwards everything is `CLOSED`.
   * Rejects, with all released, when something that was applied could not be written: with what the storage failed with.
   */
  close(): Promise<void>

  addEventListener<T extends keyof StoreEventMap>(
    type: T,
    listener: (event: StoreEventMap[T]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
  removeEventListener<T extends keyof StoreEventMap>(
    type: T,
    listener: (event: StoreEventMap[T]) => void,
    options?: boolean | EventListenerOptions,
  ): void
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void
}

/** The events of a store, each a CustomEvent. */
export interface StoreEventMap {
  /** `role` has changed. A store that shares with nobody has one role for life. */
  role: CustomEvent<{ role: Store['role'] }>
  /** The storage has taken everything up to `revision`. Never sent without a storage. */
  durable: CustomEvent<{ revision: number }>
  /** History before `revision` is gone. */
  compacted: CustomEvent<{ revision: number }>
  /** The storage had failed with `error`; it was opened again and holds everything. */
  healed: CustomEvent<{ error: RevkvError }>
  /**
   * The storage is full. What it has not taken was taken back: the writes that waited were rejected with
   * `QUOTA_EXCEEDED`, those of durability "memory" are gone, watches that were told of them end with `RESTORED`.
   */
  quota: CustomEvent<{ error: RevkvError }>
  /** The database was deleted while it was open: what it held is in memory only, and nothing more is written. */
  evicted: CustomEvent<Record<string, never>>
  /** A listener threw or a background task failed. When nobody listens, the platform's `reportError` or the console hears of it. */
  error: CustomEvent<{ error: unknown }>
  closed: CustomEvent<Record<string, never>>
}

/** The reads that are of one revision. */
export interface ReadView<V> {
  readonly revision: number
  /** As of the store. */
  get: Store<V>['get']
  /** As of the store. */
  entry: Store<V>['entry']
  /** As of the store. */
  getMany: Store<V>['getMany']
  /** As of the store. */
  list: Store<V>['list']
  /** As of the store. */
  count: Store<V>['count']
}

/**
 * Reads as they were at `revision`, which is fixed. After a `restore`, or what `quota` takes back, it is gone: `RESTORED`.
 * Released by `using`, or by its `[Symbol.dispose]()`.
 */
export interface Snapshot<V> extends ReadView<V>, Disposable {}

/**
 * What `transact` gives to its body, usable until that has ended. Reads are at `revision` and see what the transaction has
 * written, as if it had been committed on that; lists over such writes read their whole range. A `get` decodes anew.
 */
export interface Transaction<V> extends ReadView<V> {
  /** Errors: those of `Store.put`, the ones about leases and size by `transact`. */
  put(key: Key, value: undefined, options: TransactionPutOptions & { ignoreValue: true }): void
  /** The same with a value. */
  put(key: Key, value: V, options?: TransactionPutOptions): void
  /** Removes a key, or every key of a range, as the transaction sees it. */
  delete(target: Key | Range): void
}

/** A value that follows the store. */
export interface Live<T> {
  /**
   * The newest value: the same one as before while nothing it was made from has changed, or the query gives the same again.
   * Throws what the query throws. `CLOSED` after the store is.
   */
  readonly value: T
  /**
   * Calls `onChange` in a microtask after a write that has changed `value`, once however many there were; also when it has
   * changed between the last time it was read and this call. It may read, write, and unsubscribe anybody.
   */
  subscribe(onChange: () => void): Unsubscribe
}

/** What a store holds, and what it was asked for. */
export interface StoreStats {
  /** Keys there now. */
  keys: number
  /** Changes kept: the history. */
  revisions: number
  /** What keys and history are counted as, as by `maxBytes`. */
  bytes: number
  /** Memory of the store's engine, which does not shrink. */
  wasmBytes: number
  /**
   * What the storage takes, in bytes, as it said last; each call asks it again in the background. -1: it has not said, or
   * cannot. 0 without a storage.
   */
  storageBytes: number
  /** Watches and listeners, and what subscribed live queries have read. */
  watchers: number
  leases: number
  /** Other tabs that have the database open and were heard of lately, where this one leads. */
  followers: number
  /** Revisions that the tab that leads has told of, and that are not here yet. 0 where this one leads, or is alone. */
  lag: number
  /** Messages of other tabs that were none, or of no use. */
  dropped: number
  /** By the name of the method, those that were called, on the store and its namespaces. */
  operations: Record<string, OperationStats>
}

/**
 * Every call is counted; one in 32, the first included, is timed, up to when its promise resolves. Times are off by at most
 * a tenth, and no finer than the platform's clock, which in a browser may be 0.1 ms.
 */
export interface OperationStats {
  count: number
  /** Calls that threw or rejected. */
  errors: number
  /** Half of the timed calls took no longer; in microseconds. */
  p50Us: number
  p99Us: number
}

/** A key that is not the same at two revisions; absent where it was not there. */
export interface Difference<V> {
  key: string
  before?: Entry<V>
  after?: Entry<V>
}

/** What a backup holds. */
export interface BackupOptions {
  /** As it was then; 0 or absent = now. */
  revision?: number
  /** With the history up to then; default true. */
  history?: boolean
}

/** A store as bytes: checksummed, and of a size that is known before the first byte. */
export interface Backup {
  /** Bytes. */
  readonly size: number
  readonly revision: number
  /** The bytes in pieces. Each call begins anew. */
  stream(): ReadableStream<Uint8Array>
  /** The bytes at once. */
  bytes(): Promise<Uint8Array>
}

/** Something that was stored and cannot be read. */
export interface Loss {
  what: string
  /** The blob where it shows. */
  blob?: string
  /** The revisions of which something may be missing, where that is known. */
  fromRevision?: number
  toRevision?: number
}

/** What `salvage` could save. */
export interface Salvaged<V> {
  /** All that could be read. It is in memory only: nothing is written to the damaged database. */
  store: Store<V>
  lost: Loss[]
}

/** Which revision is read. */
export interface ReadOptions {
  /** Read as it was then; 0 or absent = now. Errors: `COMPACTED`, `FUTURE_REVISION`. */
  revision?: number
}

/** Which entries of a range, and in which order. */
export interface ListOptions extends ReadOptions {
  /** At most this many entries; 0 or absent = all. */
  limit?: number
  /** Descending. */
  reverse?: boolean
  /** Leaves the values out. */
  keysOnly?: boolean
  /** Default "key". Ties are in key order. Everything is sorted before `limit` cuts. */
  sortBy?: 'key' | 'version' | 'createRevision' | 'modRevision' | 'value'
  /** Only entries with a modRevision of at least this; 0 = off. This filter and the next three leave `count` as it is. */
  minModRevision?: number
  maxModRevision?: number
  minCreateRevision?: number
  maxCreateRevision?: number
}

/** Array-like and iterable, decoded as it is read. */
export interface ListResult<V> extends Iterable<Entry<V>> {
  readonly length: number
  /** Counts from the end when negative. */
  at(index: number): Entry<V> | undefined
  /** All entries. */
  toArray(): Entry<V>[]
  /**
   * Keys in the range at that revision, whatever the limit. Where the limit cut the list short they are counted when this is
   * first looked at, which fails with `COMPACTED` if the revision has been compacted away by then.
   */
  readonly count: number
  /** The limit cut it short. */
  readonly more: boolean
  /** The store's revision when it was read. */
  readonly revision: number
}

/** Which changes of the history. */
export interface HistoryOptions {
  /**
   * First revision wanted; `revision + 1` gives what has come since, which is nothing yet. 0 or absent = the oldest kept,
   * and of each key the put before the compact revision that a read there still sees.
   */
  from?: number
  /** Last revision wanted; 0 or absent = now. */
  to?: number
  /** At most this many changes; 0 or absent = all. */
  limit?: number
}

/** When a write resolves. */
export interface WriteOptions {
  durability?: Durability
  /** Aborted before the call: nothing is done. Aborted later: only the waiting ends, the write stays. Rejects with the signal's reason. */
  signal?: AbortSignal
}

/** How a key is set. */
export interface PutOptions extends WriteOptions {
  /** The key goes when the lease does. */
  lease?: Lease | bigint
  /** Grants a lease of this many seconds for this key alone. Not together with `lease`. */
  ttlSeconds?: number
  /** Also gives what the key held before. */
  prevEntry?: boolean
  /** Keeps the value the key has; the value given must be undefined (or encode to nothing). */
  ignoreValue?: boolean
  /** Keeps the lease the key has. */
  ignoreLease?: boolean
}

/** Where there is no answer to put a previous entry in. */
export type PutManyOptions = Omit<PutOptions, 'prevEntry'>

/** The same inside a transaction, which is made durable as a whole. */
export type TransactionPutOptions = Omit<PutManyOptions, keyof WriteOptions>

/** What every write gives. */
export interface WriteResult {
  /** The store's revision after the write. */
  revision: number
}

/** What a put gives; the entry that was there before when it was asked for. */
export interface PutResult<V> extends WriteResult {
  prevEntry?: Entry<V>
}

/** How many keys were there to delete, and which when it was asked for. */
export interface DeleteResult<V> extends WriteResult {
  deleted: number
  prevEntries?: Entry<V>[]
}

/** All compares look at the store as it was before the transaction; operations see the effects of those before them. */
export interface TxnRequest<V> {
  if?: Compare<V>[]
  then?: TxnOp<V>[]
  else?: TxnOp<V>[]
}

/** How the stored side of a compare has to stand to the given one. */
export type CompareResult = '=' | '!=' | '>' | '<'

/**
 * "stored `is` given", with `is` "=" unless said. An absent key has version, revisions and lease 0, and no value:
 * `{ key, version: 0 }` holds when it is absent, and a `value` compare then never holds.
 * With `end` it holds for every key in [key, end); an `end` of "\0" means to the last key.
 */
export type Compare<V> = { key: Key; end?: Key } & (
  | { value: V; is?: CompareResult }
  | { version: number; is?: CompareResult }
  | { createRevision: number; is?: CompareResult }
  | { modRevision: number; is?: CompareResult }
  | { lease: bigint; is?: CompareResult }
)

/** One operation of a transaction. Each is named for the method of the store that does the same, and takes the same options. */
export type TxnOp<V> =
  | {
      put: [key: Key, value: V]
      lease?: Lease | bigint
      prevEntry?: boolean
      ignoreValue?: boolean
      ignoreLease?: boolean
    }
  | {
      put: [key: Key, value?: undefined]
      lease?: Lease | bigint
      prevEntry?: boolean
      ignoreValue: true
      ignoreLease?: boolean
    }
  | { delete: Key | Range; prevEntries?: boolean }
  | { list: Range; options?: ListOptions }
  | { get: Key; revision?: number }
  | { txn: TxnRequest<V> }

/** What a transaction has done. */
export interface TxnResult<V> {
  /** Whether all of `if` held. */
  ok: boolean
  revision: number
  /** One for each operation of the list that ran, in its order. */
  results: TxnOpResult<V>[]
}

/** What one operation gave, under its name. */
export type TxnOpResult<V> =
  | { put: PutResult<V> }
  | { delete: DeleteResult<V> }
  | { list: ListResult<V> }
  | { get: Entry<V> | undefined }
  | { txn: TxnResult<V> }

/** What happened to one key at one revision, `entry.modRevision` or `modRevision`. */
export type Change<V> =
  | { readonly type: 'put'; readonly entry: Entry<V>; readonly prevEntry?: Entry<V> }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number; readonly prevEntry?: Entry<V> }

/** Where a watch begins, and what it delivers. */
export interface WatchOptions {
  /** First revision wanted. One not yet written is waited for. */
  from?: number
  /** Each change also carries what the key held before. */
  prevEntry?: boolean
  only?: 'put' | 'delete'
  /** Only what `durableRevision` covers: for whoever saves how far it has come. */
  durable?: boolean
  /** Also yields empty batches that only move `revision` forward, so that a reader can resume close to now. */
  progress?: boolean
  /**
   * When `from` has been compacted away: "throw" `COMPACTED` (default), or "resync": one batch with `resync: true`
   * holding the whole range as it is now, then on from there.
   */
  onCompacted?: 'throw' | 'resync'
  /** Ends the watch; a waiting reader is given the signal's reason. */
  signal?: AbortSignal
}

/** Resume with `from: batch.revision + 1`. A revision is never split over two batches, skipped or repeated. */
export interface WatchBatch<V> {
  readonly revision: number
  readonly changes: readonly Change<V>[]
  readonly resync?: true
}

/** One reader of one watch: iterating it twice shares its place. Leaving the loop closes it. */
export interface Watch<V> extends AsyncIterable<WatchBatch<V>>, AsyncDisposable {
  /** Ends it; a waiting reader is told that it is done. */
  close(): void
  /** Asks for one empty batch that says how far the reader has come, once everything before it has been given. */
  requestProgress(): void
}

/** Ends what was begun. May be called twice. */
export type Unsubscribe = () => void

/** A time to live that keys share: when it ends they are deleted, in one revision. */
export interface Lease extends AsyncDisposable {
  readonly id: bigint
  readonly ttlSeconds: number
  /** Seconds left, with fractions; -1 when it is gone. */
  remaining(): number
  /** The keys attached to it, in order; none when it is gone. */
  keys(): string[]
  /** Starts its time again; gives its ttl in seconds. Errors: `LEASE_NOT_FOUND`. */
  keepAlive(): Promise<number>
  /** Deletes its keys in one revision. Errors: `LEASE_NOT_FOUND`. */
  revoke(): Promise<WriteResult>
}

/** Committed transactions, from one store to others. It may be kept, sent and applied again. */
export interface ChangeSet {
  /** The life of the store they are of; `restore` begins another. 32 hex digits. */
  readonly incarnation: string
  /** They go on from this revision... */
  readonly from: number
  /** ... and reach to this one; the same when there are none. */
  readonly to: number
  /** All of it, with a checksum; the rest is read from it. */
  readonly bytes: Uint8Array
}

/**
 * What a failure means.
 *
 * Asked for what cannot be: `INVALID_KEY`, `INVALID_RANGE`, `INVALID_ARGUMENT`; `DUPLICATE_KEY`, a transaction that writes a
 * key twice; `TOO_MANY_OPERATIONS`, `TOO_LARGE`; `KEY_NOT_FOUND`, `VALUE_PROVIDED` and `LEASE_PROVIDED`, by the ignore
 * options; `LEASE_NOT_FOUND`, `LEASE_EXISTS`.
 *
 * About history: `COMPACTED`, what was asked for is forgotten; `FUTURE_REVISION`, it is not written yet;
 * `REVISION_NOT_FOUND`; `RESTORED`, the content has been replaced, or taken back, under the watch; `GAP` and `DIVERGED`,
 * changes that do not follow on what is here.
 *
 * About others: `CONFLICT`, they wrote first, try again; `NOT_LEADER`, another has taken over the database (or, not `retryable`: it
 * was written, but the tab that led is gone, and its answer with it); `CANCELED`.
 *
 * About the storage: `QUOTA_EXCEEDED`, no room; `STORAGE_BLOCKED`, another has it open; `STORAGE_LOST`, it failed;
 * `CORRUPT`, what it holds is damaged; `EVICTED`, it was thrown away; `UNSUPPORTED_FORMAT`, a newer version wrote it.
 *
 * About the engine: `CSP`, the page's policy forbids WebAssembly; `ENGINE_FAILED`; `CLOSED`, the store was closed.
 */
export type ErrorCode =
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'REVISION_NOT_FOUND'
  | 'INVALID_KEY'
  | 'INVALID_RANGE'
  | 'INVALID_ARGUMENT'
  | 'KEY_NOT_FOUND'
  | 'VALUE_PROVIDED'
  | 'LEASE_PROVIDED'
  | 'DUPLICATE_KEY'
  | 'TOO_MANY_OPERATIONS'
  | 'TOO_LARGE'
  | 'LEASE_NOT_FOUND'
  | 'LEASE_EXISTS'
  | 'CONFLICT'
  | 'CANCELED'
  | 'CLOSED'
  | 'RESTORED'
  | 'GAP'
  | 'DIVERGED'
  | 'NOT_LEADER'
  | 'QUOTA_EXCEEDED'
  | 'STORAGE_LOST'
  | 'STORAGE_BLOCKED'
  | 'CORRUPT'
  | 'EVICTED'
  | 'UNSUPPORTED_FORMAT'
  | 'CSP'
  | 'ENGINE_FAILED'

/**
 * How the tabs of a database send each other messages. It may lose, delay, repeat and reorder them: whoever misses one asks
 * again. It must not change them.
 */
export interface Transport {
  readonly name: string
  /**
   * Joins those of a database under an id, which is not empty. `receive` is called for each message to this id, or to all,
   * but for its own, and owns the bytes; not before `join` has returned.
   */
  join(database: string, id: string, receive: (message: Uint8Array) => void): TransportChannel
}

/** One tab's end of a transport. */
export interface TransportChannel {
  /** To one, or to all others. Does not wait, nor say whether it arrives. */
  send(message: Uint8Array, to?: string): void
  /** Nothing is received from now on. */
  close(): void
}

/**
 * The whole of what a medium must do. Ordered, all-or-nothing batches of named blobs; nothing else.
 * A store opens the database once, reads every blob, then writes batches one after the other and closes at the end.
 * Its first batch claims the storage. Where that is refused, it reads again before it tries again.
 */
export interface StorageAdapter {
  readonly name: string
  /** A blob is never larger than this. */
  readonly maxBlobBytes: number
  readonly supports: {
    /** A "strict" write is flushed before it resolves. */
    strict: boolean
    /** What is written outlives the process. */
    persistent: boolean
    /** Tabs of one origin see the same database; the store then takes a Web Lock on its name. */
    sharedByTabs: boolean
  }
  /** Opens the database, which is there from now on. Rejects with the reason when the signal is aborted. */
  open(database: string, signal?: AbortSignal): Promise<StorageHandle>
}

/** An open database of a medium. */
export interface StorageHandle {
  /** Every blob, ids ascending. */
  read(): AsyncIterable<{ id: string; bytes: Uint8Array }>
  /**
   * All of it or none of it, after every earlier batch. A batch without blobs is a flush.
   *
   * Refused with `NOT_LEADER`, judged in the transaction that writes: a smaller `epoch` than the stored one, and a blob
   * whose id is not above every id ever put, deleted ones included. So a deposed writer can never write, of two openers
   * that have read the same only one gets its first batch in, and nothing is ever written over.
   *
   * The store makes the next call when this one has settled. One that has not settled after a minute counts as failed.
   */
  write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void>
  /** What the database takes of the medium, in bytes; undefined where the medium does not say. */
  bytesUsed(): Promise<number | undefined>
  /** Once, when no write is under way, or when one gives no answer. */
  close(): Promise<void>
}

/** Blobs to put and to delete, as one. */
export interface StorageBatch {
  epoch: number
  /** Ids ascending. */
  put: { id: string; bytes: Uint8Array }[]
  delete: string[]
}
