// etcd's KV service over a store of bytes: range, put, deleterange, txn, compaction.

import { RevkvError } from '../errors.js'
import type {
  Compare,
  CompareResult,
  DeleteResult,
  Entry,
  ListOptions,
  ListResult,
  PutResult,
  Range,
  Store,
  TxnOp,
  TxnOpResult,
  TxnRequest,
  TxnResult,
} from '../types.js'
import { bytes, flag, int64, list, type Message } from './message.js'
import { Status } from './status.js'

export type Bytes = Store<Uint8Array>

/** An answer's fields beside its header. */
export type Answer = Record<string, unknown>

export async function range(store: Bytes, request: Message): Promise<Answer> {
  const query = readRange(request, store)
  const { keys, options } = query
  if (query.countOnly) return { count: int64(store.count(keys, { revision: options.revision ?? 0 })) }
  return rangeAnswer(query, store.list(keys, options))
}

export async function put(store: Bytes, request: Message): Promise<Answer> {
  const { key, value, options } = readPut(request)
  return putAnswer(await store.put(key, value, options))
}

export async function deleteRange(store: Bytes, request: Message): Promise<Answer> {
  const { target, prevEntries } = readDelete(request)
  return deleteAnswer(await store.delete(target, { prevEntries }))
}

export async function txn(store: Bytes, request: Message): Promise<Answer> {
  const { asked, answer } = readTxn(request, store, 1)
  return answer(await store.txn(asked))
}

export async function compaction(store: Bytes, request: Message): Promise<Answer> {
  const revision = request.int64('revision')
  // A store that was never compacted may be at 0 once; nothing of it is gone then.
  if (revision < 0n || (revision === 0n && store.compactRevision > 0)) throw new RevkvError('COMPACTED', '')
  if (revision > 0n) await store.compact(natural(revision))
  return {}
}

// Keys.

/** A key alone, a range, or with the end "\0" all from the key on. */
function readKeys(request: Message): { key: Uint8Array; target: Uint8Array | Range } {
  const [key, end] = [request.bytes('key'), request.bytes('range_end')]
  if (key.length === 0) throw Status.invalid('etcdserver: key is not provided')
  if (end.length === 0) return { key, target: key }
  return { key, target: isZero(end) ? { start: key } : { start: key, end } }
}

export function isZero(key: Uint8Array): boolean {
  return key.length === 1 && key[0] === 0
}

/** What is too large for a number is far beyond every revision and count. */
export function natural(value: bigint): number {
  if (value <= 0n) return 0
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}

// Range.

const orders = ['NONE', 'ASCEND', 'DESCEND']
const targets = ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE']
const sortBy = ['key', 'version', 'createRevision', 'modRevision', 'value'] as const

interface Query {
  keys: Range
  options: ListOptions
  countOnly: boolean
  keysOnly: boolean
  /** Sorted when the limit has cut already: etcd does so where no order is asked for. */
  sortLast?: { by: (typeof sortBy)[number]; limit: number }
}

function readRange(request: Message, store: Bytes, isInTxn = false): Query {
  const { key, target } = readKeys(request)
  // Nothing lies between a key and itself with a zero byte more.
  const keys = target instanceof Uint8Array ? { start: key, end: Uint8Array.of(...key, 0) } : target
  const [order, by] = [request.choice('sort_order', orders), sortBy[request.choice('sort_target', targets)]]
  if (order >= orders.length || !by) throw Status.invalid('etcdserver: invalid sort option')
  const limit = natural(request.int64('limit'))
  const keysOnly = request.flag('keys_only')
  const filters = readFilters(request)
  const revision = readRevision(request.int64('revision'), store, isInTxn)
  const query = { keys, countOnly: request.flag('count_only'), keysOnly }
  const isFiltered = Object.values(filters).some((bound) => bound !== 0)
  if (order === 0 && by !== 'key' && limit > 0 && !isFiltered) {
    return {
      ...query,
      options: { revision, limit: Math.min(limit + 1, Number.MAX_SAFE_INTEGER) },
      sortLast: { by, limit },
    }
  }
  return { ...query, options: { revision, limit, keysOnly, sortBy: by, reverse: order === 2, ...filters } }
}

/** A negative revision is the newest, but in a txn of a store that was compacted it is one that is gone. */
function readRevision(revision: bigint, store: Bytes, isInTxn: boolean): number {
  return isInTxn && revision < 0n && store.compactRevision > 1 ? 1 : natural(revision)
}

function readFilters(request: Message) {
  const bound = (name: string) => request.int64(name)
  const [maxMod, maxCreate] = [bound('max_mod_revision'), bound('max_create_revision')]
  // A negative maximum lets nothing through.
  const least = (min: bigint, max: bigint) => (max < 0n ? Number.MAX_SAFE_INTEGER : natural(min))
  return {
    minModRevision: least(bound('min_mod_revision'), maxMod),
    maxModRevision: natural(maxMod),
    minCreateRevision: least(bound('min_create_revision'), maxCreate),
    maxCreateRevision: natural(maxCreate),
  }
}

function rangeAnswer({ countOnly, keysOnly, sortLast }: Query, found: ListResult<Uint8Array>): Answer {
  const count = int64(found.count)
  if (countOnly) return { count }
  let [entries, more] = [found.toArray(), found.more]
  if (sortLast) {
    more = entries.length > sortLast.limit
    entries = entries.sort((a, b) => compare(a[sortLast.by], b[sortLast.by])).slice(0, sortLast.limit)
  }
  return { kvs: list(entries.map((entry) => keyValue(entry, keysOnly))), more: flag(more), count }
}

function compare(a: number | string | Uint8Array, b: number | string | Uint8Array): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [a as Uint8Array, b as Uint8Array]
  const at = left.findIndex((byte, i) => byte !== right[i])
  return at < 0 ? left.length - right.length : at < right.length ? Number(left[at]) - Number(right[at]) : 1
}

export function keyValue(entry: Entry<Uint8Array>, keysOnly = false): Answer {
  return {
    key: bytes(keyOf(entry)),
    create_revision: int64(entry.createRevision),
    mod_revision: int64(entry.modRevision),
    version: int64(entry.version),
    value: keysOnly ? undefined : bytes(entry.bytes),
    lease: int64(entry.lease),
  }
}

/** Typed as text, since most stores show keys so; the gateway's shows bytes. */
export function keyOf({ key }: { key: string }): Uint8Array {
  return key as unknown as Uint8Array
}

// Put and delete.

function readPut(request: Message) {
  const key = request.bytes('key')
  if (key.length === 0) throw Status.invalid('etcdserver: key is not provided')
  const options = {
    lease: request.int64('lease'),
    prevEntry: request.flag('prev_kv'),
    ignoreValue: request.flag('ignore_value'),
    ignoreLease: request.flag('ignore_lease'),
  }
  return { key, value: request.bytes('value'), options }
}

function putAnswer({ prevEntry }: PutResult<Uint8Array>): Answer {
  return { prev_kv: prevEntry && keyValue(prevEntry) }
}

function readDelete(request: Message) {
  return { target: readKeys(request).target, prevEntries: request.flag('prev_kv') }
}

function deleteAnswer({ deleted, prevEntries = [] }: DeleteResult<Uint8Array>): Answer {
  return { deleted: int64(deleted), prev_kvs: list(prevEntries.map((entry) => keyValue(entry))) }
}

// Txn. Each request is read together with how its answer will be written.

interface Asked<Request, Result> {
  asked: Request
  answer(result: Result): Answer
}

/** etcd's budget, of which each level of nesting takes at least one. */
const depthMax = 128

function readTxn(request: Message, store: Bytes, depth: number): Asked<TxnRequest<Uint8Array>, TxnResult<Uint8Array>> {
  if (depth > depthMax) throw new RevkvError('TOO_MANY_OPERATIONS', '')
  const lists = ['compare', 'success', 'failure'].map((name) => request.messages(name))
  // Told before any of the operations is looked at.
  if (lists.some(({ length }) => length > depthMax)) throw new RevkvError('TOO_MANY_OPERATIONS', '')
  const [compares = [], success = [], failure = []] = lists
  const asked = { if: compares.map(readCompare) }
  const then = success.map((op) => readOp(op, store, depth))
  const otherwise = failure.map((op) => readOp(op, store, depth))
  return {
    asked: { ...asked, then: then.map((op) => op.asked), else: otherwise.map((op) => op.asked) },
    answer: ({ ok, results }) => {
      const taken = ok ? then : otherwise
      return { succeeded: flag(ok), responses: list(results.map((result, i) => taken[i]?.answer(result) ?? {})) }
    },
  }
}

function readOp(op: Message, store: Bytes, depth: number): Asked<TxnOp<Uint8Array>, TxnOpResult<Uint8Array>> {
  if (op.has('request_range')) {
    const query = readRange(op.message('request_range'), store, true)
    // There is no count in a txn: of a list without values only the count is told.
    const options = query.countOnly ? { revision: query.options.revision ?? 0, keysOnly: true } : query.options
    return {
      asked: { list: query.keys, options },
      answer: (result) => {
        const found = (result as { list: ListResult<Uint8Array> }).list
        return { response_range: { header: header(found), ...rangeAnswer(query, found) } }
      },
    }
  }
  if (op.has('request_put')) {
    const { key, value, options } = readPut(op.message('request_put'))
    return {
      asked: { put: [key, value], ...options },
      answer: (result) => {
        const done = (result as { put: PutResult<Uint8Array> }).put
        return { response_put: { header: header(done), ...putAnswer(done) } }
      },
    }
  }
  if (op.has('request_delete_range')) {
    const { target, prevEntries } = readDelete(op.message('request_delete_range'))
    return {
      asked: { delete: target, prevEntries },
      answer: (result) => {
        const done = (result as { delete: DeleteResult<Uint8Array> }).delete
        return { response_delete_range: { header: header(done), ...deleteAnswer(done) } }
      },
    }
  }
  if (!op.has('request_txn')) throw Status.invalid('etcdserver: key not found')
  const inner = readTxn(op.message('request_txn'), store, depth + 1)
  return {
    asked: { txn: inner.asked },
    // etcd leaves this header empty.
    answer: (result) => ({
      response_txn: { header: {}, ...inner.answer((result as { txn: TxnResult<Uint8Array> }).txn) },
    }),
  }
}

/** Of an operation in a txn it says no more than the revision. */
function header({ revision }: { revision: number }): Answer {
  return { revision: int64(revision) }
}

const results = ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL']
const signs: CompareResult[] = ['=', '>', '<', '!=']
const compareTargets = ['VERSION', 'CREATE', 'MOD', 'VALUE', 'LEASE']

function readCompare(request: Message): Compare<Uint8Array> {
  const [key, end] = [request.bytes('key'), request.bytes('range_end')]
  if (key.length === 0) throw Status.invalid('etcdserver: key is not provided')
  const is = signs[request.choice('result', results)]
  const target = compareTargets[request.choice('target', compareTargets)]
  if (!is || !target) throw Status.invalid('etcdserver: unknown compare')
  const keys = { key, ...(end.length > 0 ? { end } : {}) }
  switch (target) {
    case 'VALUE':
      return { ...keys, value: request.bytes('value'), is }
    case 'LEASE':
      return { ...keys, lease: request.int64('lease'), is }
    case 'VERSION':
      return { ...keys, ...operand(request.int64('version'), is, (version) => ({ version })) }
    case 'CREATE':
      return {
        ...keys,
        ...operand(request.int64('create_revision'), is, (createRevision) => ({ createRevision })),
      }
    default:
      return { ...keys, ...operand(request.int64('mod_revision'), is, (modRevision) => ({ modRevision })) }
  }
}

/** What is stored lies between 0 and what a number holds: beyond that all compares have one answer for every key. */
function operand<T>(given: bigint, is: CompareResult, named: (value: number) => T): T & { is: CompareResult } {
  const max = BigInt(Number.MAX_SAFE_INTEGER)
  if (given >= 0n && given <= max) return { ...named(Number(given)), is }
  const holds = is === '!=' || is === (given < 0n ? '>' : '<')
  return holds ? { ...named(Number.MAX_SAFE_INTEGER), is: '<' } : { ...named(0), is: '<' }
}
