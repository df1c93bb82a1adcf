// The transaction that `transact` hands to its body: reads at one revision, with the writes laid over them that are to be
// committed.

import * as args from './arguments.js'
import { decodeValue } from './codecs.js'
import { EntryList, type Form, readEntry, storedKey, withoutValue } from './entry.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { Host } from './host.js'
import { KeySet, keyName } from './keyspace.js'
import { randomLeaseId } from './lease.js'
import { TrackedView } from './snapshot.js'
import { checkList, checkPut, listOptionsAt } from './txn.js'
import type {
  Entry,
  Key,
  ListOptions,
  ListResult,
  Range,
  ReadOptions,
  ReadView,
  Transaction,
  TransactionPutOptions,
} from './types.js'
import * as wire from './wire.js'

/** What a body may say of a put; how it is made durable is said once, for the whole. */
const putOptions = ['lease', 'ttlSeconds', 'ignoreValue', 'ignoreLease']

interface Written {
  put: wire.Put
  ttlSeconds: number | undefined
  /** It was deleted before, so that it begins a new life. */
  isNew: boolean
}

/** What is to be committed, and the leases that are to be granted for it. */
export interface Draft {
  commit: wire.Commit
  leases: wire.NewLease[]
}

/**
 * Invariants: a key that is in `written` is put when this is committed, whatever is deleted, since deletes come first; no
 * read of it, or of a key that is deleted here, looks at the store, so that it need not be as it was.
 */
export class StoreTransaction<V> extends TrackedView<V> implements Transaction<V> {
  readonly #form: Form<V>
  readonly #reads: KeySet
  readonly #deleted = new KeySet()
  readonly #written = new Map<string, Written>()

  constructor(store: ReadView<V>, host: Host, form: Form<V>, revision: number) {
    const reads = new KeySet()
    super(store, host, revision, 'transaction', form.space, (keys) => reads.add(keys))
    this.#form = form
    this.#reads = reads
  }

  get isWriting(): boolean {
    return this.#written.size > 0 || this.#deleted.size > 0
  }

  draft(): Draft {
    const puts: wire.Put[] = []
    const leases: wire.NewLease[] = []
    for (const { put, ttlSeconds } of this.#written.values()) {
      const lease = ttlSeconds === undefined ? undefined : { id: randomLeaseId(), ttlSeconds }
      if (lease) leases.push(lease)
      puts.push(lease ? { ...put, lease: lease.id } : put)
    }
    const [reads, deletes] = [this.#reads.toArray(), this.#deleted.toArray()]
    return { commit: { revision: this.revision, reads, deletes, puts }, leases }
  }

  put(key: Key, value: V | undefined, options?: TransactionPutOptions): void {
    this.checkAt(undefined)
    const given = args.options(options, putOptions, 'put')
    const ttlSeconds = given.ttlSeconds === undefined ? undefined : args.ttlSeconds(given.ttlSeconds)
    if (ttlSeconds !== undefined && given.lease !== undefined) throw invalidArgument(ttlOrLease)
    const put = checkPut(key, value, given, this.#form)
    const name = keyName(put.key)
    const before = this.#written.get(name)
    const isNew = before?.isNew ?? this.#deleted.has(name)
    this.#written.set(name, { ...this.#kept(key, put, ttlSeconds, before), isNew })
  }

  delete(target: Key | Range): void {
    this.checkAt(undefined)
    const keys = this.space.deletion(target)
    this.#deleted.add(keys)
    if ('key' in keys) {
      this.#written.delete(keyName(keys.key))
      return
    }
    const gone = new KeySet()
    gone.add(keys)
    for (const name of this.#written.keys()) if (gone.has(name)) this.#written.delete(name)
  }

  override get(key: Key, options?: ReadOptions): V | undefined {
    const { name, written } = this.#own(key, options)
    if (written) return decodeValue(this.#form.values, written.put.value, 0, written.put.value.length)
    return this.#deleted.has(name) ? undefined : super.get(key)
  }

  override entry(key: Key, options?: ReadOptions): Entry<V> | undefined {
    const { name, written } = this.#own(key, options)
    if (written) return this.#entry(written, written.isNew ? undefined : super.entry(key))
    return this.#deleted.has(name) ? undefined : super.entry(key)
  }

  override getMany(keys: Iterable<Key>, options?: ReadOptions): (V | undefined)[] {
    this.checkAt(options)
    return (args.iterable(keys, 'keys') as Key[]).map((key) => this.get(key))
  }

  override list(range: Range = {}, options?: Omit<ListOptions, 'revision'>): ListResult<V> {
    if (!this.isWriting) return super.list(range, options)
    // What is asked for is done to the whole of it, as it will be.
    const request = checkList(range, args.options(options, listOptionsAt, 'list'), this.space)
    const entries = this.#merged(range, request.keys)
    const shown = arrange(entries, request)
    const more = request.limit > 0 && shown.length > request.limit
    if (more) shown.length = request.limit
    const cut = request.keysOnly ? shown.map((entry) => withoutValue(entry)) : shown
    return new EntryList(this.revision, entries.length, more, cut)
  }

  override count(range: Range = {}, options?: ReadOptions): number {
    if (!this.isWriting) return super.count(range, options)
    this.checkAt(options)
    return this.#merged(range, this.space.range(range)).length
  }

  /** What this transaction puts under a key, if it does. */
  #own(key: Key, options: ReadOptions | undefined): { name: string; written: Written | undefined } {
    this.checkAt(options)
    const name = keyName(this.space.key(key))
    return { name, written: this.#written.get(name) }
  }

  /** In key order, what is there in a range, as it will be. */
  #merged(range: Range, keys: wire.KeyRange): Entry<V>[] {
    const merged = new Map<string, Entry<V>>()
    for (const entry of super.list(range)) {
      const name = keyName(storedKey(entry))
      if (!this.#deleted.has(name)) merged.set(name, entry)
    }
    const within = new KeySet()
    within.add(keys)
    for (const [name, written] of this.#written) {
      if (within.has(name)) merged.set(name, this.#entry(written, written.isNew ? undefined : merged.get(name)))
    }
    return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
  }

  /** What a put keeps of its key, as it will be when this put is reached. */
  #kept(key: Key, put: wire.Put, ttlSeconds: number | undefined, before: Written | undefined): Omit<Written, 'isNew'> {
    const { ignoreValue, ignoreLease } = put
    if (!ignoreValue && !ignoreLease) return { put, ttlSeconds }
    if (ignoreValue && put.value.length > 0)
      throw new RevkvError('VALUE_PROVIDED', 'ignoreValue: give no value with it.')
    if (ignoreLease && (put.lease !== 0n || ttlSeconds !== undefined)) {
      throw new RevkvError('LEASE_PROVIDED', 'ignoreLease: give no lease with it.')
    }
    const entry = this.entry(key)
    if (!entry) throw new RevkvError('KEY_NOT_FOUND', 'ignoreValue and ignoreLease need a key that exists.')
    const value = ignoreValue ? entry.bytes : put.value
    const lease = ignoreLease ? entry.lease : put.lease
    const kept = { ...put, value, lease, ignoreValue: false, ignoreLease: false }
    return { put: kept, ttlSeconds: ignoreLease ? before?.ttlSeconds : ttlSeconds }
  }

  /** As if it had been committed on what everything is read from. */
  #entry({ put }: Written, before: Entry<V> | undefined): Entry<V> {
    const modRevision = this.revision + 1
    const [createRevision, version] = before ? [before.createRevision, before.version + 1] : [modRevision, 1]
    const packed = wire.packKeyValue({ ...put, createRevision, modRevision, version })
    return readEntry(new wire.Reader(packed), this.#form)
  }
}

export const ttlOrLease = 'ttlSeconds: give either a lease or its ttl.'

type Fields = Pick<Entry<unknown>, 'version' | 'createRevision' | 'modRevision'>

/** Entries in key order, filtered and sorted as the engine does it: equal ones stay in key order, descending or not. */
function arrange<V>(entries: Entry<V>[], request: wire.RangeRequest): Entry<V>[] {
  const { sortBy, descend } = request
  const max = (bound: number) => bound || Number.POSITIVE_INFINITY
  const kept = entries.filter(
    ({ modRevision, createRevision }) =>
      modRevision >= request.minModRevision &&
      modRevision <= max(request.maxModRevision) &&
      createRevision >= request.minCreateRevision &&
      createRevision <= max(request.maxCreateRevision),
  )
  if (sortBy === 'key') return descend ? kept.reverse() : kept
  const field = (entry: Entry<V>) => (sortBy === 'value' ? keyName(entry.bytes) : (entry as Fields)[sortBy])
  const keyed = kept.map((entry) => ({ entry, by: field(entry) }))
  const sign = descend ? -1 : 1
  keyed.sort((a, b) => (a.by < b.by ? -sign : a.by > b.by ? sign : 0))
  return keyed.map(({ entry }) => entry)
}
