// The KV service: requests to the engine's, and its answers back.

import { RevkvError } from '../errors.js'
import { toBase64 } from '../etcd/base64.js'
import type { Reader } from '../wire.js'
import * as wire from '../wire.js'
import { type Message, present } from './message.js'
import { Status } from './status.js'

const sortTargets = ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE'] as const
const sortOrders = ['NONE', 'ASCEND', 'DESCEND'] as const
const compareTargets = ['VERSION', 'CREATE', 'MOD', 'VALUE', 'LEASE'] as const
const compareResults = ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL'] as const

const targetNames = {
  KEY: 'key',
  VERSION: 'version',
  CREATE: 'createRevision',
  MOD: 'modRevision',
  VALUE: 'value',
} as const
const resultNames = { EQUAL: '=', GREATER: '>', LESS: '<', NOT_EQUAL: '!=' } as const

export function put(message: Message): wire.Put {
  return {
    key: message.bytes('key'),
    value: message.bytes('value'),
    lease: message.int64('lease'),
    prevKv: message.flag('prev_kv'),
    ignoreValue: message.flag('ignore_value'),
    ignoreLease: message.flag('ignore_lease'),
  }
}

export function deleteRange(message: Message): wire.DeleteRange {
  return { keys: keyRange(message), prevKv: message.flag('prev_kv') }
}

export function range(message: Message): wire.RangeRequest {
  return {
    keys: keyRange(message),
    revision: natural(message, 'revision'),
    limit: natural(message, 'limit'),
    keysOnly: message.flag('keys_only'),
    countOnly: message.flag('count_only'),
    uncounted: false,
    sortBy: targetNames[message.option('sort_target', sortTargets)],
    descend: message.option('sort_order', sortOrders) === 'DESCEND',
    ...bounds(message),
  }
}

/** A maximum below 0 lets nothing through. */
function bounds(message: Message) {
  const least = (min: string, max: string) =>
    message.int64(max) < 0n ? Number.MAX_SAFE_INTEGER : natural(message, min)
  return {
    minModRevision: least('min_mod_revision', 'max_mod_revision'),
    maxModRevision: natural(message, 'max_mod_revision'),
    minCreateRevision: least('min_create_revision', 'max_create_revision'),
    maxCreateRevision: natural(message, 'max_create_revision'),
  }
}

/** The engine's budget, of which each level takes at least one: what is deeper is not read. */
const depthMax = 128

export function txn(message: Message, depth = 1): wire.Txn {
  if (depth > depthMax) throw new RevkvError('TOO_MANY_OPERATIONS', '')
  return {
    compare: message.messages('compare').map(compare),
    success: message.messages('success').map((inner) => op(inner, depth)),
    failure: message.messages('failure').map((inner) => op(inner, depth)),
  }
}

/** One key, the keys up to a range's end, or, where that is a zero byte, all keys from one on. */
export function keyRange(message: Message): wire.KeyRange {
  const [key, end] = [message.bytes('key'), message.bytes('range_end')]
  if (key.length === 0) throw new Status('INVALID_ARGUMENT', 'etcdserver: key is not provided')
  if (end.length === 0) return { key }
  return isZero(end) ? { start: key } : { start: key, end }
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === 0
}

/** A revision or a limit: what is less than 0 is as 0, and what is more than there can be as the most. */
export function natural(message: Message, name: string): number {
  const value = message.int64(name)
  return value < 0n ? 0 : Number(value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : value)
}

function compare(message: Message): wire.CompareRequest {
  const target = message.option('target', compareTargets)
  const result = resultNames[message.option('result', compareResults)]
  const keys = keyRange(message)
  switch (target) {
    case 'VERSION':
      return { keys, target: 'version', ...operand(message.int64('version'), result) }
    case 'CREATE':
      return { keys, target: 'createRevision', ...operand(message.int64('create_revision'), result) }
    case 'MOD':
      return { keys, target: 'modRevision', ...operand(message.int64('mod_revision'), result) }
    case 'VALUE':
      return { keys, target: 'value', operand: message.bytes('value'), result }
    case 'LEASE':
      return { keys, target: 'lease', operand: message.int64('lease'), result }
  }
}

/** What is stored lies between 0 and what a number holds: beyond that a compare has one answer for every key. */
function operand(
  given: bigint,
  result: wire.CompareRequest['result'],
): Pick<wire.CompareRequest, 'operand' | 'result'> {
  if (given >= 0n && given <= Number.MAX_SAFE_INTEGER) return { operand: Number(given), result }
  const holds = result === '!=' || result === (given < 0n ? '>' : '<')
  return { operand: holds ? Number.MAX_SAFE_INTEGER : 0, result: '<' }
}

function op(message: Message, depth: number): wire.Op {
  const of = (name: string) => message.message(`request_${name}`)
  const [asRange, asPut, asDelete, asTxn] = [of('range'), of('put'), of('delete_range'), of('txn')]
  if (asRange) return { kind: 'range', range: range(asRange), single: false }
  if (asPut) return { kind: 'put', put: put(asPut) }
  if (asDelete) return { kind: 'delete', delete: deleteRange(asDelete) }
  if (asTxn) return { kind: 'txn', txn: txn(asTxn, depth + 1) }
  throw new Status('INVALID_ARGUMENT', 'etcdserver: key not found')
}

/** An answer, and the revision that its header names. */
export interface Answer {
  revision: number
  fields: Record<string, unknown>
}

export function readPut(reader: Reader): Answer {
  const revision = reader.u64()
  return { revision, fields: present({ prev_kv: readOptionalKv(reader) }) }
}

export function readDelete(reader: Reader): Answer {
  const revision = reader.u64()
  const deleted = BigInt(reader.u64())
  return { revision, fields: present({ deleted, prev_kvs: reader.list(() => readKv(reader)) }) }
}

export function readRange(reader: Reader): Answer {
  const revision = reader.u64()
  const count = BigInt(reader.u64())
  const more = reader.bool()
  return { revision, fields: present({ kvs: wire.readColumns(reader).map(shownKv), more, count }) }
}

export function readTxn(reader: Reader): Answer {
  const revision = reader.u64()
  const succeeded = reader.bool()
  const responses = reader.list(() => {
    const [name, read] = opAnswers[reader.u32()] as (typeof opAnswers)[number]
    const answer = read(reader)
    // Of a transaction inside another one etcd leaves the header empty.
    const header = name === 'txn' ? {} : { revision: String(answer.revision) }
    return { [`response_${name}`]: { header, ...answer.fields } }
  })
  return { revision, fields: present({ succeeded, responses }) }
}

const opAnswers = [
  ['put', readPut],
  ['delete_range', readDelete],
  ['range', readRange],
  ['txn', readTxn],
] as const satisfies [string, (reader: Reader) => Answer][]

export function readOptionalKv(reader: Reader): Record<string, unknown> | undefined {
  return reader.bool() ? readKv(reader) : undefined
}

export function readKv(reader: Reader): Record<string, unknown> {
  return shownKv({
    key: reader.bytes(),
    createRevision: reader.u64(),
    modRevision: reader.u64(),
    version: reader.u64(),
    lease: reader.i64(),
    value: reader.bytes(),
  })
}

function shownKv(kv: wire.KeyValue): Record<string, unknown> {
  const [create, mod, version] = [kv.createRevision, kv.modRevision, kv.version].map(BigInt)
  const [key, value] = [toBase64(kv.key), toBase64(kv.value)]
  return present({ key, create_revision: create, mod_revision: mod, version, value, lease: kv.lease })
}
