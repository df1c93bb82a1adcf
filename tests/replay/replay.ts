// The judge: asks a fresh store everything that a trace records, and compares each answer and each watch's events with
// what etcd gave. It knows the package by its public API alone, and is the same in Node and in a page.
import {
  bytes,
  type Change,
  type Compare,
  type DeleteResult,
  type Entry,
  type ListOptions,
  type ListResult,
  type OpenOptions,
  open,
  type PutResult,
  type Range,
  RevkvError,
  type Store,
  type TxnOp,
  type TxnOpResult,
  type TxnRequest,
  type TxnResult,
  type WatchOptions,
} from 'revkv'
import type * as trace from './trace.js'
import { parse } from './trace.js'

export type Place = Pick<OpenOptions, 'storage' | 'durability'>

export interface Report {
  operations: number
  differences: number
  first?: Difference
}

export interface Difference {
  operation: string
  expected: string
  got: string
}

/** Our code for a failure that etcd words so. */
const CODES: Record<string, string> = {
  'etcdserver: mvcc: required revision has been compacted': 'COMPACTED',
  'etcdserver: mvcc: required revision is a future revision': 'FUTURE_REVISION',
  'etcdserver: key is not provided': 'INVALID_KEY',
  'etcdserver: key not found': 'KEY_NOT_FOUND',
  'etcdserver: value is provided': 'VALUE_PROVIDED',
  'etcdserver: lease is provided': 'LEASE_PROVIDED',
  'etcdserver: duplicate key given in txn request': 'DUPLICATE_KEY',
  'etcdserver: too many operations in txn request': 'TOO_MANY_OPERATIONS',
  'etcdserver: requested lease not found': 'LEASE_NOT_FOUND',
  'etcdserver: lease already exists': 'LEASE_EXISTS',
}

/** What etcd accepts and cancels at once, the package refuses: a watch's error, as the cancellation that etcd sends. */
const CANCELED: Record<string, (error: RevkvError) => trace.Stream['canceled']> = {
  // A range whose key is not before its end.
  INVALID_RANGE: () => ({ compactRevision: 0, reason: 'mvcc: watcher range is empty' }),
  // etcd gives no reason but the revision to begin at.
  COMPACTED: ({ compactRevision }) => ({ compactRevision: compactRevision ?? 0, reason: '' }),
}

const RESULTS = { EQUAL: '=', NOT_EQUAL: '!=', GREATER: '>', LESS: '<' } as const
const SORT_BY = {
  KEY: 'key',
  VERSION: 'version',
  CREATE: 'createRevision',
  MOD: 'modRevision',
  VALUE: 'value',
} as const

/** Replays the text of one trace in a store of this name, which must not exist yet. */
export async function replay(text: string, name: string, place: Place): Promise<Report> {
  const { operations, watches } = parse(text)
  const options: OpenOptions<Uint8Array> = { ...place, name, values: bytes, keys: 'bytes' }
  const judge = new Judge(await open<Uint8Array>(options))
  try {
    for (const { op, result } of operations) await judge.ask(op, result)
    judge.compareWatches(watches)
    if (place.storage?.supports.persistent) await judge.reopen(() => open<Uint8Array>(options))
    return judge.report
  } finally {
    await judge.close()
  }
}

class Judge {
  readonly report: Report = { operations: 0, differences: 0 }
  readonly #streams = new Map<string, Watching>()
  readonly #turns = new Turns()
  #store: Store<Uint8Array>

  constructor(store: Store<Uint8Array>) {
    this.#store = store
  }

  async ask(op: trace.Op, result: Record<string, unknown>): Promise<void> {
    this.report.operations++
    const expected = typeof result.error === 'string' ? { error: CODES[result.error] ?? result.error } : result
    this.#compare(`operation ${this.report.operations}, ${canonical(op)}`, expected, await this.#answer(op))
    await this.#delivered()
  }

  compareWatches(watches: trace.Trace['watches']): void {
    this.#compare(
      'the watches made',
      watches.map(({ watch }) => String(watch)).sort(),
      [...this.#streams.keys()].sort(),
    )
    for (const { watch, events, canceled } of watches) {
      const got = this.#streams.get(String(watch))
      events.forEach((event, i) => {
        this.#compare(`event ${i} of watch ${watch}`, event, got?.events[i])
      })
      this.#compare(`events of watch ${watch}`, events.length, got?.events.length)
      this.#compare(`the end of watch ${watch}`, canceled, got?.canceled)
    }
  }

  /** What the storage kept must be all there was. */
  async reopen(open: () => Promise<Store<Uint8Array>>): Promise<void> {
    const before = everything(this.#store)
    await this.#store.close()
    this.#store = await open()
    this.#compare('everything, after closing and opening again', before, everything(this.#store))
  }

  async close(): Promise<void> {
    this.#turns.close()
    await this.#store.close()
  }

  #compare(operation: string, expected: unknown, got: unknown): void {
    if (canonical(expected) === canonical(got)) return
    this.report.differences++
    this.report.first ??= { operation, expected: canonical(expected), got: canonical(got) }
  }

  async #answer(op: trace.Op): Promise<unknown> {
    try {
      return await this.#perform(op)
    } catch (error) {
      if (RevkvError.is(error)) return { error: error.code }
      throw error
    }
  }

  async #perform(op: trace.Op): Promise<unknown> {
    const store = this.#store
    switch (op.type) {
      case 'put': {
        const { lease, prevKv: prevEntry, ignoreValue, ignoreLease } = op
        const options = { lease: lease === undefined ? 0n : BigInt(lease), prevEntry, ignoreValue, ignoreLease }
        const result = await store.put(decode(op.key), decode(op.value), defined(options))
        return { revision: result.revision, ...putAnswer(result) }
      }
      case 'range':
        return this.#range(op)
      case 'deleteRange': {
        const result = await store.delete(keyOrRange(op), defined({ prevEntries: op.prevKv }))
        return { revision: result.revision, ...deleteAnswer(result) }
      }
      case 'txn': {
        const result = await store.txn(txnRequest(op))
        return { revision: result.revision, ...txnAnswer(op, result) }
      }
      case 'compact':
        await store.compact(op.revision)
        return { revision: store.revision }
      case 'leaseGrant': {
        const lease = await store.grant(op.ttl, { id: BigInt(op.id) })
        return { revision: store.revision, id: String(lease.id), ttl: lease.ttlSeconds }
      }
      case 'leaseRevoke': {
        // A lease that is not there is not an object that could be revoked.
        const lease = store.lease(BigInt(op.id))
        return lease ? { revision: (await lease.revoke()).revision } : { error: 'LEASE_NOT_FOUND' }
      }
      case 'leaseTimeToLive': {
        const lease = store.lease(BigInt(op.id))
        const keys = lease?.keys().map(encodeKey).sort() ?? []
        return { revision: store.revision, exists: lease !== undefined, grantedTtl: lease?.ttlSeconds ?? 0, keys }
      }
      case 'leaseLeases':
        return { revision: store.revision, ids: store.leases().map(String) }
      case 'watch':
        this.#streams.set(op.id, new Watching(store, op))
        return {}
    }
  }

  #range(op: trace.RangeOp): unknown {
    const store = this.#store
    // A list takes ranges only, whose empty start is "from the first key"; the key alone is refused, as etcd does.
    if (op.key === '') return store.entry(decode(op.key))
    const { revision } = op
    if (op.countOnly) {
      const count = store.count(rangeOf(op), defined({ revision }))
      return { revision: store.revision, kvs: [], count, more: false }
    }
    const list = store.list(rangeOf(op), listOptions(op))
    if (op.rangeEnd === undefined) this.#compareEntry(op, list)
    return { revision: list.revision, ...listAnswer(op, list) }
  }

  /** A single key can be asked for by itself too: unless filters took it out, that is the same entry. */
  #compareEntry(op: trace.RangeOp, list: ListResult<Uint8Array>): void {
    const entry = this.#store.entry(decode(op.key), defined({ revision: op.revision }))
    this.#compare(`entry ${canonical(op)}`, list.count, entry ? 1 : 0)
    const listed = list.at(0)
    if (entry && listed && !op.keysOnly) this.#compare(`entry ${canonical(op)}`, kv(listed), kv(entry))
  }

  /** Listeners are called after the write. A turn of the event loop without a new event: they have been. */
  async #delivered(): Promise<void> {
    const count = () => [...this.#streams.values()].reduce((sum, { events }) => sum + events.length, 0)
    for (let before = -1; before !== count(); await this.#turns.next()) before = count()
  }
}

/** One watch, and all that it was given. */
class Watching implements trace.Stream {
  readonly events: trace.Event[] = []
  canceled: trace.Stream['canceled'] = null

  constructor(store: Store<Uint8Array>, op: trace.WatchOp) {
    const filtered = (filter: 'noput' | 'nodelete') => op.filters?.includes(filter) === true
    const only: WatchOptions['only'] = filtered('noput') ? 'delete' : filtered('nodelete') ? 'put' : undefined
    const options = defined({ from: op.startRevision, prevEntry: op.prevKv, only })
    try {
      store.on(keyOrRange(op), ({ changes }) => this.events.push(...changes.map(event)), {
        ...options,
        onError: (error) => this.#cancel(error),
      })
    } catch (error) {
      this.#cancel(error)
    }
  }

  #cancel(error: unknown): void {
    const canceled = RevkvError.is(error) ? CANCELED[error.code]?.(error) : undefined
    if (!canceled) throw error
    this.canceled = canceled
  }
}

/** Turns of the event loop, without the delay that a timer has in a page. */
class Turns {
  readonly #channel = new MessageChannel()

  next(): Promise<void> {
    const { port1, port2 } = this.#channel
    return new Promise((resolve) => {
      port1.onmessage = () => resolve()
      port2.postMessage(null)
    })
  }

  close(): void {
    this.#channel.port1.close()
  }
}

// From etcd's words to the package's.

/** One key as a range: nothing lies between it and itself with a zero byte more. */
function rangeOf({ key, rangeEnd }: trace.Keys): Range {
  const start = decode(key)
  if (!rangeEnd) return { start, end: Uint8Array.of(...start, 0) }
  // The end "\0" is "from the key on", and with the key "\0" it is everything.
  if (rangeEnd === ZERO) return key === ZERO ? {} : { start }
  return { start, end: decode(rangeEnd) }
}

function keyOrRange(keys: trace.Keys): Uint8Array | Range {
  return keys.rangeEnd ? rangeOf(keys) : decode(keys.key)
}

function listOptions(op: trace.RangeOp): ListOptions {
  const { revision, limit, keysOnly, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = op
  return defined({
    revision,
    limit,
    keysOnly,
    // No order with a target is ascending, and so is neither.
    sortBy: op.sortTarget && SORT_BY[op.sortTarget],
    reverse: op.sortOrder === 'DESCEND',
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
  })
}

function txnRequest(op: trace.TxnOp): TxnRequest<Uint8Array> {
  return { if: op.compare.map(compare), then: op.success.map(txnOp), else: op.failure.map(txnOp) }
}

function txnOp(op: trace.OpInTxn): TxnOp<Uint8Array> {
  switch (op.type) {
    case 'put': {
      const { prevKv: prevEntry, ignoreValue, ignoreLease } = op
      const options = { lease: op.lease === undefined ? 0n : BigInt(op.lease), prevEntry, ignoreValue, ignoreLease }
      return { put: [decode(op.key), decode(op.value)], ...defined(options) }
    }
    case 'deleteRange':
      return { delete: keyOrRange(op), ...defined({ prevEntries: op.prevKv }) }
    case 'range':
      if (op.key === '') return { get: decode(op.key) }
      // There is no count in a txn: of a list without values only the count is looked at.
      if (op.countOnly) return { list: rangeOf(op), options: defined({ revision: op.revision, keysOnly: true }) }
      return { list: rangeOf(op), options: listOptions(op) }
    case 'txn':
      return { txn: txnRequest(op) }
  }
}

function compare(op: trace.CompareOp): Compare<Uint8Array> {
  const keys = { key: decode(op.key), ...(op.rangeEnd ? { end: decode(op.rangeEnd) } : {}), is: RESULTS[op.result] }
  switch (op.target) {
    case 'VERSION':
      return { ...keys, version: op.version ?? 0 }
    case 'CREATE':
      return { ...keys, createRevision: op.createRevision ?? 0 }
    case 'MOD':
      return { ...keys, modRevision: op.modRevision ?? 0 }
    case 'VALUE':
      return { ...keys, value: decode(op.value) }
    case 'LEASE':
      return { ...keys, lease: BigInt(op.lease ?? 0) }
  }
}

// From the package's answers to etcd's.

function putAnswer({ prevEntry }: PutResult<Uint8Array>) {
  return { prevKv: prevEntry ? kv(prevEntry) : null }
}

function deleteAnswer({ deleted, prevEntries }: DeleteResult<Uint8Array>) {
  return { deleted, prevKvs: prevEntries?.map(kv) ?? [] }
}

function listAnswer({ countOnly }: trace.RangeOp, list: ListResult<Uint8Array>) {
  return countOnly
    ? { kvs: [], count: list.count, more: false }
    : { kvs: list.toArray().map(kv), count: list.count, more: list.more }
}

function txnAnswer(
  op: trace.TxnOp,
  { ok, results }: TxnResult<Uint8Array>,
): { succeeded: boolean; responses: unknown[] } {
  const asked = ok ? op.success : op.failure
  return { succeeded: ok, responses: results.map((result, i) => opAnswer(asked[i], result)) }
}

function opAnswer(op: trace.OpInTxn | undefined, result: TxnOpResult<Uint8Array>): unknown {
  if ('put' in result) return { put: putAnswer(result.put) }
  if ('delete' in result) return { deleteRange: deleteAnswer(result.delete) }
  if ('list' in result && op?.type === 'range') return { range: listAnswer(op, result.list) }
  if ('txn' in result && op?.type === 'txn') return { txn: txnAnswer(op, result.txn) }
  throw new TypeError(`${Object.keys(result)} answers a ${op?.type}`)
}

function event(change: Change<Uint8Array>): trace.Event {
  const prevKv = change.prevEntry ? kv(change.prevEntry) : null
  if (change.type === 'put') return { type: 'put', kv: kv(change.entry), prevKv }
  const gone = { value: '', createRevision: 0, version: 0, lease: '0' }
  return { type: 'delete', kv: { key: encodeKey(change.key), modRevision: change.modRevision, ...gone }, prevKv }
}

function kv(entry: Entry<Uint8Array>): trace.Kv {
  const { createRevision, modRevision, version } = entry
  // Where only keys were asked for there is no value to decode; etcd sends an empty one.
  const value = encode(entry.value ?? entry.bytes)
  return { key: encodeKey(entry.key), value, createRevision, modRevision, version, lease: String(entry.lease) }
}

function everything(store: Store<Uint8Array>): unknown {
  return {
    revision: store.revision,
    compactRevision: store.compactRevision,
    kvs: store.list().toArray().map(kv),
    history: store.history({}).map(event),
    leases: store.leases().map((id) => {
      const lease = store.lease(id)
      return { id: String(id), ttl: lease?.ttlSeconds, keys: lease?.keys().map(encodeKey) }
    }),
  }
}

// Bytes and text.

const ZERO = encode(Uint8Array.of(0))

function decode(base64: string | undefined): Uint8Array {
  return Uint8Array.from(atob(base64 ?? ''), (letter) => letter.charCodeAt(0))
}

function encode(source: Uint8Array): string {
  return btoa(Array.from(source, (byte) => String.fromCharCode(byte)).join(''))
}

/** Typed as text, since most stores are opened so; this one was opened with bytes for keys. */
function encodeKey(key: string): string {
  return encode(key as unknown as Uint8Array)
}

/** Without the properties that are undefined. */
function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** JSON with the names of every object in order, so that equal texts are equal values. */
function canonical(value: unknown): string {
  const ordered = (_: string, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  return typeof value === 'string' ? value : (JSON.stringify(value, ordered) ?? 'undefined')
}
