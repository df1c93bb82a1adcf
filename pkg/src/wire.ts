// The packed form in which requests go to the engine and answers come back: bincode 2 with fixed-width little-endian
// integers. Lengths and counts are u64, variants u32, in the order of the fields of the Rust structs.
// Requests arrive here checked, as bytes and numbers, so no code of a user's runs while one is being written.

import { RevkvError } from './errors.js'
import type { Loss } from './types.js'

/** One key, the keys in [start, end), or all keys from start on. */
export type KeyRange = { key: Uint8Array } | { start: Uint8Array; end?: Uint8Array }

export interface Put {
  key: Uint8Array
  value: Uint8Array
  lease: bigint
  prevKv: boolean
  ignoreValue: boolean
  ignoreLease: boolean
}

export interface KeyValue {
  key: Uint8Array
  createRevision: number
  modRevision: number
  version: number
  lease: bigint
  value: Uint8Array
}

export interface DeleteRange {
  keys: KeyRange
  prevKv: boolean
}

/** The number of a sort target in the packed form is its place here. */
export const sortTargets = ['key', 'version', 'createRevision', 'modRevision', 'value'] as const

export interface RangeRequest {
  keys: KeyRange
  revision: number
  limit: number
  keysOnly: boolean
  countOnly: boolean
  /** Where the limit cuts it short, the count may be one above that, whatever is there. */
  uncounted: boolean
  sortBy: (typeof sortTargets)[number]
  descend: boolean
  minModRevision: number
  maxModRevision: number
  minCreateRevision: number
  maxCreateRevision: number
}

/** All keys, as they are now. */
export const everything: RangeRequest = {
  keys: { start: new Uint8Array(0) },
  revision: 0,
  limit: 0,
  keysOnly: false,
  countOnly: false,
  uncounted: false,
  sortBy: 'key',
  descend: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
}

/** The number of a target in the packed form is its place here. */
export const compareTargets = ['version', 'createRevision', 'modRevision', 'value', 'lease'] as const
/** The number of a result in the packed form is its place here. */
export const compareResults = ['=', '!=', '>', '<'] as const

export interface CompareRequest {
  keys: KeyRange
  target: (typeof compareTargets)[number]
  operand: number | bigint | Uint8Array
  result: (typeof compareResults)[number]
}

/** `single` is for the reader of the answer: a range over one key that was asked as `get`. */
export type Op =
  | { kind: 'put'; put: Put }
  | { kind: 'delete'; delete: DeleteRange }
  | { kind: 'range'; range: RangeRequest; single: boolean }
  | { kind: 'txn'; txn: Txn }

export interface Txn {
  compare: CompareRequest[]
  success: Op[]
  failure: Op[]
}

/** Deletes, then puts, in one revision, if nothing of `reads` has changed since `revision`. */
export interface Commit {
  revision: number
  reads: KeyRange[]
  deletes: KeyRange[]
  puts: Put[]
}

export interface HistoryRequest {
  keys: KeyRange
  from: number
  to: number
  limit: number
}

export interface WatchRequest {
  keys: KeyRange
  startRevision: number
  prevKv: boolean
  noPut: boolean
  noDelete: boolean
  resync: boolean
}

/** What to write since the last time: all of it is one batch. */
export interface Ready {
  through: number
  epoch: number
  put: { id: string; bytes: Uint8Array }[]
  delete: string[]
}

export interface Stats {
  keys: number
  revisions: number
  bytes: number
  watchers: number
  leases: number
}

export interface LeaseInfo {
  id: bigint
  ttlSeconds: number
  remainingMs: number
  keys: Uint8Array[]
}

/** The number of a request in the packed form. */
export const request = {
  put: 0,
  deleteRange: 1,
  txn: 2,
  compact: 3,
  leaseGrant: 4,
  leaseRevoke: 5,
  leaseKeepAlive: 6,
  restoreTo: 7,
  commit: 8,
  leased: 9,
}
/** The number of a request that leases are granted with. */
const leasedRequest = { put: 0, txn: 1, commit: 2 }
const wordRange = 2 ** 32

/** A lease that is to be granted. */
export interface NewLease {
  id: bigint
  ttlSeconds: number
}
const noLeases: readonly NewLease[] = []

/** Each of these gives bytes that hold until the next request is packed: pass them on at once, do not keep them. */
export function packPut(put: Put, leases = noLeases): Uint8Array {
  return packed((w) => {
    w.begin('put', leases)
    w.put(put)
  })
}

export function packDeleteRange(deletion: DeleteRange): Uint8Array {
  return packed((w) => {
    w.u32(request.deleteRange)
    w.deleteRange(deletion)
  })
}

export function packTxn(txn: Txn, leases = noLeases): Uint8Array {
  return packed((w) => {
    w.begin('txn', leases)
    w.txn(txn)
  })
}

export function packCompact(revision: number): Uint8Array {
  return packed((w) => {
    w.u32(request.compact)
    w.u64(revision)
  })
}

export function packLeaseGrant(id: bigint, ttlSeconds: number): Uint8Array {
  return packed((w) => {
    w.u32(request.leaseGrant)
    w.i64(id)
    w.u64(ttlSeconds)
  })
}

export function packLeaseRevoke(id: bigint): Uint8Array {
  return packed((w) => {
    w.u32(request.leaseRevoke)
    w.i64(id)
  })
}

export function packLeaseKeepAlive(id: bigint): Uint8Array {
  return packed((w) => {
    w.u32(request.leaseKeepAlive)
    w.i64(id)
  })
}

export function packRestoreTo(keys: KeyRange, revision: number): Uint8Array {
  return packed((w) => {
    w.u32(request.restoreTo)
    w.keyRange(keys)
    w.u64(revision)
  })
}

export function packCommit({ revision, reads, deletes, puts }: Commit, leases = noLeases): Uint8Array {
  return packed((w) => {
    w.begin('commit', leases)
    w.u64(revision)
    w.keyRanges(reads)
    w.keyRanges(deletes)
    w.u64(puts.length)
    for (const put of puts) w.put(put)
  })
}

export function packIsUnchanged(revision: number, reads: KeyRange[]): Uint8Array {
  return packed((w) => {
    w.u64(revision)
    w.keyRanges(reads)
  })
}

/** A KeyValue as the engine packs it, in bytes of its own. */
export function packKeyValue(kv: KeyValue): Uint8Array {
  return packed((w) => w.keyValue(kv)).slice()
}

export function packDiff(keys: KeyRange, from: number, to: number): Uint8Array {
  return packed((w) => {
    w.keyRange(keys)
    w.u64(from)
    w.u64(to)
  })
}

export function packRange(range: RangeRequest): Uint8Array {
  return packed((w) => w.range(range))
}

export function packHistory(history: HistoryRequest): Uint8Array {
  return packed((w) => {
    w.keyRange(history.keys)
    w.u64(history.from)
    w.u64(history.to)
    w.u64(history.limit)
  })
}

export function packWatch(watch: WatchRequest): Uint8Array {
  return packed((w) => {
    w.keyRange(watch.keys)
    w.u64(watch.startRevision)
    w.bool(watch.prevKv)
    w.bool(watch.noPut)
    w.bool(watch.noDelete)
    w.bool(watch.resync)
  })
}

/** For several watchers at once: the number of each, and up to which revision it wants what it has not seen. */
export function packTakeMany(wanted: readonly { id: number; upTo: number }[]): Uint8Array {
  return packed((w) => {
    w.u64(wanted.length)
    for (const { id, upTo } of wanted) {
      w.u32(id)
      w.u64(upTo)
    }
  })
}

/** A list, of any length: in bytes of its own. */
export function packList<T>(items: readonly T[], write: (w: Writer, item: T) => void): Uint8Array {
  const w = new Writer(Number.POSITIVE_INFINITY)
  w.u64(items.length)
  for (const item of items) write(w, item)
  return w.written()
}

/** An answer as the engine would pack it, for requests that are answered elsewhere. */
export function packAnswer(write: (w: Writer) => void): Reader {
  const w = new Writer(Number.POSITIVE_INFINITY)
  write(w)
  return new Reader(w.written())
}

let writer: Writer | undefined

function packed(write: (w: Writer) => void): Uint8Array {
  writer ??= new Writer()
  writer.clear()
  write(writer)
  return writer.written()
}

/** Beyond this the scratch area is given back after use, so that one huge value is not paid for ever after. */
const scratchBytesMax = 1 << 20

/**
 * A request beyond this is refused before it crosses. The engine's own bound is far lower and is the one to know; this
 * one keeps a request from using up the memory that the engine needs to say so.
 */
export const requestBytesMax = 1 << 26

export function tooLarge(): RevkvError {
  return new RevkvError('TOO_LARGE', `The request holds more than ${requestBytesMax} bytes.`)
}

export class Writer {
  readonly #lengthMax: number
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  constructor(lengthMax = requestBytesMax) {
    this.#lengthMax = lengthMax
  }

  clear(): void {
    if (this.#bytes.length > scratchBytesMax) this.#replace(new Uint8Array(1024))
    this.#length = 0
  }

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** The beginning of a request, with which these leases are granted. */
  begin(name: keyof typeof leasedRequest, leases: readonly NewLease[]): void {
    if (leases.length === 0) return this.u32(request[name])
    this.u32(request.leased)
    this.u64(leases.length)
    for (const { id, ttlSeconds } of leases) {
      this.i64(id)
      this.u64(ttlSeconds)
    }
    this.u32(leasedRequest[name])
  }

  bool(value: boolean): void {
    const at = this.#advance(1)
    this.#bytes[at] = value ? 1 : 0
  }

  u32(value: number): void {
    const at = this.#advance(4)
    this.#view.setUint32(at, value, true)
  }

  u64(value: number): void {
    const at = this.#advance(8)
    this.#view.setUint32(at, value % wordRange, true)
    this.#view.setUint32(at + 4, value / wordRange, true)
  }

  i64(value: bigint): void {
    const at = this.#advance(8)
    this.#view.setBigInt64(at, value, true)
  }

  bytes(value: Uint8Array): void {
    this.u64(value.length)
    this.#raw(value)
  }

  keyValue(kv: KeyValue): void {
    this.bytes(kv.key)
    this.u64(kv.createRevision)
    this.u64(kv.modRevision)
    this.u64(kv.version)
    this.i64(kv.lease)
    this.bytes(kv.value)
  }

  /** As `readColumns` reads them. */
  columns(kvs: readonly KeyValue[]): void {
    const sum = (lengths: number[]) => lengths.reduce((sum, length) => sum + length, 0)
    this.u64(kvs.length)
    this.u64(sum(kvs.map(({ key }) => key.length)))
    this.u64(sum(kvs.map(({ value }) => value.length)))
    for (const kv of kvs) {
      for (const number of [kv.key.length, kv.value.length, kv.createRevision, kv.modRevision, kv.version]) {
        this.u64(number)
      }
      this.i64(kv.lease)
    }
    for (const { key } of kvs) this.#raw(key)
    for (const { value } of kvs) this.#raw(value)
  }

  keyRange(keys: KeyRange): void {
    if ('key' in keys) {
      this.u32(0)
      this.bytes(keys.key)
    } else if (keys.end) {
      this.u32(1)
      this.bytes(keys.start)
      this.bytes(keys.end)
    } else {
      this.u32(2)
      this.bytes(keys.start)
    }
  }

  keyRanges(ranges: KeyRange[]): void {
    this.u64(ranges.length)
    for (const keys of ranges) this.keyRange(keys)
  }

  put(put: Put): void {
    this.bytes(put.key)
    this.bytes(put.value)
    this.i64(put.lease)
    this.bool(put.prevKv)
    this.bool(put.ignoreValue)
    this.bool(put.ignoreLease)
  }

  deleteRange(deletion: DeleteRange): void {
    this.keyRange(deletion.keys)
    this.bool(deletion.prevKv)
  }

  range(range: RangeRequest): void {
    this.keyRange(range.keys)
    this.u64(range.revision)
    this.u64(range.limit)
    this.bool(range.keysOnly)
    this.bool(range.countOnly)
    this.bool(range.uncounted)
    this.u32(sortTargets.indexOf(range.sortBy))
    this.bool(range.descend)
    this.u64(range.minModRevision)
    this.u64(range.maxModRevision)
    this.u64(range.minCreateRevision)
    this.u64(range.maxCreateRevision)
  }

  txn(txn: Txn): void {
    this.u64(txn.compare.length)
    for (const compare of txn.compare) this.#compare(compare)
    this.#ops(txn.success)
    this.#ops(txn.failure)
  }

  #compare({ keys, target, operand, result }: CompareRequest): void {
    this.keyRange(keys)
    this.u32(compareTargets.indexOf(target))
    if (typeof operand === 'number') this.u64(operand)
    else if (typeof operand === 'bigint') this.i64(operand)
    else this.bytes(operand)
    this.u32(compareResults.indexOf(result))
  }

  #ops(ops: Op[]): void {
    this.u64(ops.length)
    for (const op of ops) this.#op(op)
  }

  #op(op: Op): void {
    switch (op.kind) {
      case 'put':
        this.u32(0)
        return this.put(op.put)
      case 'delete':
        this.u32(1)
        return this.deleteRange(op.delete)
      case 'range':
        this.u32(2)
        return this.range(op.range)
      case 'txn':
        this.u32(3)
        return this.txn(op.txn)
    }
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#advance(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** Makes room and says where. It may move everything to a new area, so it comes before the area is looked up. */
  #advance(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#lengthMax) throw tooLarge()
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#replace(grown)
    }
    return at
  }

  #replace(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}

/** Reads an answer front to back. The engine writes only what it means, so nothing is checked again here. */
export class Reader {
  readonly source: Uint8Array
  at = 0

  constructor(source: Uint8Array) {
    this.source = source
  }

  bool(): boolean {
    return this.source[this.at++] === 1
  }

  u32(): number {
    this.at += 4
    return u32At(this.source, this.at - 4)
  }

  u64(): number {
    this.at += 8
    return u64At(this.source, this.at - 8)
  }

  i64(): bigint {
    this.at += 8
    return i64At(this.source, this.at - 8)
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.u64()
    this.at += length
    return this.source.slice(this.at - length, this.at)
  }

  text(): string {
    let text = ''
    for (const unit of this.bytes()) text += String.fromCharCode(unit)
    return text
  }

  list<T>(item: () => T): T[] {
    const count = this.u64()
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(item())
    return items
  }
}

// By bytes, not by a DataView: making one costs as much as the rest of a point read.

export function u32At(source: Uint8Array, at: number): number {
  const [a, b, c, d] = [source[at], source[at + 1], source[at + 2], source[at + 3]] as [number, number, number, number]
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0
}

export function u64At(source: Uint8Array, at: number): number {
  return u32At(source, at) + u32At(source, at + 4) * wordRange
}

export function i64At(source: Uint8Array, at: number): bigint {
  return BigInt.asIntN(64, (BigInt(u32At(source, at + 4)) << 32n) | BigInt(u32At(source, at)))
}

/**
 * A packed KeyValue: u64 key length, key, create_revision, mod_revision, version, lease (8 bytes each), u64 value length, value.
 * These say where in it the four numbers and the value's length begin, counted from the end of the key.
 */
export const keyValueFields = { createRevision: 0, modRevision: 8, version: 16, lease: 24, valueLength: 32, value: 40 }

/** The keys of a range, copied: they come in columns. See `RangeResponse` in the engine. */
export function readColumns(r: Reader): KeyValue[] {
  const [length, keyBytes] = [r.u64(), r.u64()]
  r.u64()
  let keyStart = r.at + length * columnWordBytes
  let valueStart = keyStart + keyBytes
  const kvs = Array.from({ length }, () => {
    const [keyEnd, valueEnd] = [keyStart + r.u64(), valueStart + r.u64()]
    const [createRevision, modRevision, version, lease] = [r.u64(), r.u64(), r.u64(), r.i64()]
    const [key, value] = [r.source.slice(keyStart, keyEnd), r.source.slice(valueStart, valueEnd)]
    keyStart = keyEnd
    valueStart = valueEnd
    return { key, createRevision, modRevision, version, lease, value }
  })
  r.at = valueStart
  return kvs
}

/** The words of each key in columns: key length, value length, and the four numbers. */
export const columnWordBytes = 48

/** Where in a packed KeyValue its value begins, and how long it is. */
export function valueStart(source: Uint8Array, start: number): number {
  return start + 8 + u64At(source, start) + keyValueFields.value
}

export function valueLength(source: Uint8Array, valueStart: number): number {
  return u64At(source, valueStart - keyValueFields.value + keyValueFields.valueLength)
}

export function readReady(source: Uint8Array): Ready {
  const r = new Reader(source)
  return {
    through: r.u64(),
    epoch: r.u64(),
    put: r.list(() => ({ id: r.text(), bytes: r.bytes() })),
    delete: r.list(() => r.text()),
  }
}

/** Of a salvage. */
export function readLosses(source: Uint8Array): Loss[] {
  const r = new Reader(source)
  return r.list(() => ({ blob: r.text(), what: r.text(), fromRevision: r.u64(), toRevision: r.u64() }))
}

export interface BackupInfo {
  id: number
  size: number
  revision: number
}

export function readBackupInfo(source: Uint8Array): BackupInfo {
  const r = new Reader(source)
  return { id: r.u32(), size: r.u64(), revision: r.u64() }
}

export function readStats(source: Uint8Array): Stats {
  // On wasm32 a `usize` is packed as a u64 too.
  const r = new Reader(source)
  return { keys: r.u64(), revisions: r.u64(), bytes: r.u64(), watchers: r.u64(), leases: r.u64() }
}

export function readLease(source: Uint8Array): LeaseInfo {
  const r = new Reader(source)
  return { id: r.i64(), ttlSeconds: r.u64(), remainingMs: Number(r.i64()), keys: r.list(() => r.bytes()) }
}
