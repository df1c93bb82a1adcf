// The store users hold: it checks, asks the engine, and sets going what follows: delivery, persistence, expiry.

import * as args from './arguments.js'
import { readBackup, StoreBackup } from './backup.js'
import { checkChangeSet, readChangeSet } from './changes.js'
import { asyncDispose } from './dispose.js'
import { type Form, readChanges, readDifferences, readEntry, readList, readValue } from './entry.js'
import { invalidArgument, RevkvError } from './errors.js'
import { StoreEvents } from './events.js'
import { ExpiryTimer, type Leases, randomLeaseId, StoreLease } from './lease.js'
import type { Lock } from './lock.js'
import { type Medium, newIncarnation } from './medium.js'
import { Persist } from './persist.js'
import type { Sentinel } from './sentinel.js'
import { StoreSnapshot } from './snapshot.js'
import * as txn from './txn.js'
import type {
  Backup,
  BackupOptions,
  Change,
  ChangeSet,
  DeleteResult,
  Difference,
  Durability,
  Entry,
  HistoryOptions,
  Key,
  Lease,
  ListOptions,
  ListResult,
  PutOptions,
  PutResult,
  Range,
  ReadOptions,
  Snapshot,
  Store,
  TxnRequest,
  TxnResult,
  Unsubscribe,
  Watch,
  WatchBatch,
  WatchOptions,
  WriteOptions,
  WriteResult,
} from './types.js'
import type { Core } from './wasm.js'
import { Watchers } from './watch.js'
import * as wire from './wire.js'

/** What `open` has put together. */
export interface Parts<V> {
  name: string
  /** Recovered and started. */
  core: Core
  form: Form<V>
  durability: Durability
  medium?: Medium
  /** Keeps others from opening the database. */
  lock?: Lock | undefined
  sentinel?: Sentinel | undefined
}

const readOptions = ['revision']
const writeOptions = ['durability', 'signal']
const putOptions = [...writeOptions, 'lease', 'ttlSeconds', 'prevEntry', 'ignoreValue', 'ignoreLease']

/** A slice of background work between two turns of the event loop: under half a frame, so that a page stays smooth. */
const sliceMs = 5

export class EngineStore<V> extends StoreEvents implements Store<V> {
  readonly name: string
  readonly role = 'alone'
  readonly #core: Core
  readonly #form: Form<V>
  readonly #durability: Durability
  readonly #persist: Persist
  readonly #watchers: Watchers<V>
  readonly #expiry = new ExpiryTimer(() => this.#expire())
  readonly #lock: Lock | undefined
  readonly #sentinel: Sentinel | undefined
  readonly #leases: Leases = {
    info: (id) => this.#leaseInfo(id),
    keepAlive: (id) => this.#keepAlive(id),
    revoke: (id) => this.#revoke(id),
  }
  /** Compactions under way; closing waits for them. */
  readonly #compacting = new Set<Promise<void>>()
  #closing: Promise<void> | undefined

  constructor({ name, core, form, durability, medium, lock, sentinel }: Parts<V>) {
    super()
    this.name = name
    this.#core = core
    this.#form = form
    this.#durability = durability
    this.#lock = lock
    this.#sentinel = sentinel
    this.#watchers = new Watchers(core, form, (error) => this.report(error))
    this.#persist = new Persist(core, medium, {
      durable: (revision) => {
        sentinel?.note(core)
        this.emit('durable', { revision })
        this.#watchers.wake()
      },
      healed: (error) => this.emit('healed', { error }),
      full: (error) => {
        this.#armExpiry()
        this.#watchers.wake()
        this.emit('quota', { error })
      },
      failed: (error) => {
        this.#expiry.stop()
        this.report(error)
      },
    })
    lock?.lost.then((error) => this.#persist.fail(error))
    // What expired while the database was closed, and a compaction that was cut short.
    this.#expire()
    this.#background(this.#compactPhysically()).catch((e: unknown) => this.report(e))
  }

  get revision(): number {
    return this.#core.call((engine) => engine.revision)
  }

  get compactRevision(): number {
    return this.#core.call((engine) => engine.compactRevision)
  }

  get durableRevision(): number {
    return this.#core.call((engine) => engine.durableRevision)
  }

  // Reads.

  get(key: Key, options?: ReadOptions): V | undefined {
    return this.#valueOf(args.key(key), this.#readRevision(options))
  }

  entry(key: Key, options?: ReadOptions): Entry<V> | undefined {
    const packed = this.#packed(args.key(key), this.#readRevision(options))
    return packed && readEntry(new wire.Reader(packed), this.#form)
  }

  getMany(keys: Iterable<Key>, options?: ReadOptions): (V | undefined)[] {
    const revision = this.#readRevision(options)
    if (typeof keys === 'string' || typeof keys?.[Symbol.iterator] !== 'function') {
      throw invalidArgument('keys: expected several keys, as an array or another iterable.')
    }
    // All keys first: what an iterable of the user's writes while it runs is before the read.
    const wanted = Array.from(keys, (key) => args.key(key))
    // Also where no key is asked for.
    return this.#core.call(() => wanted).map((key) => this.#valueOf(key, revision))
  }

  list(range: Range = {}, options?: ListOptions): ListResult<V> {
    const request = txn.checkList(range, options)
    return readList(this.#range(request), this.#form, request.keysOnly)
  }

  count(range: Range = {}, options?: ReadOptions): number {
    const revision = this.#readRevision(options)
    return readList(this.#range({ ...txn.checkList(range, undefined), revision, countOnly: true }), this.#form, false)
      .count
  }

  history(target: Key | Range, options?: HistoryOptions): Change<V>[] {
    const given = args.options(options, ['from', 'to', 'limit'], 'history')
    const request = {
      keys: args.target(target),
      from: args.natural(given.from, 'from'),
      to: args.natural(given.to, 'to'),
      limit: args.natural(given.limit, 'limit'),
    }
    const packed = wire.packHistory(request)
    return readChanges(new wire.Reader(this.#core.call((engine) => engine.history(packed))), this.#form)
  }

  diff(range: Range, from: number, to?: number): Difference<V>[] {
    const packed = wire.packDiff(args.range(range), args.integer(from, 'from'), args.natural(to, 'to'))
    return readDifferences(new wire.Reader(this.#core.call((engine) => engine.diff(packed))), this.#form)
  }

  snapshot(revision?: number): Snapshot<V> {
    const wanted = args.natural(revision, 'revision')
    const pinned = this.#core.call((engine) => engine.snapshot(wanted))
    return new StoreSnapshot<V>({ view: this, release: (revision) => this.#release(revision) }, pinned)
  }

  hash(revision?: number): { hash: number; revision: number; compactRevision: number } {
    const wanted = args.natural(revision, 'revision')
    const reader = new wire.Reader(this.#core.call((engine) => engine.hash(wanted)))
    return { hash: reader.u32(), revision: reader.u64(), compactRevision: reader.u64() }
  }

  // Writes. Each is async, so that whatever fails rejects; what comes before the first await runs at the call.

  async put(key: Key, value: V | undefined, options?: PutOptions): Promise<PutResult<V>> {
    const given = args.options(options, putOptions, 'put')
    const settle = this.#settlement(given)
    const put = txn.checkPut(key, value, given, this.#form)
    const result = given.ttlSeconds === undefined ? this.#put(put) : this.#putWithTtl(put, given)
    await settle()
    return result
  }

  async delete(target: Key | Range, options?: WriteOptions & { prevEntries?: boolean }): Promise<DeleteResult<V>> {
    const given = args.options(options, [...writeOptions, 'prevEntries'], 'delete')
    const settle = this.#settlement(given)
    const request = txn.checkDelete(target, given.prevEntries)
    const result = txn.readDelete(this.#apply(wire.packDeleteRange(request)), request, this.#form)
    await settle()
    return result
  }

  async txn(request: TxnRequest<V>, options?: WriteOptions): Promise<TxnResult<V>> {
    const settle = this.#settlement(args.options(options, writeOptions, 'txn'))
    const checked = txn.checkTxn(request, this.#form)
    const result = txn.readTxn(this.#apply(wire.packTxn(checked), txn.grows(checked)), checked, this.#form)
    await settle()
    return result
  }

  async compareAndSet(
    key: Key,
    expected: V | undefined,
    value: V,
    options?: WriteOptions,
  ): Promise<{ ok: boolean; revision: number }> {
    const compare = expected === undefined ? { key, version: 0 } : { key, value: expected }
    const { ok, revision } = await this.txn({ if: [compare], then: [{ put: [key, value] }] }, options)
    return { ok, revision }
  }

  async restoreTo(range: Range, revision: number, options?: WriteOptions): Promise<WriteResult> {
    const settle = this.#settlement(args.options(options, writeOptions, 'restoreTo'))
    const request = wire.packRestoreTo(args.range(range), args.integer(revision, 'revision'))
    const result = { revision: this.#apply(request, true).u64() }
    await settle()
    return result
  }

  async compact(revision: number): Promise<void> {
    this.#checkOpen()
    return this.#background(this.#compact(args.integer(revision, 'revision')))
  }

  async sync(options?: { durability?: 'relaxed' | 'strict'; signal?: AbortSignal }): Promise<number> {
    const given = args.options(options, writeOptions, 'sync')
    const durability = args.oneOf(given.durability, ['relaxed', 'strict'], 'durability') ?? 'strict'
    const signal = args.abortSignal(given.signal)
    signal?.throwIfAborted()
    this.#checkOpen()
    await detachable(this.#persist.written(durability), signal)
    return this.durableRevision
  }

  // Backup.

  backup(options?: BackupOptions): Backup {
    const given = args.options(options, ['revision', 'history'], 'backup')
    const revision = args.natural(given.revision, 'revision')
    const history = given.history === undefined || args.flag(given.history, 'history')
    const bytes = this.#core.call((engine) => engine.backup(revision, history))
    return new StoreBackup(bytes, revision || this.revision)
  }

  async restore(source: ReadableStream<Uint8Array> | Uint8Array): Promise<void> {
    const settle = this.#settlement({})
    const bytes = await readBackup(source)
    this.#checkOpen()
    await this.#persist.settled()
    this.#persist.check(false)
    this.#core.call((engine) => engine.restore(bytes, newIncarnation()))
    this.#changed()
    this.#armExpiry()
    await settle()
    this.#sentinel?.note(this.#core, true)
  }

  // Replication.

  changes(from: number, options?: { max?: number }): ChangeSet {
    const max = args.natural(args.options(options, ['max'], 'changes').max, 'max')
    const wanted = args.integer(from, 'from')
    return readChangeSet(this.#core.call((engine) => engine.changes(wanted, 0, max)))
  }

  async applyChanges(changes: ChangeSet): Promise<number> {
    const bytes = checkChangeSet(changes)
    const settle = this.#settlement({})
    this.#persist.check(true)
    const compacted = this.compactRevision
    const revision = this.#core.call((engine) => engine.applyChanges(bytes))
    this.#changed()
    if (this.compactRevision > compacted) {
      this.emit('compacted', { revision: this.compactRevision })
      this.#background(this.#compactPhysically()).catch((e: unknown) => this.report(e))
    }
    await settle()
    return revision
  }

  // Watch.

  watch(target: Key | Range, options?: WatchOptions): Watch<V> {
    this.#checkOpen()
    return this.#watchers.watch(target, options)
  }

  on(
    target: Key | Range,
    listener: (batch: WatchBatch<V>) => void,
    options?: WatchOptions & { onError?: (error: RevkvError) => void },
  ): Unsubscribe {
    this.#checkOpen()
    return this.#watchers.on(target, listener, options)
  }

  // Leases.

  async grant(ttlSeconds: number, options?: { id?: bigint }): Promise<Lease> {
    const given = args.options(options, ['id'], 'grant')
    const ttl = args.ttlSeconds(ttlSeconds)
    if (given.id === 0n) throw invalidArgument('id: a lease id may not be 0n, which means no lease.')
    const settle = this.#settlement({})
    const id = given.id === undefined ? randomLeaseId() : args.leaseId(given.id, 'id')
    const granted = this.#grant(id, ttl)
    await settle()
    return new StoreLease(this.#leases, this.#form, id, granted)
  }

  lease(id: bigint): Lease | undefined {
    const info = this.#leaseInfo(args.leaseId(id, 'id'))
    return info && new StoreLease(this.#leases, this.#form, info.id, info.ttlSeconds)
  }

  leases(): bigint[] {
    return [...this.#core.call((engine) => engine.leases())]
  }

  // The end.

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(): Promise<void> {
    this.#expiry.stop()
    await Promise.allSettled(this.#compacting)
    try {
      await this.#persist.close()
    } finally {
      await this.#letGo()
    }
  }

  async #letGo(): Promise<void> {
    try {
      // Listeners hear of the last durable revision too.
      await this.#watchers.settled()
      this.#sentinel?.note(this.#core, true)
      this.#watchers.end()
      this.#core.free()
    } finally {
      await this.#lock?.release()
      this.emit('closed', {})
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new RevkvError('CLOSED', 'The store is closed.')
  }

  #readRevision(options: unknown): number {
    if (options === undefined) return 0
    return args.natural(args.options(options, readOptions, 'read').revision, 'revision')
  }

  #packed(key: Uint8Array, revision: number): Uint8Array | undefined {
    return this.#core.call((engine) => engine.get(key, revision))
  }

  #valueOf(key: Uint8Array, revision: number): V | undefined {
    const packed = this.#packed(key, revision)
    return packed && readValue(packed, 0, this.#form)
  }

  #range(request: wire.RangeRequest): wire.Reader {
    const packed = wire.packRange(request)
    return new wire.Reader(this.#core.call((engine) => engine.range(packed)))
  }

  /**
   * Checks a write's durability and signal before it does anything, and gives the waiting that comes after it.
   * An aborted signal ends the waiting only: what is applied stays.
   */
  #settlement(given: args.Given): () => Promise<void> {
    const durability = args.durability(given.durability) ?? this.#durability
    const signal = args.abortSignal(given.signal)
    signal?.throwIfAborted()
    this.#checkOpen()
    return async () => {
      // The user's codec has run since.
      signal?.throwIfAborted()
      if (durability !== 'memory') await detachable(this.#persist.written(durability), signal)
    }
  }

  /** One request to the engine. The reader stands behind the answer's kind, which is that of the request. */
  #apply(request: Uint8Array, grows = false): wire.Reader {
    this.#persist.check(grows)
    const reader = new wire.Reader(this.#core.call((engine) => engine.apply(request, Date.now())))
    reader.u32()
    this.#changed()
    return reader
  }

  #applyLease(request: Uint8Array): wire.Reader {
    const reader = this.#apply(request)
    this.#armExpiry()
    return reader
  }

  #changed(): void {
    this.#persist.start()
    this.#watchers.wake()
  }

  #put(put: wire.Put): PutResult<V> {
    return txn.readPut(this.#apply(wire.packPut(put), true), this.#form)
  }

  #putWithTtl(put: wire.Put, given: args.Given): PutResult<V> {
    if (given.lease !== undefined) throw invalidArgument('ttlSeconds: give either a lease or its ttl.')
    const ttlSeconds = args.ttlSeconds(given.ttlSeconds)
    const lease = randomLeaseId()
    this.#grant(lease, ttlSeconds)
    try {
      return this.#put({ ...put, lease })
    } catch (e) {
      this.#applyLease(wire.packLeaseRevoke(lease))
      throw e
    }
  }

  /** Gives the ttl granted. */
  #grant(id: bigint, ttlSeconds: number): number {
    const reader = this.#applyLease(wire.packLeaseGrant(id, ttlSeconds))
    reader.u64() // The revision, which a grant does not move.
    reader.i64()
    return reader.u64()
  }

  #leaseInfo(id: bigint): wire.LeaseInfo | undefined {
    const packed = this.#core.call((engine) => engine.lease(id, Date.now()))
    return packed && wire.readLease(packed)
  }

  async #keepAlive(id: bigint): Promise<number> {
    const settle = this.#settlement({})
    const reader = this.#applyLease(wire.packLeaseKeepAlive(id))
    reader.u64() // The revision, which a keep-alive does not move.
    const ttlSeconds = reader.u64()
    await settle()
    return ttlSeconds
  }

  async #revoke(id: bigint): Promise<WriteResult> {
    const settle = this.#settlement({})
    const revision = this.#applyLease(wire.packLeaseRevoke(id)).u64()
    await settle()
    return { revision }
  }

  /** What only the snapshot kept is removed in the background. */
  #release(revision: number): void {
    if (this.#closing) return
    if (this.#core.call((engine) => engine.releaseSnapshot(revision))) {
      this.#background(this.#compactPhysically()).catch((e: unknown) => this.report(e))
    }
  }

  #armExpiry(): void {
    this.#expiry.set(this.#core.call((engine) => engine.nextDeadline()))
  }

  #expire(): void {
    try {
      this.#core.call((engine) => engine.tick(Date.now()))
      this.#changed()
      this.#armExpiry()
    } catch (e) {
      this.report(e)
    }
  }

  #background(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.#compacting.delete(tracked))
    this.#compacting.add(tracked)
    return tracked
  }

  async #compact(revision: number): Promise<void> {
    // A listener that only hears of durable revisions must not be overtaken by forgetting others.
    if (revision > this.durableRevision && revision <= this.revision) await this.#persist.written('relaxed')
    await this.#watchers.settled()
    this.#apply(wire.packCompact(revision))
    if (revision > 0) this.emit('compacted', { revision })
    await this.#compactPhysically()
    await this.#persist.written(this.#durability === 'memory' ? 'relaxed' : this.#durability)
  }

  /** The removal itself, in slices, so that a large one does not hold up anything else. */
  async #compactPhysically(): Promise<void> {
    let sliceEnd = Date.now() + sliceMs
    while (this.#core.call((engine) => engine.compactStep())) {
      if (Date.now() < sliceEnd) continue
      await new Promise((resolve) => setTimeout(resolve, 0))
      sliceEnd = Date.now() + sliceMs
    }
    this.#persist.start()
  }
}

/** The promise, or the signal's reason when that comes first. */
function detachable(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const detach = () => reject(signal.reason)
    signal.addEventListener('abort', detach, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', detach))
  })
}
