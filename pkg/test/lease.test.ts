import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore } from './open.js'

describe('a lease', () => {
  test('has keys, which go when it is revoked, in one revision', async () => {
    const store = await openStore<number>()
    const lease = await store.grant(60)
    expect([lease.ttlSeconds, lease.id > 0n, store.leases()]).toEqual([60, true, [lease.id]])
    await store.put('b', 1, { lease })
    await store.put('a', 1, { lease: lease.id })
    await store.put('c', 1)
    expect([lease.keys(), store.entry('a')?.lease]).toEqual([['a', 'b'], lease.id])
    expect(lease.remaining()).toBeGreaterThan(59)
    expect(lease.remaining()).toBeLessThanOrEqual(60)
    expect(await lease.keepAlive()).toBe(60)
    expect(await lease.revoke()).toEqual({ revision: 5 })
    expect([store.count(), lease.remaining(), lease.keys(), store.lease(lease.id)]).toEqual([1, -1, [], undefined])
    expect(await codeOf(() => lease.keepAlive())).toBe('LEASE_NOT_FOUND')
    expect(await codeOf(() => lease.revoke())).toBe('LEASE_NOT_FOUND')
    await lease[Symbol.asyncDispose]()
  })

  test('may have an id of the whole 64 bits', async () => {
    const store = await openStore<number>({ keys: 'bytes' })
    const ids = [-(2n ** 63n), -1n, 1n, 2n ** 63n - 1n]
    for (const id of ids) await store.grant(9_000_000_000, { id })
    expect(store.leases()).toEqual(ids)
    await store.put('a', 1, { lease: ids[0] as bigint })
    expect(store.entry('a')?.lease).toBe(ids[0])
    expect(store.lease(ids[0] as bigint)?.keys()).toEqual([new Uint8Array([97])])
    expect(store.lease(5n)).toBeUndefined()
  })

  test('is let go by the end of a scope', async () => {
    const store = await openStore<number>()
    const lease = await store.grant(60)
    await store.put('a', 1, { lease })
    await lease[Symbol.asyncDispose]()
    expect([store.get('a'), store.leases()]).toEqual([undefined, []])
  })

  test('of a put alone is revoked when the put fails', async () => {
    const store = await openStore<number>()
    await store.put('a', 1, { ttlSeconds: 60 })
    const id = store.entry('a')?.lease as bigint
    expect(store.lease(id)?.keys()).toEqual(['a'])
    expect(await codeOf(() => store.put('x', undefined, { ttlSeconds: 60, ignoreValue: true }))).toBe('KEY_NOT_FOUND')
    expect(store.leases()).toEqual([id])
    await store.put('a', 2, { ignoreLease: true })
    expect(store.entry('a')?.lease).toBe(id)
    await store.put('a', 3)
    expect([store.entry('a')?.lease, store.lease(id)?.keys()]).toEqual([0n, []])
  })
})

describe('expiry', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('is a write like any other: one revision each, keys in order, heard by watches', async () => {
    const store = await openStore<number>()
    const seen: string[] = []
    store.on({}, ({ revision, changes }) =>
      seen.push(`${revision} ${changes.map((c) => c.type === 'delete' && c.key)}`),
    )
    const [long, short] = [await store.grant(20), await store.grant(10)]
    await store.txn({
      then: [
        { put: ['b', 1], lease: short },
        { put: ['a', 1], lease: short },
        { put: ['c', 1], lease: long },
      ],
    })
    await vi.advanceTimersByTimeAsync(9_999)
    expect([store.revision, short.remaining()]).toEqual([2, 0.001])
    await vi.advanceTimersByTimeAsync(2)
    expect([store.revision, short.remaining(), store.leases()]).toEqual([3, -1, [long.id]])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(seen).toEqual(['2 false,false,false', '3 a,b', '4 c'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is put off by keepAlive', async () => {
    const store = await openStore<number>()
    const lease = await store.grant(10)
    await vi.advanceTimersByTimeAsync(9_000)
    await lease.keepAlive()
    await vi.advanceTimersByTimeAsync(9_000)
    expect(lease.remaining()).toBe(1)
    await vi.advanceTimersByTimeAsync(1_001)
    expect(lease.remaining()).toBe(-1)
  })

  test('comes even when it is further away than a timer can wait', async () => {
    const store = await openStore<number>()
    const thirtyDays = 30 * 24 * 3600
    const lease = await store.grant(thirtyDays)
    await vi.advanceTimersByTimeAsync(2 ** 31)
    expect(lease.remaining()).toBeGreaterThan(0)
    await vi.advanceTimersByTimeAsync(thirtyDays * 1000 + 1 - 2 ** 31)
    expect(lease.remaining()).toBe(-1)
  })

  test('deadlines survive a reopening, and what expired meanwhile is gone at once', async () => {
    const storage = memory()
    const first = await openStore<number>({ storage })
    await first.put('short', 1, { ttlSeconds: 10 })
    await first.put('long', 1, { ttlSeconds: 100 })
    await first.close()
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(50_000)
    const second = await openStore<number>({ storage })
    expect(
      second
        .list()
        .toArray()
        .map((entry) => entry.key),
    ).toEqual(['long'])
    expect(second.lease(second.entry('long')?.lease as bigint)?.remaining()).toBe(50)
    await second.close()
  })
})
