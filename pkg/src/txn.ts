// Requests that write: from a caller's plain data to the packed form's structs, and the answers back.

import * as args from './arguments.js'
import { encodeValue } from './codecs.js'
import { type Form, readEntry, readList, readOptionalEntry } from './entry.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { Keyspace } from './keyspace.js'
import type { DeleteResult, PutResult, TxnOpResult, TxnResult } from './types.js'
import * as wire from './wire.js'

/** etcd's budget of operations, which each level of nesting uses up by at least one: what is deeper can only be refused. */
const depthMax = 128
/** Far above what the engine takes; reached only by a request that holds the same object in very many places. */
const operationsMax = 100_000

const empty = new Uint8Array(0)

/** A put of `key` and `value` with the named options of `given`. */
export function checkPut<V>(key: unknown, value: unknown, given: args.Given, form: Form<V>): wire.Put {
  const ignoreValue = args.flag(given.ignoreValue, 'ignoreValue')
  return {
    key: form.space.key(key),
    lease: args.leaseId(given.lease),
    prevKv: args.flag(given.prevEntry, 'prevEntry'),
    ignoreValue,
    ignoreLease: args.flag(given.ignoreLease, 'ignoreLease'),
    value: ignoreValue && value === undefined ? empty : encodeValue(form.values, value as V),
  }
}

/** The puts of `[key, value]` pairs, all with the same options. */
export function checkPuts<V>(entries: unknown, given: args.Given, form: Form<V>): wire.Put[] {
  const budget: Budget = { operations: 0, bytes: wire.requestBytesMax }
  return args.iterable(entries, 'entries').map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw invalidArgument('entries: expected pairs of [key, value].')
    const put = checkPut(pair[0], pair[1], given, form)
    spend(budget, put.value)
    return put
  })
}

export function checkDelete(target: unknown, prevEntries: unknown, space: Keyspace): wire.DeleteRange {
  return { keys: space.deletion(target), prevKv: args.flag(prevEntries, 'prevEntries') }
}

/** Of a list at a revision that is given already. */
export const listOptionsAt = [
  'limit',
  'reverse',
  'keysOnly',
  'sortBy',
  'minModRevision',
  'maxModRevision',
  'minCreateRevision',
  'maxCreateRevision',
]
const listOptions = ['revision', ...listOptionsAt]

export function checkList(range: unknown, input: unknown, space: Keyspace): wire.RangeRequest {
  const given = args.options(input, listOptions, 'list')
  return {
    keys: space.range(range),
    revision: args.natural(given.revision, 'revision'),
    limit: args.natural(given.limit, 'limit'),
    keysOnly: args.flag(given.keysOnly, 'keysOnly'),
    countOnly: false,
    uncounted: false,
    sortBy: args.oneOf(given.sortBy, wire.sortTargets, 'sortBy') ?? 'key',
    descend: args.flag(given.reverse, 'reverse'),
    minModRevision: args.natural(given.minModRevision, 'minModRevision'),
    maxModRevision: args.natural(given.maxModRevision, 'maxModRevision'),
    minCreateRevision: args.natural(given.minCreateRevision, 'minCreateRevision'),
    maxCreateRevision: args.natural(given.maxCreateRevision, 'maxCreateRevision'),
  }
}

/** What a request may still hold. An object that is in it twice counts twice: that is how often it is packed. */
interface Budget {
  operations: number
  bytes: number
}

/** Whether it may write something, for which a storage needs room. */
export function grows(request: wire.Txn): boolean {
  const puts = (op: wire.Op) => op.kind === 'put' || (op.kind === 'txn' && grows(op.txn))
  return request.success.some(puts) || request.failure.some(puts)
}

export function checkTxn<V>(request: unknown, form: Form<V>): wire.Txn {
  return checkLevel(request, form, { operations: operationsMax, bytes: wire.requestBytesMax }, 1)
}

function checkLevel<V>(request: unknown, form: Form<V>, budget: Budget, depth: number): wire.Txn {
  if (depth > depthMax) throw new RevkvError('TOO_MANY_OPERATIONS', `A txn may be nested ${depthMax} deep.`)
  const given = args.record(request, ['if', 'then', 'else'], 'txn')
  const items = (name: string) => {
    const list = args.list(given[name], name, budget.operations)
    budget.operations -= list.length
    return list
  }
  const ops = (name: string) => items(name).map((op) => checkOp(op, form, budget, depth))
  return {
    compare: items('if').map((compare) => checkCompare(compare, form, budget)),
    success: ops('then'),
    failure: ops('else'),
  }
}

function spend(budget: Budget, value: Uint8Array): void {
  budget.bytes -= value.length
  if (budget.bytes < 0) throw wire.tooLarge()
}

function checkCompare<V>(compare: unknown, form: Form<V>, budget: Budget): wire.CompareRequest {
  const given = args.record(compare, ['key', 'end', 'is', ...wire.compareTargets], 'compare')
  const named = wire.compareTargets.filter((name) => given[name] !== undefined)
  const target = named[0]
  if (!target || named.length > 1) {
    throw invalidArgument(`compare: give exactly one of ${wire.compareTargets.join(', ')}.`)
  }
  const operand = checkOperand(target, given[target], form)
  if (typeof operand === 'object') spend(budget, operand)
  return {
    keys: form.space.compareKeys(given.key, given.end),
    target,
    operand,
    result: args.oneOf(given.is, wire.compareResults, 'is') ?? '=',
  }
}

function checkOperand<V>(
  target: wire.CompareRequest['target'],
  value: unknown,
  form: Form<V>,
): number | bigint | Uint8Array {
  if (target === 'value') return encodeValue(form.values, value as V)
  if (target === 'lease') return args.leaseId(value)
  return args.natural(value, target)
}

/** What else an operation may carry, by the word that says which one it is. */
const opOptions = {
  put: ['lease', 'prevEntry', 'ignoreValue', 'ignoreLease'],
  delete: ['prevEntries'],
  list: ['options'],
  get: ['revision'],
  txn: [],
} as const
const opNames = Object.keys(opOptions) as (keyof typeof opOptions)[]

function checkOp<V>(input: unknown, form: Form<V>, budget: Budget, depth: number): wire.Op {
  const named = opNames.filter((name) => typeof input === 'object' && input !== null && Object.hasOwn(input, name))
  const name = named[0]
  if (!name || named.length > 1) throw invalidArgument(`txn: an operation is exactly one of ${opNames.join(', ')}.`)
  const given = args.record(input, [name, ...opOptions[name]], name)
  switch (name) {
    case 'put': {
      const pair = given.put
      if (!Array.isArray(pair) || pair.length > 2) throw invalidArgument('put: expected [key, value].')
      const put = checkPut(pair[0], pair[1], given, form)
      spend(budget, put.value)
      return { kind: 'put', put }
    }
    case 'delete':
      return { kind: 'delete', delete: checkDelete(given.delete, given.prevEntries, form.space) }
    case 'list':
      return { kind: 'range', range: checkList(given.list, given.options, form.space), single: false }
    case 'get': {
      const range = { ...checkList({}, undefined, form.space), keys: { key: form.space.key(given.get) } }
      return { kind: 'range', range: { ...range, revision: args.natural(given.revision, 'revision') }, single: true }
    }
    case 'txn':
      return { kind: 'txn', txn: checkLevel(given.txn, form, budget, depth + 1) }
  }
}

export function readPut<V>(reader: wire.Reader, form: Form<V>): PutResult<V> {
  const revision = reader.u64()
  const prevEntry = readOptionalEntry(reader, form)
  return prevEntry ? { revision, prevEntry } : { revision }
}

export function readDelete<V>(reader: wire.Reader, request: wire.DeleteRange, form: Form<V>): DeleteResult<V> {
  const revision = reader.u64()
  const deleted = reader.u64()
  const prevEntries = reader.list(() => readEntry(reader, form))
  return request.prevKv ? { revision, deleted, prevEntries } : { revision, deleted }
}

export function readTxn<V>(reader: wire.Reader, txn: wire.Txn, form: Form<V>): TxnResult<V> {
  const revision = reader.u64()
  const ok = reader.bool()
  const ops = ok ? txn.success : txn.failure
  let next = 0
  const results = reader.list(() => readOpResult(reader, ops[next++] as wire.Op, form))
  return { ok, revision, results }
}

function readOpResult<V>(reader: wire.Reader, op: wire.Op, form: Form<V>): TxnOpResult<V> {
  reader.u32() // The kind of the answer is that of the operation.
  switch (op.kind) {
    case 'put':
      return { put: readPut(reader, form) }
    case 'delete':
      return { delete: readDelete(reader, op.delete, form) }
    case 'range': {
      const list = readList(reader, form, op.range.keysOnly)
      return op.single ? { get: list.at(0) } : { list }
    }
    case 'txn':
      return { txn: readTxn(reader, op.txn, form) }
  }
}
