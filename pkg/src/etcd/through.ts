// Writes that go to the cluster: what a store asks of its engine, said in etcd's words, and the answer as the engine would
// have packed it. Nothing is shown before the cluster has committed it and the mirror has it.

import { RevkvError } from '../errors.js'
import type { Elsewhere, Host } from '../host.js'
import {
  compareResults,
  type KeyRange,
  type KeyValue,
  request as kinds,
  packAnswer,
  Reader,
  sortTargets,
  type Writer,
} from '../wire.js'
import { agreement } from './agreement.js'
import { toBase64 } from './base64.js'
import { bytes, keyValue } from './forms.js'
import { int64, type Json, list, malformed, natural, object } from './gateway.js'
import type { ClusterFollower } from './mirror.js'
import { bounds, within } from './range.js'

/** A condition, and the keys it is about. */
export interface Compare {
  request: object
  keys: KeyRange
}

/** An operation, and how its answer is packed. */
export interface Op {
  request: object
  /** What its answer depends on. */
  keys: readonly KeyRange[]
  /** What it may change. */
  writes: readonly KeyRange[]
  /** Of a put; no value where it keeps the one that is there. */
  put?: { key: Uint8Array; value: Uint8Array | undefined }
  /** What it was answered, where that can be told without the answer: `count` keys were in what it changes. */
  recall?(count: number): Json
  /** Whether it has written something. */
  hasWritten(response: Json): boolean
  pack(w: Writer, response: Json, revision: number): void
}

/** A request in etcd's words, and its answer in the engine's. */
export interface Plan {
  compare: Compare[]
  success: Op[]
  failure: Op[]
  answer(outcome: Outcome): Reader
}

export interface Outcome {
  /** The store's, with what was changed, or what it was decided by. */
  revision: number
  succeeded: boolean
  responses: Json[]
  hasWritten: boolean
}

export class WriteThrough implements Elsewhere {
  readonly #host: Host
  readonly #cluster: ClusterFollower
  readonly #keys: KeyRange

  constructor(host: Host, cluster: ClusterFollower, keys: KeyRange) {
    this.#host = host
    this.#cluster = cluster
    this.#keys = keys
  }

  async ask(request: Uint8Array): Promise<Reader> {
    const plan = this.plan(request)
    if (plan) return plan.answer(await this.run(plan))
    const r = new Reader(request)
    switch (r.u32()) {
      case kinds.leased:
        return this.#leased(r)
      case kinds.leaseGrant:
        return this.#lease('/v3/lease/grant', { ID: String(r.i64()), TTL: r.u64() })
      case kinds.leaseRevoke:
        return this.#revoke(String(r.i64()))
      case kinds.leaseKeepAlive:
        return this.#lease('/v3/lease/keepalive', { ID: String(r.i64()) })
      default:
        throw new RevkvError('INVALID_ARGUMENT', 'This cannot be asked of a cluster.')
    }
  }

  /** Of a request that becomes one transaction there; of others none. */
  plan(request: Uint8Array): Plan | undefined {
    const r = new Reader(request)
    return this.#plan(r.u32(), r)
  }

  #plan(kind: number, r: Reader): Plan | undefined {
    switch (kind) {
      case kinds.put:
        return single(this.#put(r))
      case kinds.deleteRange:
        return single(this.#deleteRange(r))
      case kinds.txn:
        return this.#txn(r)
      case kinds.commit:
        return this.#commit(r)
      default:
        return undefined
    }
  }

  #txn(r: Reader): Plan {
    const { compare, success, failure } = this.#readTxn(r)
    const answer = ({ revision, succeeded, responses }: Outcome) =>
      packAnswer((w) => packTxn(w, revision, succeeded, succeeded ? success : failure, responses))
    return { compare, success, failure, answer }
  }

  /** What was read has to be as it was: each key there at its revision, and in each range no other. */
  #commit(r: Reader): Plan {
    const read = r.u64()
    const reads = r.list(() => readRange(r))
    const deletes = r.list(() => this.#deletion(readRange(r), false))
    const puts = r.list(() => this.#put(r))
    const compare = reads.flatMap((keys) => this.guards(keys, read))
    const answer = ({ revision, succeeded }: Outcome) => {
      if (!succeeded) throw new RevkvError('CONFLICT', 'What was read has been changed in the cluster.')
      return packAnswer((w) => w.u64(revision))
    }
    return { compare, success: [...deletes, ...puts], failure: [], answer }
  }

  async #leased(r: Reader): Promise<Reader> {
    const leases = r.list(() => ({ ID: String(r.i64()), TTL: r.u64() }))
    const granted: string[] = []
    let mayBeWritten = false
    try {
      for (const lease of leases) {
        await this.#call('/v3/lease/grant', lease)
        granted.push(lease.ID)
      }
      const plan = this.#plan([kinds.put, kinds.txn, kinds.commit][r.u32()] as number, r) as Plan
      mayBeWritten = true
      const outcome = await this.run(plan).catch((e: unknown) => {
        mayBeWritten = !isRefusal(e)
        throw e
      })
      mayBeWritten = outcome.hasWritten
      return plan.answer(outcome)
    } finally {
      // The end of a lease is that of its keys: so not where an answer was lost, behind which they may be.
      if (!mayBeWritten) await this.#takeBack(granted)
    }
  }

  async #takeBack(leases: string[]): Promise<void> {
    // One that cannot be taken back ends by its time.
    for (const ID of leases) await this.#call('/v3/lease/revoke', { ID }).catch(() => {})
  }

  async #lease(path: string, body: object): Promise<Reader> {
    const answer = await this.#call(path, body)
    const result = answer.result === undefined ? answer : object(answer.result, 'result')
    const revision = natural(object(answer.header ?? result.header, 'header').revision, 'revision')
    const ttl = natural(result.TTL, 'TTL')
    if (path.endsWith('keepalive') && ttl === 0)
      throw new RevkvError('LEASE_NOT_FOUND', 'etcd: the lease is not there.')
    return packAnswer((w) => {
      w.u64(revision)
      if (path.endsWith('grant')) w.i64(int64(result.ID, 'ID'))
      w.u64(ttl)
    })
  }

  /** Its keys may lie outside of what is mirrored; those that do not are gone here too. */
  async #revoke(ID: string): Promise<Reader> {
    const { keys } = await this.#call('/v3/lease/timetolive', { ID, keys: true })
    if (keys !== undefined && !Array.isArray(keys)) throw malformed('keys is no list')
    const ranges = (keys ?? []).map((key: unknown) => ({ key: bytes(key, 'keys') }))
    await this.#call('/v3/lease/revoke', { ID })
    await this.#agree(ranges)
    return packAnswer((w) => w.u64(this.#host.revision))
  }

  /** Resolves when the store has what came of it. `guards`: it is not tried unless these hold, else `CONFLICT`. */
  async run({ compare, success, failure }: Plan, guards?: Compare[]): Promise<Outcome> {
    const txn = { compare: requests(compare), success: requests(success), failure: requests(failure) }
    const guarded = guards && { compare: requests(guards), success: [{ request_txn: txn }] }
    const answer = await this.#call('/v3/kv/txn', guarded ?? txn)
    if (guards && answer.succeeded !== true) {
      await this.#agree(guards.map(({ keys }) => keys))
      throw guardsFailed()
    }
    const revision = natural(object(answer.header, 'header').revision, 'revision')
    const inner = guards ? object(list(answer.responses, 'responses')[0]?.response_txn ?? {}, 'response_txn') : answer
    const responses = list(inner.responses, 'responses')
    const succeeded = inner.succeeded === true
    const ops = succeeded ? success : failure
    if (ops.some((op, place) => op.hasWritten(responses[place] ?? {}))) {
      await this.#cluster.reached(revision)
      return { revision, succeeded, responses, hasWritten: true }
    }
    await this.#agree([...compare.map(({ keys }) => keys), ...ops.flatMap(({ keys }) => keys)])
    return { revision: this.#host.revision, succeeded, responses, hasWritten: false }
  }

  /** Of what lies outside of the mirrored range nothing is here. */
  #agree(ranges: readonly KeyRange[]): Promise<void> {
    const mirrored = ranges.filter((keys) => within(keys, this.#keys))
    const isCovered = (keys: KeyRange, place: number) => {
      return mirrored.some((other, i) => within(keys, other) && (i < place || !within(other, keys)))
    }
    return agreement(
      this.#cluster,
      (keys) => this.#host.keysOf(keys, 0),
      mirrored.filter((keys, place) => !isCovered(keys, place)),
    )
  }

  #call(path: string, body: object): Promise<Json> {
    return this.#cluster.gateway.call(path, body, this.#cluster.signal)
  }

  /** That a range is as it is here at a revision. */
  guards(keys: KeyRange, read: number): Compare[] {
    const mod = { target: 'MOD' }
    if ('key' in keys) {
      const [kv] = this.#host.keysOf(keys, read)
      const key = toBase64(keys.key)
      const request = { key, ...mod, result: 'EQUAL', mod_revision: String(kv?.modRevision ?? 0) }
      return [{ request, keys }]
    }
    const there = this.#host.keysOf(keys, read).map((kv) => {
      const request = { key: toBase64(kv.key), ...mod, result: 'EQUAL', mod_revision: String(kv.modRevision) }
      return { request, keys: { key: kv.key } }
    })
    const { key, rangeEnd } = bounds(keys)
    const none = { key, range_end: rangeEnd, ...mod, result: 'LESS', mod_revision: String(read + 1) }
    return [...there, { request: none, keys }]
  }

  #put(r: Reader): Op {
    const [key, value] = [r.bytes(), r.bytes()]
    this.#check({ key })
    const put = {
      key: toBase64(key),
      value: toBase64(value),
      lease: String(r.i64()),
      prev_kv: r.bool(),
      ignore_value: r.bool(),
      ignore_lease: r.bool(),
    }
    return {
      request: { request_put: put },
      keys: [{ key }],
      writes: [{ key }],
      put: { key, value: put.ignore_value ? undefined : value },
      ...(put.prev_kv ? {} : { recall: () => ({}) }),
      hasWritten: () => true,
      pack: packPut,
    }
  }

  #deleteRange(r: Reader): Op {
    return this.#deletion(readRange(r), r.bool())
  }

  #deletion(keys: KeyRange, prevKv: boolean): Op {
    this.#check(keys)
    const { key, rangeEnd } = bounds(keys)
    const request = { request_delete_range: { key, range_end: rangeEnd, prev_kv: prevKv } }
    const recall = (count: number) => ({ response_delete_range: count > 0 ? { deleted: String(count) } : {} })
    const known = prevKv ? {} : { recall }
    return { request, keys: [keys], writes: [keys], ...known, hasWritten: hasDeleted, pack: packDelete }
  }

  #range(r: Reader): Op {
    const keys = readRange(r)
    const { key, rangeEnd } = bounds(keys)
    const [revision, limit, keysOnly, countOnly] = [r.u64(), r.u64(), r.bool(), r.bool()]
    r.bool()
    const [sortBy, descend] = [r.u32(), r.bool()]
    const [minMod, maxMod, minCreate, maxCreate] = [r.u64(), r.u64(), r.u64(), r.u64()]
    const range = {
      key,
      range_end: rangeEnd,
      revision: String(revision),
      limit: String(limit),
      keys_only: keysOnly,
      count_only: countOnly,
      sort_target: sortNames[sortTargets[sortBy] as keyof typeof sortNames],
      sort_order: descend ? 'DESCEND' : 'ASCEND',
      min_mod_revision: String(minMod),
      max_mod_revision: String(maxMod),
      min_create_revision: String(minCreate),
      max_create_revision: String(maxCreate),
    }
    return { request: { request_range: range }, keys: [keys], writes: [], hasWritten: () => false, pack: packRange }
  }

  #readTxn(r: Reader): { compare: Compare[]; success: Op[]; failure: Op[] } {
    const compare = r.list(() => readCompare(r))
    const ops = () => r.list(() => this.#op(r))
    return { compare, success: ops(), failure: ops() }
  }

  #op(r: Reader): Op {
    switch (r.u32()) {
      case 0:
        return this.#put(r)
      case 1:
        return this.#deleteRange(r)
      case 2:
        return this.#range(r)
      default: {
        const { compare, success, failure } = this.#readTxn(r)
        const nested = { compare: requests(compare), success: requests(success), failure: requests(failure) }
        const read = (response: Json) => {
          const answer = object(response.response_txn ?? {}, 'response_txn')
          const succeeded = answer.succeeded === true
          return { succeeded, ops: succeeded ? success : failure, responses: list(answer.responses, 'responses') }
        }
        const pack = (w: Writer, response: Json, revision: number) => {
          const { succeeded, ops, responses } = read(response)
          packTxn(w, revision, succeeded, ops, responses)
        }
        const hasWritten = (response: Json) => {
          const { ops, responses } = read(response)
          return ops.some((op, place) => op.hasWritten(responses[place] ?? {}))
        }
        const keys = [...compare.map(({ keys }) => keys), ...[...success, ...failure].flatMap(({ keys }) => keys)]
        const writes = [...success, ...failure].flatMap(({ writes }) => writes)
        return { request: { request_txn: nested }, keys, writes, hasWritten, pack }
      }
    }
  }

  #check(keys: KeyRange): void {
    if (!within(keys, this.#keys)) throw new RevkvError('INVALID_RANGE', 'Only keys that are mirrored can be written.')
  }
}

const sortNames = {
  key: 'KEY',
  version: 'VERSION',
  createRevision: 'CREATE',
  modRevision: 'MOD',
  value: 'VALUE',
} as const
const resultNames = { '=': 'EQUAL', '!=': 'NOT_EQUAL', '>': 'GREATER', '<': 'LESS' } as const

/** One operation by itself: as a transaction of one, so that its answer is of the same revision. */
function single(op: Op): Plan {
  const answer = ({ revision, responses }: Outcome) => packAnswer((w) => op.pack(w, responses[0] ?? {}, revision))
  return { compare: [], success: [op], failure: [], answer }
}

/** Somebody else has changed what a write goes on from. */
export function guardsFailed(): RevkvError {
  return new RevkvError('CONFLICT', 'What was there when this was written has been changed in the cluster.')
}

/** The cluster has said no, and has written nothing. */
function isRefusal(e: unknown): boolean {
  return RevkvError.is(e) && !['STORAGE_LOST', 'CORRUPT', 'CLOSED'].includes(e.code)
}

function requests(parts: readonly { request: object }[]): object[] {
  return parts.map(({ request }) => request)
}

function readRange(r: Reader): KeyRange {
  switch (r.u32()) {
    case 0:
      return { key: r.bytes() }
    case 1:
      return { start: r.bytes(), end: r.bytes() }
    default:
      return { start: r.bytes() }
  }
}

function readCompare(r: Reader): Compare {
  const keys = readRange(r)
  const { key, rangeEnd } = bounds(keys)
  const operand = [
    () => ({ target: 'VERSION', version: String(r.u64()) }),
    () => ({ target: 'CREATE', create_revision: String(r.u64()) }),
    () => ({ target: 'MOD', mod_revision: String(r.u64()) }),
    () => ({ target: 'VALUE', value: toBase64(r.bytes()) }),
    () => ({ target: 'LEASE', lease: String(r.i64()) }),
  ][r.u32()]
  const compared = operand?.()
  const result = resultNames[compareResults[r.u32()] ?? '=']
  return { request: { key, range_end: rangeEnd, ...compared, result }, keys }
}

function packKv(w: Writer, kv: unknown): void {
  w.bool(kv !== undefined)
  if (kv !== undefined) w.keyValue(keyValue(object(kv, 'prev_kv')))
}

function packPut(w: Writer, response: Json, revision: number): void {
  w.u64(revision)
  packKv(w, object(response.response_put ?? {}, 'response_put').prev_kv)
}

function hasDeleted(response: Json): boolean {
  return object(response.response_delete_range ?? {}, 'response_delete_range').deleted !== undefined
}

function packDelete(w: Writer, response: Json, revision: number): void {
  const answer = object(response.response_delete_range ?? {}, 'response_delete_range')
  w.u64(revision)
  w.u64(natural(answer.deleted, 'deleted'))
  packKvs(w, list(answer.prev_kvs, 'prev_kvs').map(keyValue))
}

function packRange(w: Writer, response: Json, revision: number): void {
  const answer = object(response.response_range ?? {}, 'response_range')
  w.u64(revision)
  w.u64(natural(answer.count, 'count'))
  w.bool(answer.more === true)
  w.columns(list(answer.kvs, 'kvs').map(keyValue))
}

function packKvs(w: Writer, kvs: readonly KeyValue[]): void {
  w.u64(kvs.length)
  for (const kv of kvs) w.keyValue(kv)
}

function packTxn(w: Writer, revision: number, succeeded: boolean, ops: Op[], responses: Json[]): void {
  w.u64(revision)
  w.bool(succeeded)
  w.u64(ops.length)
  for (const [place, op] of ops.entries()) {
    w.u32(0)
    op.pack(w, responses[place] ?? {}, revision)
  }
}
