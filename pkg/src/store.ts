// The store users hold, and its namespaces: they check what they are given, ask the engine's host, and show the answers.

import * as args from './arguments.js'
import { readBackup, StoreBackup } from './backup.js'
import { ValueCache } from './cache.js'
import { checkChangeSet, readChangeSet } from './changes.js'
import { bytes } from './codecs.js'
import { detachable } from './detachable.js'
import { asyncDispose } from './dispose.js'
import { notAscii } from './engine.js'
import { type Form, readChanges, readDifferences, readEntry, readList } from './entry.js'
import { invalidArgument, RevkvError } from './errors.js'
import { StoreEvents } from './events.js'
import { Host, noteHost, type Parts, type Write } from './host.js'
import { granting, randomLeaseId, StoreLease } from './lease.js'
import { LiveQuery } from './live.js'
import { type OperationName, statsOf } from './operations.js'
import { Scope } from './scope.js'
import { checkNamespace } from './settings.js'
import { StoreSnapshot } from './snapshot.js'
import { StoreTransaction, ttlOrLease } from './transaction.js'
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
  Live,
  NamespaceOptions,
  PutManyOptions,
  PutOptions,
  PutResult,
  Range,
  ReadOptions,
  ReadView,
  Snapshot,
  Store,
  StoreStats,
  Transaction,
  TxnRequest,
  TxnResult,
  Unsubscribe,
  Watch,
  WatchBatch,
  WatchOptions,
  WriteOptions,
  WriteResult,
} from './types.js'
import * as wire from './wire.js'

const readOptions = ['revision']
const writeOptions = ['durability', 'signal']
const putManyOptions = [...writeOptions, 'lease', 'ttlSeconds', 'ignoreValue', 'ignoreLease']
const putOptions = [...putManyOptions, 'prevEntry']

/** How often a transaction that conflicts is run again, unless it says. */
const retriesUsual = 10

export class EngineStore<V> extends StoreEvents implements Store<V> {
  readonly #host: Host
  readonly #scope: Scope<V>
  readonly #form: Form<V>
  /** None for bytes, which are the reader's own to change. */
  readonly #cache: ValueCache<V> | undefined
  readonly #isNamespace: boolean
  #closing: Promise<void> | undefined

  /** A store on what was opened, or a namespace of another one. */
  constructor(origin: Parts | EngineStore<unknown>, form: Form<V>) {
    const isNamespace = origin instanceof EngineStore
    super(isNamespace ? origin : undefined)
    this.#isNamespace = isNamespace
    this.#form = form
    this.#scope = new Scope(form, isNamespace ? origin.#scope : undefined)
    this.#host = isNamespace ? origin.#host : new Host(origin, this)
    if (!isNamespace) noteHost(this, this.#host)
    this.#cache = (form.values as unknown) === bytes ? undefined : new ValueCache(this.#host, form)
  }

  get name(): string {
    return this.#host.name
  }

  get role(): Store['role'] {
    return this.#host.role
  }

  get revision(): number {
    return this.#open.core.call((engine) => engine.revision)
  }

  get compactRevision(): number {
    return this.#open.core.call((engine) => engine.compactRevision)
  }

  get durableRevision(): number {
    return this.#open.core.call((engine) => engine.durableRevision)
  }

  // Reads.

  get(key: Key, options?: ReadOptions): V | undefined {
    // Not by `#read`, which needs a function made for each call.
    const operation = this.#host.operations.get
    const began = operation.begin()
    try {
      return this.#valueOf(key, this.#readRevision(options))
    } catch (e) {
      operation.errors++
      throw e
    } finally {
      if (began > 0) operation.end(began)
    }
  }

  entry(key: Key, options?: ReadOptions): Entry<V> | undefined {
    return this.#read('entry', (host) => {
      const [stored, revision] = [this.#form.space.key(key), this.#readRevision(options)]
      const packed = host.core.call((engine) => engine.get(stored, revision))
      return packed && readEntry(new wire.Reader(packed), this.#form)
    })
  }

  getMany(keys: Iterable<Key>, options?: ReadOptions): (V | undefined)[] {
    return this.#read('getMany', (host) => {
      const revision = this.#readRevision(options)
      const wanted = args.iterable(keys, 'keys') as Key[]
      // Also where no key is asked for.
      return host.core.call(() => wanted).map((key) => this.#valueOf(key, revision))
    })
  }

  list(range: Range = {}, options?: ListOptions): ListResult<V> {
    return this.#read('list', (host) => {
      const request = txn.checkList(range, options, this.#form.space)
      const { keys, revision, keysOnly } = request
      const { life } = host
      const recount = (newest: number) => {
        if (host.life !== life)
          throw new RevkvError('RESTORED', "The store's content was replaced; what was there is gone.")
        return this.#count(keys, revision || newest)
      }
      return readList(this.#range({ ...request, uncounted: true }), this.#form, keysOnly, recount)
    })
  }

  count(range: Range = {}, options?: ReadOptions): number {
    return this.#read('count', () => {
      const revision = this.#readRevision(options)
      return this.#count(this.#form.space.range(range), revision)
    })
  }

  history(target: Key | Range, options?: HistoryOptions): Change<V>[] {
    return this.#read('history', (host) => {
      const given = args.options(options, ['from', 'to', 'limit'], 'history')
      const packed = wire.packHistory({
        keys: this.#form.space.target(target),
        from: args.natural(given.from, 'from'),
        to: args.natural(given.to, 'to'),
        limit: args.natural(given.limit, 'limit'),
      })
      return readChanges(new wire.Reader(host.core.call((engine) => engine.history(packed))), this.#form)
    })
  }

  diff(range: Range, from: number, to?: number): Difference<V>[] {
    return this.#read('diff', (host) => {
      const keys = this.#form.space.range(range)
      const packed = wire.packDiff(keys, args.integer(from, 'from'), args.natural(to, 'to'))
      return readDifferences(new wire.Reader(host.core.call((engine) => engine.diff(packed))), this.#form)
    })
  }

  snapshot(revision?: number): Snapshot<V> {
    return this.#read('snapshot', (host) => {
      return new StoreSnapshot<V>(this, host, args.natural(revision, 'revision'))
    })
  }

  hash(revision?: number): { hash: number; revision: number; compactRevision: number } {
    return this.#read('hash', (host) => {
      const wanted = args.natural(revision, 'revision')
      return host.hashOf(wanted)
    })
  }

  stats(): StoreStats {
    return { ...this.#open.stats(), operations: statsOf(this.#host.operations) }
  }

  // Writes. What fails rejects; what they do is done at the call.

  put(key: Key, value: V | undefined, options?: PutOptions): Promise<PutResult<V>> {
    return this.#write('put', options, putOptions, (given) => {
      const put = txn.checkPut(key, value, given, this.#form)
      const leases = newLeases(given)
      if (leases[0]) put.lease = leases[0].id
      const read = (reader: wire.Reader) => txn.readPut(reader, this.#form)
      return { request: wire.packPut(put, leases), grows: true, read }
    })
  }

  putMany(entries: Iterable<readonly [Key, V]>, options?: PutManyOptions): Promise<WriteResult> {
    return this.#write('putMany', options, putManyOptions, (given) => {
      const puts = txn.checkPuts(entries, given, this.#form)
      const leases = newLeases(given)
      if (puts.length === 0) leases.length = 0
      if (leases[0]) for (const put of puts) put.lease = leases[0].id
      return committing({ ...blindly, puts }, leases)
    })
  }

  delete(target: Key | Range, options?: WriteOptions & { prevEntries?: boolean }): Promise<DeleteResult<V>> {
    return this.#write('delete', options, [...writeOptions, 'prevEntries'], (given) => {
      const request = txn.checkDelete(target, given.prevEntries, this.#form.space)
      const read = (reader: wire.Reader) => txn.readDelete(reader, request, this.#form)
      return { request: wire.packDeleteRange(request), grows: false, read }
    })
  }

  txn(request: TxnRequest<V>, options?: WriteOptions): Promise<TxnResult<V>> {
    return this.#write('txn', options, writeOptions, () => {
      const checked = txn.checkTxn(request, this.#form)
      const read = (reader: wire.Reader) => txn.readTxn(reader, checked, this.#form)
      return { request: wire.packTxn(checked), grows: txn.grows(checked), read }
    })
  }

  compareAndSet(
    key: Key,
    expected: V | undefined,
    value: V,
    options?: PutManyOptions,
  ): Promise<{ ok: boolean; revision: number }> {
    return this.#write('compareAndSet', options, putManyOptions, (given) => {
      const compare = expected === undefined ? { key, version: 0 } : { key, value: expected }
      const { compare: compares } = txn.checkTxn({ if: [compare] }, this.#form)
      const put = txn.checkPut(key, value, given, this.#form)
      const leases = newLeases(given)
      if (leases[0]) put.lease = leases[0].id
      const request: wire.Txn = { compare: compares, success: [{ kind: 'put', put }], failure: [] }
      const read = (reader: wire.Reader) => {
        const { ok, revision } = txn.readTxn(reader, request, this.#form)
        return { ok, revision }
      }
      return { request: wire.packTxn(request, leases), grows: true, read }
    })
  }

  transact<T>(body: (tx: Transaction<V>) => T | Promise<T>, options?: WriteOptions & { retries?: number }): Promise<T> {
    return this.#background('transact', (host) => {
      const given = args.options(options, [...writeOptions, 'retries'], 'transact')
      const durability = args.durability(given.durability) ?? host.durability
      const signal = args.abortSignal(given.signal)
      signal?.throwIfAborted()
      args.callback(body, 'body')
      const retries = given.retries === undefined ? retriesUsual : args.integer(given.retries, 'retries')
      return this.#transact(host, body, retries, durability, signal)
    })
  }

  restoreTo(range: Range, revision: number, options?: WriteOptions): Promise<WriteResult> {
    return this.#write('restoreTo', options, writeOptions, () => {
      const request = wire.packRestoreTo(this.#form.space.range(range), args.integer(revision, 'revision'))
      return { request, grows: true, read: readRevision }
    })
  }

  compact(revision: number): Promise<void> {
    return this.#background('compact', (host) => host.compact(args.integer(revision, 'revision')))
  }

  sync(options?: { durability?: 'relaxed' | 'strict'; signal?: AbortSignal }): Promise<number> {
    return this.#background('sync', async (host) => {
      const given = args.options(options, writeOptions, 'sync')
      const durability = args.oneOf(given.durability, ['relaxed', 'strict'], 'durability') ?? 'strict'
      await host.written(durability, args.abortSignal(given.signal))
      return this.durableRevision
    })
  }

  // Backup.

  backup(options?: BackupOptions): Backup {
    return this.#read('backup', (host) => {
      const given = args.options(options, ['revision', 'history'], 'backup')
      const revision = args.natural(given.revision, 'revision')
      const history = given.history === undefined || args.flag(given.history, 'history')
      return new StoreBackup(host, revision, history)
    })
  }

  restore(source: ReadableStream<Uint8Array> | Uint8Array): Promise<void> {
    return this.#background('restore', async () => {
      const bytes = await readBackup(source)
      await this.#writable.restore(bytes)
    })
  }

  // Replication.

  changes(from: number, options?: { max?: number }): ChangeSet {
    return this.#read('changes', (host) => {
      const max = args.natural(args.options(options, ['max'], 'changes').max, 'max')
      const wanted = args.integer(from, 'from')
      return readChangeSet(host.core.call((engine) => engine.changes(wanted, 0, max)))
    })
  }

  applyChanges(changes: ChangeSet): Promise<number> {
    return this.#background('applyChanges', (host) => host.applyChanges(checkChangeSet(changes)))
  }

  // Watch.

  watch(target: Key | Range, options?: WatchOptions): Watch<V> {
    return this.#writable.watchers.watch(this.#scope, target, options)
  }

  on(
    target: Key | Range,
    listener: (batch: WatchBatch<V>) => void,
    options?: WatchOptions & { onError?: (error: RevkvError) => void },
  ): Unsubscribe {
    return this.#writable.watchers.on(this.#scope, target, listener, options)
  }

  live<T>(query: (view: ReadView<V>) => T): Live<T> {
    return new LiveQuery(this, this.#writable, this.#scope, query)
  }

  // Leases.

  grant(ttlSeconds: number, options?: { id?: bigint }): Promise<Lease> {
    return this.#background('grant', async (host) => {
      const given = args.options(options, ['id'], 'grant')
      const ttl = args.ttlSeconds(ttlSeconds)
      if (given.id === 0n) throw invalidArgument('id: a lease id may not be 0n, which means no lease.')
      const id = given.id === undefined ? randomLeaseId() : args.leaseId(given.id, 'id')
      const granted = await host.write(granting(id, ttl), host.durability)
      return new StoreLease(host.leases, this.#form, id, granted)
    })
  }

  lease(id: bigint): Lease | undefined {
    const { leases } = this.#open
    const info = leases.info(args.leaseId(id, 'id'))
    return info && new StoreLease(leases, this.#form, info.id, info.ttlSeconds)
  }

  leases(): bigint[] {
    return [...this.#open.core.call((engine) => engine.leases())]
  }

  // Namespaces, and the end.

  namespace<W = V>(prefix: Key, options?: NamespaceOptions<W>): Store<W> {
    this.#checkOpen()
    return new EngineStore<W>(this as EngineStore<unknown>, checkNamespace(prefix, options, this.#form))
  }

  close(): Promise<void> {
    this.#closing ??= this.#isNamespace ? this.#closeNamespace() : this.#host.close()
    return this.#closing
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }

  async #closeNamespace(): Promise<void> {
    const isOpen = !this.#scope.closed && !this.#host.isClosing
    this.#scope.end()
    if (!isOpen) return
    this.#host.watchers.endClosed()
    await this.#host.written(this.#host.durability, undefined)
  }

  /** The host, unless this is a namespace that is closed. (Of a store that is, the engine says so itself.) */
  get #open(): Host {
    if (this.#scope.closed) throw new RevkvError('CLOSED', 'The namespace is closed.')
    return this.#host
  }

  /** The same, for what a store that is being closed takes no more. */
  get #writable(): Host {
    this.#checkOpen()
    return this.#host
  }

  #checkOpen(): void {
    this.#open.checkOpen()
  }

  #readRevision(options: unknown): number {
    if (options === undefined) return 0
    return args.natural(args.options(options, readOptions, 'read').revision, 'revision')
  }

  #valueOf(key: Key, revision: number): V | undefined {
    const host = this.#open
    const { values, space } = this.#form
    if (typeof key === 'string') {
      if (revision === 0 && this.#cache) return this.#cache.get(key)
      const value = host.core.call((engine) => engine.textValue(space.prefix, key, revision, values))
      if (value !== notAscii) return value
    }
    const stored = space.key(key)
    return host.core.call((engine) => engine.value(stored, revision, values))
  }

  #count(keys: wire.KeyRange, revision: number): number {
    const request = { ...txn.checkList({}, undefined, this.#form.space), keys, revision, countOnly: true }
    return readList(this.#range(request), this.#form, false).count
  }

  #range(request: wire.RangeRequest): wire.Reader {
    const packed = wire.packRange(request)
    return new wire.Reader(this.#host.core.call((engine) => engine.range(packed)))
  }

  /** A read, counted and timed. */
  #read<R>(name: OperationName, body: (host: Host) => R): R {
    const operation = this.#host.operations[name]
    const began = operation.begin()
    try {
      return body(this.#open)
    } catch (e) {
      operation.errors++
      throw e
    } finally {
      if (began > 0) operation.end(began)
    }
  }

  /** The same of what takes a while. What `body` does before its first await is done at the call. */
  async #background<R>(name: OperationName, body: (host: Host) => Promise<R>): Promise<R> {
    const operation = this.#host.operations[name]
    const began = operation.begin()
    try {
      return await body(this.#writable)
    } catch (e) {
      operation.errors++
      throw e
    } finally {
      if (began > 0) operation.end(began)
    }
  }

  /**
   * A write: checks how durable it has to be and its signal before it does anything, and waits for that after it. An
   * aborted signal ends the waiting only: what is applied stays.
   */
  async #write<R>(
    name: OperationName,
    options: unknown,
    names: readonly string[],
    prepare: (given: args.Given) => Write<R>,
  ): Promise<R> {
    const operation = this.#host.operations[name]
    const began = operation.begin()
    try {
      const given = args.options(options, names, name)
      const durability = args.durability(given.durability) ?? this.#host.durability
      const signal = args.abortSignal(given.signal)
      signal?.throwIfAborted()
      this.#checkOpen()
      return await this.#host.write(prepare(given), durability, signal)
    } catch (e) {
      operation.errors++
      throw e
    } finally {
      if (began > 0) operation.end(began)
    }
  }

  async #transact<T>(
    host: Host,
    body: (tx: Transaction<V>) => T | Promise<T>,
    retries: number,
    durability: Durability,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    for (let tries = 0; ; tries++) {
      this.#checkOpen()
      const revision = host.pin(0)
      const release = host.unpinning(revision)
      const tx = new StoreTransaction<V>(this, host, this.#form, revision)
      let isCommitting = false
      try {
        const result = await detachable(Promise.resolve(body(tx)), signal)
        signal?.throwIfAborted()
        this.#checkOpen()
        if (!tx.isWriting) return result
        if (!tx.isOutlived) {
          const { commit, leases } = tx.draft()
          tx.end()
          isCommitting = true
          // Waited for from here on, not from a later microtask: by then it may have been taken back.
          await host.write(committing(commit, leases), durability, signal)
          return result
        }
      } catch (e) {
        // All it reads was replaced under it; that is a conflict like another.
        const code = RevkvError.is(e) ? e.code : undefined
        if (isCommitting ? code !== 'CONFLICT' : !tx.isOutlived || code !== 'RESTORED') throw e
      } finally {
        tx.end()
        release()
      }
      if (tries >= retries) {
        const text = `What the transaction had read was written by others ${tries + 1} times in a row.`
        throw new RevkvError('CONFLICT', text)
      }
    }
  }
}

/** A commit that does not depend on anything. */
const blindly: wire.Commit = { revision: 0, reads: [], deletes: [], puts: [] }

function committing(commit: wire.Commit, leases: wire.NewLease[]): Write<WriteResult> {
  return { request: wire.packCommit(commit, leases), grows: commit.puts.length > 0, read: readRevision }
}

function readRevision(reader: wire.Reader): WriteResult {
  return { revision: reader.u64() }
}

/** The lease that has to be granted, if one has. */
function newLeases(given: args.Given): wire.NewLease[] {
  if (given.ttlSeconds === undefined) return []
  if (given.lease !== undefined) throw invalidArgument(ttlOrLease)
  return [{ id: randomLeaseId(), ttlSeconds: args.ttlSeconds(given.ttlSeconds) }]
}
