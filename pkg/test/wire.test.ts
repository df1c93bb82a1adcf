// The packed form, written here and read by the engine, and the other way round.

import { beforeAll, describe, expect, test } from 'vitest'
import { Core, loadEngine } from '../src/wasm.js'
import * as wire from '../src/wire.js'
import { wasm } from './open.js'

const text = (value: string) => new TextEncoder().encode(value)
const nowMs = 1_700_000_000_000
const ids = { i64Min: -(2n ** 63n), i64Max: 2n ** 63n - 1n }

/** A KeyValue read by the letter of the format, not by the offsets that entries use. */
function keyValue(r: wire.Reader) {
  return {
    key: r.bytes(),
    createRevision: r.u64(),
    modRevision: r.u64(),
    version: r.u64(),
    lease: r.i64(),
    value: r.bytes(),
  }
}

const optional = <T>(r: wire.Reader, read: (r: wire.Reader) => T) => (r.bool() ? read(r) : undefined)

function rangeResponse(r: wire.Reader) {
  const [revision, count, more] = [r.u64(), r.u64(), r.bool()]
  const [length] = [r.u64(), r.u64(), r.u64()]
  const words = Array.from({ length: length as number }, () => {
    const [keyLength, valueLength] = [r.u64(), r.u64()]
    return { keyLength, valueLength, createRevision: r.u64(), modRevision: r.u64(), version: r.u64(), lease: r.i64() }
  })
  const cut = (length: number) => {
    r.at += length
    return r.source.slice(r.at - length, r.at)
  }
  const keys = words.map(({ keyLength }) => cut(keyLength))
  const values = words.map(({ valueLength }) => cut(valueLength))
  const kvs = words.map(({ createRevision, modRevision, version, lease }, i) => {
    const [key, value] = [keys[i] as Uint8Array, values[i] as Uint8Array]
    return { key, createRevision, modRevision, version, lease, value }
  })
  return { revision, count, more, kvs }
}

/** Everything read, nothing left over. */
function whole<T>(packed: Uint8Array, read: (r: wire.Reader) => T): T {
  const reader = new wire.Reader(packed)
  const value = read(reader)
  expect(reader.at).toBe(packed.length)
  return value
}

const plainRange: wire.RangeRequest = {
  keys: { start: text('') },
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
const put = (key: string, value: Uint8Array, more: Partial<wire.Put> = {}): wire.Put => ({
  key: text(key),
  value,
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more,
})

beforeAll(() => loadEngine(wasm))

function start(maxBlobBytes = 0): Core {
  const core = new Core(new Uint8Array(16), maxBlobBytes, 0)
  core.call((engine) => engine.start())
  return core
}
const apply = (core: Core, request: Uint8Array) => core.call((engine) => engine.apply(request, nowMs))

describe('round trips', () => {
  test('every kind of request, its answer read to the last byte', () => {
    const core = start()
    const grant = whole(apply(core, wire.packLeaseGrant(ids.i64Min, 9_000_000_000)), (r) => [
      r.u32(),
      r.u64(),
      r.i64(),
      r.u64(),
    ])
    expect(grant).toEqual([4, 1, ids.i64Min, 9_000_000_000])
    const first = whole(apply(core, wire.packPut(put('a', text('one'), { lease: ids.i64Min }))), (r) => [
      r.u32(),
      r.u64(),
      r.bool(),
    ])
    expect(first).toEqual([0, 2, false])
    const second = whole(apply(core, wire.packPut(put('a', text('two'), { prevKv: true }))), (r) => [
      r.u32(),
      r.u64(),
      optional(r, keyValue),
    ])
    const one = { key: text('a'), createRevision: 2, modRevision: 2, version: 1, lease: ids.i64Min, value: text('one') }
    expect(second).toEqual([0, 3, one])
    const gone = whole(
      apply(core, wire.packDeleteRange({ keys: { start: text('a'), end: text('b') }, prevKv: true })),
      (r) => [r.u32(), r.u64(), r.u64(), r.list(() => keyValue(r))],
    )
    const two = { ...one, modRevision: 3, version: 2, lease: 0n, value: text('two') }
    expect(gone).toEqual([1, 4, 1, [two]])
    expect(whole(apply(core, wire.packLeaseKeepAlive(ids.i64Min)), (r) => [r.u32(), r.u64(), r.u64()])).toEqual([
      6, 4, 9_000_000_000,
    ])
    expect(whole(apply(core, wire.packLeaseRevoke(ids.i64Min)), (r) => [r.u32(), r.u64()])).toEqual([5, 4])
    const commit: wire.Commit = {
      revision: 4,
      reads: [{ key: text('a') }, { start: text('b') }],
      deletes: [{ start: text('a'), end: text('c') }],
      puts: [put('b', text('1')), put('c', text('2'))],
    }
    expect(whole(apply(core, wire.packCommit(commit)), (r) => [r.u32(), r.u64()])).toEqual([8, 5])
    expect(() => apply(core, wire.packCommit(commit))).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    expect(whole(apply(core, wire.packCompact(4)), (r) => [r.u32(), r.u64()])).toEqual([3, 5])
    core.free()
  })

  test('a txn with every compare and operation', () => {
    const core = start()
    apply(core, wire.packLeaseGrant(ids.i64Max, 5))
    apply(core, wire.packPut(put('a', text('x'), { lease: ids.i64Max })))
    const compare = (
      target: wire.CompareRequest['target'],
      operand: wire.CompareRequest['operand'],
      result: wire.CompareRequest['result'],
    ) => ({
      keys: { key: text('a') },
      target,
      operand,
      result,
    })
    const txn: wire.Txn = {
      compare: [
        compare('version', 1, '='),
        compare('createRevision', 3, '<'),
        compare('modRevision', 1, '>'),
        compare('value', text('y'), '!='),
        compare('lease', ids.i64Max, '='),
      ],
      success: [
        { kind: 'range', range: { ...plainRange, keys: { key: text('a') } }, single: true },
        { kind: 'put', put: put('b', new Uint8Array(3000)) },
        {
          kind: 'txn',
          txn: {
            compare: [],
            success: [{ kind: 'delete', delete: { keys: { key: text('a') }, prevKv: false } }],
            failure: [],
          },
        },
      ],
      failure: [{ kind: 'put', put: put('never', text('')) }],
    }
    const answer = whole(apply(core, wire.packTxn(txn)), (r) => ({
      kind: r.u32(),
      revision: r.u64(),
      succeeded: r.bool(),
      count: r.u64(),
      range: [r.u32(), rangeResponse(r)],
      put: [r.u32(), r.u64(), r.bool()],
      txn: [r.u32(), r.u64(), r.bool(), r.u64(), r.u32(), r.u64(), r.u64(), r.u64()],
    }))
    expect(answer).toMatchObject({
      kind: 2,
      revision: 3,
      succeeded: true,
      count: 3,
      put: [0, 3, false],
      txn: [3, 3, true, 1, 1, 3, 1, 0],
    })
    expect(answer.range).toMatchObject([
      2,
      { revision: 2, count: 1, more: false, kvs: [{ lease: ids.i64Max, value: text('x') }] },
    ])
    core.free()
  })

  test('each field of a range reaches its place', () => {
    const core = start()
    for (const key of ['a', 'b', 'c', 'b']) apply(core, wire.packPut(put(key, text(key))))
    const keys = (range: Partial<wire.RangeRequest>) => {
      const request = wire.packRange({ ...plainRange, ...range })
      const packed = core.call((engine) => engine.range(request))
      return whole(packed, rangeResponse)
        .kvs.map((kv) => String.fromCharCode(kv.key[0] as number))
        .join('')
    }
    expect(keys({})).toBe('abc')
    expect(keys({ keys: { start: text('b') } })).toBe('bc')
    expect(keys({ keys: { start: text('a'), end: text('c') } })).toBe('ab')
    expect(keys({ revision: 2 })).toBe('a')
    expect(keys({ limit: 2 })).toBe('ab')
    expect(keys({ countOnly: true })).toBe('')
    expect(keys({ sortBy: 'modRevision' })).toBe('acb')
    expect(keys({ sortBy: 'version', descend: true })).toBe('bac')
    expect(keys({ sortBy: 'createRevision', descend: true })).toBe('cba')
    expect(keys({ sortBy: 'value', descend: true })).toBe('cba')
    expect(keys({ minModRevision: 5 })).toBe('b')
    expect(keys({ maxModRevision: 3 })).toBe('a')
    expect(keys({ minCreateRevision: 4 })).toBe('c')
    expect(keys({ maxCreateRevision: 3 })).toBe('ab')
    core.free()
  })

  test('what a read depends on, and how much there is', () => {
    const core = start()
    apply(core, wire.packPut(put('a', text('1'))))
    apply(core, wire.packPut(put('b', text('1'))))
    const isUnchanged = (revision: number, ...reads: wire.KeyRange[]) => {
      const request = wire.packIsUnchanged(revision, reads)
      return core.call((engine) => engine.isUnchanged(request))
    }
    const [a, fromB] = [{ key: text('a') }, { start: text('b') }]
    expect([isUnchanged(2, a), isUnchanged(2, a, fromB), isUnchanged(3, a, fromB)]).toEqual([true, false, true])
    const modRevision = (key: string) => core.call((engine) => engine.modRevision(text(key)))
    expect([modRevision('a'), modRevision('b'), modRevision('c')]).toEqual([2, 3, 0])
    const stats = core.call((engine) => engine.stats())
    expect(stats).toEqual({ keys: 2, revisions: 2, bytes: 238, watchers: 0, leases: 0, wasmBytes: stats.wasmBytes })
    expect(stats.wasmBytes % 65536).toBe(0)
    core.free()
  })

  test('a KeyValue packed here is what the engine packs', () => {
    const core = start()
    apply(core, wire.packLeaseGrant(ids.i64Min, 5))
    apply(core, wire.packPut(put('key', text('value'), { lease: ids.i64Min })))
    const packed = core.call((engine) => engine.get(text('key'), 0)) as Uint8Array
    expect(wire.packKeyValue(whole(packed, keyValue))).toEqual(packed)
    core.free()
  })

  test('watches, leases and what is ready to be written', () => {
    const core = start(4096)
    const watch = wire.packWatch({
      keys: { start: text('') },
      startRevision: 0,
      prevKv: true,
      noPut: false,
      noDelete: false,
      resync: false,
    })
    const id = core.call((engine) => engine.watch(watch))
    apply(core, wire.packLeaseGrant(5n, 60))
    apply(core, wire.packPut(put('a', text('1'), { lease: 5n })))
    apply(core, wire.packDeleteRange({ keys: { key: text('a') }, prevKv: false }))
    const events = (r: wire.Reader) => r.list(() => ({ kind: r.u32(), kv: keyValue(r), prev: optional(r, keyValue) }))
    const taken = whole(
      core.call((engine) => engine.takeEvents(id, 0, 100)),
      (r) => ({
        batches: r.list(() => ({ revision: r.u64(), resync: r.bool(), events: events(r) })),
        through: r.u64(),
      }),
    )
    const created = { key: text('a'), createRevision: 2, modRevision: 2, version: 1, lease: 5n, value: text('1') }
    const tombstone = { key: text('a'), createRevision: 0, modRevision: 3, version: 0, lease: 0n, value: text('') }
    expect(taken).toEqual({
      batches: [
        { revision: 2, resync: false, events: [{ kind: 0, kv: created, prev: undefined }] },
        { revision: 3, resync: false, events: [{ kind: 1, kv: tombstone, prev: created }] },
      ],
      through: 3,
    })
    const history = wire.packHistory({ keys: { key: text('a') }, from: 3, to: 3, limit: 1 })
    expect(
      whole(
        core.call((engine) => engine.history(history)),
        events,
      ),
    ).toEqual([{ kind: 1, kv: tombstone, prev: undefined }])

    apply(core, wire.packPut(put('z', text('1'), { lease: 5n })))
    const lease = wire.readLease(core.call((engine) => engine.lease(5n, nowMs + 1_500)) as Uint8Array)
    expect(lease).toEqual({ id: 5n, ttlSeconds: 60, remainingMs: 58_500, keys: [text('z')] })

    const ready = wire.readReady(core.call((engine) => engine.takeReady()) as Uint8Array)
    expect([ready.through, ready.delete]).toEqual([4, []])
    for (const blob of ready.put) {
      expect(blob.id).toMatch(/^[0-9a-f]{16}$/)
      expect(blob.bytes.byteLength).toBeLessThanOrEqual(4096)
      // Structured clone would copy the whole buffer behind a view.
      expect(blob.bytes.buffer.byteLength).toBe(blob.bytes.byteLength)
    }
    core.free()
  })
})

test('numbers up to 2^53-1 keep every digit', () => {
  const core = start()
  const future = wire.packRange({ ...plainRange, revision: Number.MAX_SAFE_INTEGER })
  expect(() => core.call((engine) => engine.range(future))).toThrow(
    expect.objectContaining({ code: 'FUTURE_REVISION', revision: Number.MAX_SAFE_INTEGER }),
  )
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  for (const number of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 3, Number.MAX_SAFE_INTEGER]) {
    view.setBigUint64(0, BigInt(number), true)
    expect(wire.u64At(bytes, 0)).toBe(number)
  }
  for (const number of [0n, 1n, -1n, 2n ** 32n, -(2n ** 32n), ids.i64Min, ids.i64Max]) {
    view.setBigInt64(0, number, true)
    expect(wire.i64At(bytes, 0)).toBe(number)
  }
  core.free()
})

test('a request larger than the scratch area, and the small one after it', () => {
  const core = start()
  const large = new Uint8Array(1_400_000).fill(7)
  apply(core, wire.packPut(put('large', large)))
  apply(core, wire.packPut(put('small', text('s'))))
  const read = (key: string) => whole(core.call((engine) => engine.get(text(key), 0)) as Uint8Array, keyValue).value
  expect(Buffer.compare(read('large'), large)).toBe(0)
  expect(read('small')).toEqual(text('s'))
  core.free()
})
