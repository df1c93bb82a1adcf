// What the caller gets wrong is refused with a code and leaves no trace.

import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { bytes, open, type Snapshot, type Store, utf8 } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore, wasm } from './open.js'

/** Untyped, as a caller without a compiler is. */
type Loose = Record<string, (...args: unknown[]) => unknown>

const lone = 'a\ud800'
const naturals: unknown[] = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', 1n, null, {}, true]
const notFlags: unknown[] = [0, 1, 'true', null, {}]
const detached = new Uint8Array([97])
structuredClone(detached, { transfer: [detached.buffer] })

/** Its own class answers for it: one byte, and of a Uint8Array. */
class Liar extends Uint8Array {
  override get length() {
    return 1
  }
}
const disguised = Object.defineProperty(new Uint16Array([97]), Symbol.toStringTag, { value: 'Uint8Array' })

/** Objects without own names, as a caller gives them who meant something else. None of them is the range of everything. */
const notPlain: (() => unknown)[] = [
  () => new ArrayBuffer(8),
  () => new SharedArrayBuffer(8),
  () => new DataView(new ArrayBuffer(8)),
  () => new Uint16Array(2),
  () => Promise.resolve('a'),
  () => new Date(),
  () => new Map([['prefix', 'a']]),
  () => new Set(['a']),
  () => /a/,
  () => new (class Selection {})(),
  () => new Error('a'),
  () => Object.create({ prefix: 'a' }) as unknown,
]

const ownProto = JSON.parse('{"__proto__": 1}') as unknown

type Row = [code: string, call: (store: Loose) => unknown]

const rows: Record<string, Row[]> = {
  keys: [
    ['INVALID_KEY', (s) => s.get?.('')],
    ['INVALID_KEY', (s) => s.get?.(lone)],
    ['INVALID_KEY', (s) => s.entry?.('\udc00b')],
    ['INVALID_KEY', (s) => s.get?.(new Uint8Array())],
    ['INVALID_KEY', (s) => s.getMany?.(['a', ''])],
    ['INVALID_KEY', (s) => s.put?.('', 1)],
    ['INVALID_KEY', (s) => s.put?.(lone, 1)],
    ['INVALID_KEY', (s) => s.delete?.('')],
    ['INVALID_KEY', (s) => s.watch?.('')],
    ['INVALID_KEY', (s) => s.on?.(lone, () => {})],
    ['INVALID_KEY', (s) => s.history?.('')],
    ['INVALID_ARGUMENT', (s) => s.get?.()],
    ['INVALID_ARGUMENT', (s) => s.get?.(1)],
    ['INVALID_ARGUMENT', (s) => s.get?.(['a'])],
    ['INVALID_ARGUMENT', (s) => s.get?.(new Uint16Array(2))],
    ['INVALID_ARGUMENT', (s) => s.get?.({ prefix: 'a' })],
    ['INVALID_ARGUMENT', (s) => s.put?.(null, 1)],
    ['INVALID_ARGUMENT', (s) => s.getMany?.('ab')],
    ['INVALID_ARGUMENT', (s) => s.getMany?.()],
    ['INVALID_ARGUMENT', (s) => s.delete?.()],
    ['INVALID_ARGUMENT', (s) => s.delete?.(null)],
    ['INVALID_ARGUMENT', (s) => s.get?.(detached)],
    ['INVALID_ARGUMENT', (s) => s.put?.(detached, 1)],
    ['INVALID_ARGUMENT', (s) => s.delete?.(detached)],
    ['INVALID_ARGUMENT', (s) => s.delete?.({ prefix: detached })],
    ['INVALID_ARGUMENT', (s) => s.get?.(disguised)],
    ['INVALID_ARGUMENT', (s) => s.get?.(new Proxy(new Uint8Array(1), {}))],
    ['INVALID_ARGUMENT', (s) => s.getMany?.(new Array(1))],
  ],
  ranges: [
    ['INVALID_KEY', (s) => s.list?.({ end: '' })],
    ['INVALID_KEY', (s) => s.list?.({ prefix: lone })],
    ['INVALID_KEY', (s) => s.delete?.({ start: lone })],
    ['INVALID_ARGUMENT', (s) => s.list?.('a')],
    ['INVALID_ARGUMENT', (s) => s.list?.(null)],
    ['INVALID_ARGUMENT', (s) => s.list?.([])],
    ['INVALID_ARGUMENT', (s) => s.list?.({ prefx: 'a' })],
    ['INVALID_ARGUMENT', (s) => s.list?.({ start: 1 })],
    ['INVALID_ARGUMENT', (s) => s.list?.(ownProto)],
    ['INVALID_ARGUMENT', (s) => s.delete?.({ key: 'a' })],
    ['INVALID_ARGUMENT', (s) => s.count?.({ from: 'a' })],
    ...notPlain.flatMap((make): Row[] => [
      ['INVALID_ARGUMENT', (s) => s.delete?.(make())],
      ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ delete: make() }] })],
      ['INVALID_ARGUMENT', (s) => s.list?.(make())],
      ['INVALID_ARGUMENT', (s) => s.watch?.(make())],
      ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, make())],
    ]),
    ['INVALID_ARGUMENT', (s) => s.delete?.({ prefix: undefined })],
    ['INVALID_ARGUMENT', (s) => s.delete?.({ prefix: undefined, start: undefined, end: undefined })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ delete: { start: undefined } }] })],
  ],
  reading: [
    ...naturals.map((revision): Row => ['INVALID_ARGUMENT', (s) => s.get?.('a', { revision })]),
    ...naturals.map((limit): Row => ['INVALID_ARGUMENT', (s) => s.list?.({}, { limit })]),
    ...naturals.map((maxModRevision): Row => ['INVALID_ARGUMENT', (s) => s.list?.({}, { maxModRevision })]),
    ...naturals.map((from): Row => ['INVALID_ARGUMENT', (s) => s.history?.({}, { from })]),
    ...naturals.map((from): Row => ['INVALID_ARGUMENT', (s) => s.watch?.({}, { from })]),
    ...notFlags.map((reverse): Row => ['INVALID_ARGUMENT', (s) => s.list?.({}, { reverse })]),
    ...notFlags.map((keysOnly): Row => ['INVALID_ARGUMENT', (s) => s.list?.({}, { keysOnly })]),
    ...notFlags.map((progress): Row => ['INVALID_ARGUMENT', (s) => s.watch?.({}, { progress })]),
    ['FUTURE_REVISION', (s) => s.get?.('a', { revision: 99 })],
    ['FUTURE_REVISION', (s) => s.list?.({}, { revision: 99 })],
    ['FUTURE_REVISION', (s) => s.count?.({}, { revision: 2 ** 53 - 1 })],
    ['INVALID_ARGUMENT', (s) => s.get?.('a', null)],
    ['INVALID_ARGUMENT', (s) => s.get?.('a', 2)],
    ['INVALID_ARGUMENT', (s) => s.get?.('a', { rev: 2 })],
    ['INVALID_ARGUMENT', (s) => s.get?.('a', ownProto)],
    ['INVALID_ARGUMENT', (s) => s.list?.({}, { sortBy: 'name' })],
    ['INVALID_ARGUMENT', (s) => s.list?.({}, { sortBy: 'constructor' })],
    ['INVALID_ARGUMENT', (s) => s.count?.({}, { limit: 1 })],
    ['INVALID_ARGUMENT', (s) => s.watch?.({}, { only: 'puts' })],
    ['INVALID_ARGUMENT', (s) => s.watch?.({}, { onCompacted: 'ignore' })],
    ['INVALID_ARGUMENT', (s) => s.watch?.({}, { signal: {} })],
    ['INVALID_ARGUMENT', (s) => s.watch?.({}, { onError() {} })],
    ['INVALID_ARGUMENT', (s) => s.on?.({}, 'listener')],
    ['INVALID_ARGUMENT', (s) => s.on?.({}, () => {}, { onError: 'report' })],
    ['INVALID_RANGE', (s) => s.watch?.({ start: 'b', end: 'a' })],
  ],
  snapshots: [
    ...naturals.map((revision): Row => ['INVALID_ARGUMENT', (s) => s.snapshot?.(revision)]),
    ['FUTURE_REVISION', (s) => s.snapshot?.(99)],
    ...(
      [
        ['INVALID_ARGUMENT', (then) => then.get?.('a', { revision: 2 })],
        ['INVALID_ARGUMENT', (then) => then.entry?.('a', { revision: 2 })],
        ['INVALID_ARGUMENT', (then) => then.getMany?.(['a'], { revision: 2 })],
        ['INVALID_ARGUMENT', (then) => then.list?.({}, { revision: 2 })],
        ['INVALID_ARGUMENT', (then) => then.count?.({}, { revision: 2 })],
        ['INVALID_ARGUMENT', (then) => then.get?.('a', null)],
        ['INVALID_KEY', (then) => then.get?.('')],
      ] as [code: string, use: (then: Loose) => unknown][]
    ).map(
      ([code, use]): Row => [
        code,
        (s) => {
          using then = s.snapshot?.() as Snapshot<unknown>
          return use(then as unknown as Loose)
        },
      ],
    ),
  ],
  writing: [
    ['INVALID_ARGUMENT', (s) => s.put?.('a', undefined)],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', () => {})],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1n)],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { ttl: 5 })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { durability: 'none' })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { signal: null })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { lease: 5 })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { lease: {} })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { lease: 2n ** 63n })],
    ['LEASE_NOT_FOUND', (s) => s.put?.('a', 1, { lease: 5n })],
    ...notFlags.map((prevEntry): Row => ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { prevEntry })]),
    ...notFlags.map((ignoreLease): Row => ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { ignoreLease })]),
    ['VALUE_PROVIDED', (s) => s.put?.('a', 1, { ignoreValue: true })],
    ['KEY_NOT_FOUND', (s) => s.put?.('x', undefined, { ignoreValue: true })],
    ['KEY_NOT_FOUND', (s) => s.put?.('x', 1, { ignoreLease: true })],
    ['LEASE_PROVIDED', (s) => s.put?.('a', 1, { ignoreLease: true, lease: 7n })],
    ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { ttlSeconds: 5, lease: 7n })],
    ...[0, -1, 1.5, Number.NaN, 9_000_000_001, '5', 5n, null].flatMap((ttl): Row[] => [
      ['INVALID_ARGUMENT', (s) => s.put?.('a', 1, { ttlSeconds: ttl })],
      ['INVALID_ARGUMENT', (s) => s.grant?.(ttl)],
    ]),
    ['KEY_NOT_FOUND', (s) => s.put?.('x', undefined, { ttlSeconds: 5, ignoreValue: true })],
    ['LEASE_PROVIDED', (s) => s.put?.('a', 1, { ttlSeconds: 5, ignoreLease: true })],
    ['TOO_LARGE', (s) => s.put?.('a', 'x'.repeat(2 ** 21))],
    ['TOO_LARGE', (s) => s.put?.('a', 'x'.repeat(2 ** 27))],
    ['INVALID_ARGUMENT', (s) => s.delete?.('a', { prevEntry: true })],
    ['INVALID_ARGUMENT', (s) => s.delete?.('a', { prevEntries: 1 })],
    ['INVALID_ARGUMENT', (s) => s.sync?.({ durability: 'memory' })],
    ...naturals.map((revision): Row => ['INVALID_ARGUMENT', (s) => s.compact?.(revision)]),
    ['INVALID_ARGUMENT', (s) => s.compact?.()],
    ['FUTURE_REVISION', (s) => s.compact?.(99)],
  ],
  'many at once': [
    ...[5, null, undefined, 'ab', {}, () => {}, Symbol.iterator].map(
      (entries): Row => ['INVALID_ARGUMENT', (s) => s.putMany?.(entries)],
    ),
    ...[5, null, 'ab', {}, [], ['a'], ['a', 1, 2], new Set(['a', 1])].map(
      (pair): Row => ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1], pair])],
    ),
    ['INVALID_ARGUMENT', (s) => s.putMany?.(new Array(1))],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', undefined]])],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1n]])],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([[5, 1]])],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([[detached, 1]])],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['__proto__', 1]], ownProto)],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1]], { prevEntry: true })],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1]], { ttlSeconds: 5, lease: 7n })],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1]], { ttlSeconds: 0 })],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1]], { durability: 'none' })],
    ['INVALID_ARGUMENT', (s) => s.putMany?.([['b', 1]], { signal: {} })],
    [
      'INVALID_KEY',
      (s) =>
        s.putMany?.([
          ['b', 1],
          ['', 1],
        ]),
    ],
    [
      'INVALID_KEY',
      (s) =>
        s.putMany?.([
          ['b', 1],
          [lone, 1],
        ]),
    ],
    [
      'DUPLICATE_KEY',
      (s) =>
        s.putMany?.([
          ['b', 1],
          ['c', 1],
          ['b', 1],
        ]),
    ],
    [
      'DUPLICATE_KEY',
      (s) =>
        s.putMany?.([
          ['b', 1],
          [new Uint8Array([98]), 1],
        ]),
    ],
    ['LEASE_NOT_FOUND', (s) => s.putMany?.([['b', 1]], { lease: 5n })],
    [
      'KEY_NOT_FOUND',
      (s) =>
        s.putMany?.(
          [
            ['a', undefined],
            ['x', undefined],
          ],
          { ignoreValue: true },
        ),
    ],
    ['VALUE_PROVIDED', (s) => s.putMany?.([['a', 1]], { ignoreValue: true })],
    ['LEASE_PROVIDED', (s) => s.putMany?.([['a', 1]], { ignoreLease: true, lease: 7n })],
    [
      'TOO_LARGE',
      (s) =>
        s.putMany?.([
          ['b', 1],
          ['c', 'x'.repeat(2 ** 21)],
        ]),
    ],
    ['TOO_LARGE', (s) => s.putMany?.(Array.from({ length: 70 }, (_, i) => [`k${i}`, 'x'.repeat(2 ** 20)]))],
    ['INVALID_ARGUMENT', (s) => s.compareAndSet?.('a', 1, 2, { prevEntry: true })],
    ['INVALID_ARGUMENT', (s) => s.compareAndSet?.('a', 1, 2, { ttlSeconds: 5, lease: 7n })],
    ['INVALID_ARGUMENT', (s) => s.compareAndSet?.('a', 1, undefined)],
    ['INVALID_ARGUMENT', (s) => s.compareAndSet?.('a', 1n, 2)],
    ['INVALID_KEY', (s) => s.compareAndSet?.('', undefined, 2)],
    ['LEASE_NOT_FOUND', (s) => s.compareAndSet?.('a', 1, 2, { lease: 5n })],
  ],
  'transactions of a body': [
    ...[undefined, null, 5, 'body', {}, Promise.resolve()].map(
      (body): Row => ['INVALID_ARGUMENT', (s) => s.transact?.(body)],
    ),
    ...naturals.map((retries): Row => ['INVALID_ARGUMENT', (s) => s.transact?.(() => {}, { retries })]),
    ['INVALID_ARGUMENT', (s) => s.transact?.(() => {}, { retry: 1 })],
    ['INVALID_ARGUMENT', (s) => s.transact?.(() => {}, ownProto)],
    ['INVALID_ARGUMENT', (s) => s.transact?.(() => {}, { durability: 'none' })],
    ['INVALID_ARGUMENT', (s) => s.transact?.(() => {}, { signal: null })],
    ...(
      [
        ['INVALID_KEY', (tx) => tx.get?.('')],
        ['INVALID_KEY', (tx) => tx.entry?.(lone)],
        ['INVALID_KEY', (tx) => tx.getMany?.(['a', ''])],
        ['INVALID_KEY', (tx) => tx.put?.('', 1)],
        ['INVALID_KEY', (tx) => tx.delete?.('')],
        ['INVALID_KEY', (tx) => tx.list?.({ end: '' })],
        ['INVALID_ARGUMENT', (tx) => tx.get?.()],
        ['INVALID_ARGUMENT', (tx) => tx.get?.(null)],
        ['INVALID_ARGUMENT', (tx) => tx.getMany?.('ab')],
        ['INVALID_ARGUMENT', (tx) => tx.list?.('a')],
        ['INVALID_ARGUMENT', (tx) => tx.list?.({}, { revision: 2 })],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.get?.('b', { revision: 2 })]],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.entry?.('b', { revision: 2 })]],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.getMany?.(['b'], { revision: 2 })]],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.count?.({}, { revision: 2 })]],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.list?.({}, { revision: 2 })]],
        ['INVALID_ARGUMENT', (tx) => [tx.put?.('b', 1), tx.list?.({}, { sortBy: 'constructor' })]],
        ['INVALID_ARGUMENT', (tx) => tx.list?.({}, { limit: -1 })],
        ['INVALID_ARGUMENT', (tx) => tx.count?.([])],
        ['INVALID_ARGUMENT', (tx) => tx.count?.(ownProto)],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b')],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1n)],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1, { prevEntry: true })],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1, { durability: 'memory' })],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1, { ttlSeconds: 5, lease: 7n })],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1, { ttlSeconds: Number.NaN })],
        ['INVALID_ARGUMENT', (tx) => tx.put?.('b', 1, { lease: {} })],
        ['INVALID_ARGUMENT', (tx) => tx.delete?.()],
        ['INVALID_ARGUMENT', (tx) => tx.delete?.({ prefix: undefined })],
        ['INVALID_ARGUMENT', (tx) => tx.delete?.(new Map())],
        ['TOO_LARGE', (tx) => tx.put?.('b', 'x'.repeat(2 ** 21))],
        ['LEASE_NOT_FOUND', (tx) => tx.put?.('b', 1, { lease: 5n })],
      ] as [code: string, use: (tx: Loose) => unknown][]
    ).map(([code, use]): Row => [code, (s) => s.transact?.(async (tx: unknown) => void (await use(tx as Loose)))]),
  ],
  'live queries': [
    ...[undefined, null, 5, 'query', {}].map((query): Row => ['INVALID_ARGUMENT', (s) => s.live?.(query)]),
    ...[undefined, null, 5, {}].map(
      (listener): Row => ['INVALID_ARGUMENT', (s) => (s.live?.(() => 1) as Loose | undefined)?.subscribe?.(listener)],
    ),
    ...(
      [
        ['INVALID_KEY', (view) => view.get?.('')],
        ['INVALID_ARGUMENT', (view) => view.getMany?.()],
        ['INVALID_ARGUMENT', (view) => view.list?.(null)],
        ['INVALID_ARGUMENT', (view) => view.list?.({}, { revision: 2 })],
        ['INVALID_ARGUMENT', (view) => view.count?.(5)],
      ] as [code: string, use: (view: Loose) => unknown][]
    ).map(
      ([code, use]): Row => [
        code,
        (s) => (s.live?.((view: unknown) => use(view as Loose)) as { value: unknown } | undefined)?.value,
      ],
    ),
  ],
  namespaces: [
    ...[undefined, null, 5, {}, [], new Uint16Array(1)].map(
      (prefix): Row => ['INVALID_ARGUMENT', (s) => s.namespace?.(prefix)],
    ),
    ['INVALID_KEY', (s) => s.namespace?.(lone)],
    ['INVALID_ARGUMENT', (s) => s.namespace?.(detached)],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', null)],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', { values: 'json' })],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', { values: {} })],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', { keys: 'text' })],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', { storage: memory() })],
    ['INVALID_ARGUMENT', (s) => s.namespace?.('n', ownProto)],
    ['INVALID_KEY', (s) => (s.namespace?.('n') as Loose | undefined)?.get?.('')],
    ['INVALID_KEY', (s) => (s.namespace?.('n') as Loose | undefined)?.put?.('', 1)],
    ['INVALID_KEY', (s) => (s.namespace?.('n') as Loose | undefined)?.list?.({ end: '' })],
    ['INVALID_KEY', (s) => (s.namespace?.('n') as Loose | undefined)?.txn?.({ if: [{ key: '', version: 0 }] })],
    ['INVALID_RANGE', (s) => (s.namespace?.('n') as Loose | undefined)?.watch?.({ start: 'b', end: 'a' })],
    ['INVALID_ARGUMENT', (s) => (s.namespace?.('n') as Loose | undefined)?.delete?.({ prefix: undefined })],
  ],
  transactions: [
    ['INVALID_ARGUMENT', (s) => s.txn?.()],
    ['INVALID_ARGUMENT', (s) => s.txn?.([])],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ when: [] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: new Array(2) })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: new Array(2) })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: new Array(2) }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: undefined }] })],
    ['TOO_MANY_OPERATIONS', (s) => s.txn?.({ then: new Array(2 ** 32 - 1) })],
    ['TOO_MANY_OPERATIONS', (s) => s.txn?.({ if: new Array(2 ** 32 - 1) })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: {} })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [null] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{}] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['a', 1], get: 'a' }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: 'a' }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['a', 1, 2] }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['a'] }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['a', 1], ttlSeconds: 5 }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['b', 1] }, { delete: undefined }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ list: {}, options: { limit: -1 } }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ list: 'a' }] })],
    ['INVALID_KEY', (s) => s.txn?.({ then: [{ put: ['b', 1] }, { get: '' }] })],
    ['INVALID_KEY', (s) => s.txn?.({ else: [{ put: ['', 1] }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a' }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a', version: 1, value: 1 }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a', version: 1, is: '==' }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a', version: -1 }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a', lease: 1 }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ if: [{ key: 'a', mod: 1 }] })],
    ['INVALID_KEY', (s) => s.txn?.({ if: [{ key: '', version: 1 }] })],
    ['INVALID_KEY', (s) => s.txn?.({ if: [{ key: 'a', end: '', version: 1 }] })],
    ['LEASE_NOT_FOUND', (s) => s.txn?.({ then: [{ put: ['b', 1] }, { put: ['c', 1], lease: 5n }] })],
    ['KEY_NOT_FOUND', (s) => s.txn?.({ then: [{ put: ['b', 1] }, { put: ['x'], ignoreValue: true }] })],
    ['DUPLICATE_KEY', (s) => s.txn?.({ then: [{ put: ['b', 1] }, { delete: { prefix: 'b' } }] })],
    ['INVALID_ARGUMENT', (s) => s.txn?.({ then: [{ put: ['b', 1] }] }, { prevEntry: true })],
  ],
  leases: [
    ['INVALID_ARGUMENT', (s) => s.grant?.(5, { id: 0n })],
    ['INVALID_ARGUMENT', (s) => s.grant?.(5, { id: 5 })],
    ['INVALID_ARGUMENT', (s) => s.grant?.(5, { id: 2n ** 63n })],
    ['INVALID_ARGUMENT', (s) => s.grant?.(5, { name: 'x' })],
    ['LEASE_EXISTS', (s) => s.grant?.(5, { id: 7n })],
    ['INVALID_ARGUMENT', (s) => s.lease?.(7)],
  ],
}

/** Everything a store shows of itself. */
function shown(store: Store) {
  return {
    revisions: [store.revision, store.compactRevision],
    entries: store
      .list()
      .toArray()
      .map((entry) => entry.toJSON()),
    history: JSON.stringify(store.history({})),
    leases: store.leases(),
  }
}

describe.each(Object.entries(rows))('%s', (_, cases) => {
  test('are checked, and nothing has changed', async () => {
    const store = await openStore()
    await store.grant(1000, { id: 7n })
    await store.put('a', 1, { lease: 7n })
    await store.put('b/1', 2)
    const before = shown(store)
    for (const [code, call] of cases) {
      expect([String(call), await codeOf(() => call(store as unknown as Loose))]).toEqual([String(call), code])
      expect(shown(store)).toEqual(before)
    }
  })
})

test('everything is deleted when it is asked for: by {}, from whichever realm', async () => {
  const store = await openStore<number>()
  for (const everything of [{}, Object.create(null) as object, runInNewContext('({})') as object]) {
    await store.put('a', 1)
    expect((await store.delete(everything)).deleted).toBe(1)
  }
  await store.put('a', 1)
  expect((await store.delete({ prefix: undefined, start: 'b' })).deleted).toBe(0)
})

test('a bound of a range is named where it is wrong', async () => {
  const store = await openStore()
  const rows: [object, RegExp][] = [
    [{ prefix: 5 }, /^prefix: expected/],
    [{ start: lone }, /^start: .*surrogate/],
    [{ end: '' }, /^end: .*empty/],
  ]
  for (const [range, message] of rows) expect(() => store.list(range)).toThrow(message)
  expect(() => store.get('')).toThrow(/^key: .*empty/)
  await expect(open({ wasm, name: lone })).rejects.toThrow(/^name: .*surrogate/)
})

test('bytes are what they are, whatever their class says', async () => {
  const store = await openStore<Uint8Array>({ values: bytes })
  await store.put(new Liar([97, 98]), new Liar([1, 2, 3]))
  const foreign = runInNewContext('new Uint8Array([99])') as Uint8Array
  await store.txn({ then: [{ put: [foreign, foreign] }] })
  expect([store.get('ab'), store.get('c')]).toEqual([new Uint8Array([1, 2, 3]), new Uint8Array([99])])
  expect(await codeOf(() => store.put('a', detached))).toBe('INVALID_ARGUMENT')
  const lying = await openStore({ values: { ...bytes, encode: () => new Liar([1, 2, 3]) } })
  await lying.put('a', new Uint8Array())
  expect(lying.entry('a')?.bytes).toEqual(new Uint8Array([1, 2, 3]))
})

test('a list is what is in it, whatever its class says', async () => {
  class Odd<T> extends Array<T> {
    override map(): never[] {
      return []
    }
    override *[Symbol.iterator](): ArrayIterator<T> {}
  }
  const store = await openStore<number>()
  const { results } = await store.txn({ then: Odd.of({ put: ['a', 1] }, { get: 'a' }) as never })
  expect([results.length, store.get('a')]).toEqual([2, 1])
})

test('reads and watches throw, writes reject', async () => {
  const store = await openStore()
  expect(() => store.get('')).toThrow()
  const loose = store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  for (const name of [
    'put',
    'putMany',
    'delete',
    'compareAndSet',
    'txn',
    'transact',
    'restoreTo',
    'compact',
    'sync',
    'grant',
    'restore',
  ]) {
    const call = loose[name]?.bind(store) as (...args: unknown[]) => Promise<unknown>
    await expect(call(Symbol('nothing fits'), Symbol('nothing fits')), name).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  }
})

test('a codec that refuses, or gives no bytes, is told with its reason', async () => {
  const reason = new Error('not today')
  const refusing = {
    ...utf8,
    encode() {
      throw reason
    },
  }
  const store = await openStore<string>({ values: refusing })
  await expect(store.put('a', 'b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', cause: reason })
  await expect(store.txn({ if: [{ key: 'a', value: 'b' }] })).rejects.toMatchObject({ cause: reason })
  const odd = await openStore<string>({ values: { ...utf8, encode: (value) => value as unknown as Uint8Array } })
  expect(await codeOf(() => odd.put('a', 'b'))).toBe('INVALID_ARGUMENT')
  const texts = await openStore<string>({ values: utf8 })
  expect(await codeOf(() => texts.put('a', lone))).toBe('INVALID_ARGUMENT')
  const raw = await openStore<Uint8Array>({ values: bytes })
  expect(await codeOf(() => raw.put('a', 'text' as unknown as Uint8Array))).toBe('INVALID_ARGUMENT')
  expect([store.revision, odd.revision, texts.revision, raw.revision]).toEqual([1, 1, 1, 1])
})

test('options of open', async () => {
  const bad: Record<string, unknown[]> = {
    name: ['', 5, lone],
    storage: [
      null,
      {},
      'memory',
      { open() {} },
      { ...memory(), supports: null },
      { ...memory(), maxBlobBytes: 0 },
      { ...memory(), maxBlobBytes: 1.5 },
    ],
    durability: ['none', null, true],
    values: ['json', {}, { encode() {} }],
    keys: ['text', null],
    signal: [{}, null],
    wasm: [5, null, {}, [], new Date()],
    tabs: [null, true, {}, 'broadcast', { join: 5 }],
    retention: [
      5,
      null,
      [],
      { seconds: 5 },
      ...['revisions', 'ageMs', 'bytes'].flatMap((bound) => [0, ...naturals].map((value) => ({ [bound]: value }))),
    ],
    maxBytes: [-1, 1.5, '1'],
    toString: [1],
  }
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      expect([name, value, await codeOf(() => open({ wasm, [name]: value } as object))]).toEqual([
        name,
        value,
        'INVALID_ARGUMENT',
      ])
    }
  }
  expect(await codeOf(() => open(JSON.parse('{"__proto__": {"name": "x"}}') as object))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(() => open([] as object))).toBe('INVALID_ARGUMENT')
})

test('options are own properties: what a prototype carries does not count', async () => {
  const store = await openStore<number>()
  await store.put('a', 1)
  await store.put('a', 2)
  const bare = Object.assign(Object.create(null) as object, { revision: 2, nonsense: true })
  expect(store.get('a', Object.create(bare) as object)).toBe(2)
  expect(store.get('a', { revision: undefined })).toBe(2)
})
