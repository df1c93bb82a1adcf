import { expect, test } from 'vitest'
import { utf8, type WatchBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore, turn } from './open.js'

test('any number of keys is one revision, one batch of a watch, and one commit of the storage', async () => {
  const storage = memory()
  const store = await openStore<number>({ storage })
  const batches: WatchBatch<number>[] = []
  store.on({}, (batch) => batches.push(batch))
  const keys = Array.from({ length: 10_000 }, (_, i) => `key/${String(i).padStart(5, '0')}`)
  expect(await store.putMany(keys.map((key, i) => [key, i]))).toEqual({ revision: 2 })
  expect([store.count(), store.get('key/09999'), store.durableRevision]).toEqual([10_000, 9999, 2])
  await turn()
  expect(batches.map(({ revision, changes }) => [revision, changes.length])).toEqual([[2, 10_000]])
  await store.close()
  const again = await openStore<number>({ storage })
  expect([again.count(), again.revision]).toEqual([10_000, 2])
})

test('more bytes than a single put may have', async () => {
  const store = await openStore({ values: utf8 })
  const value = 'x'.repeat(1 << 20)
  await store.putMany(Array.from({ length: 30 }, (_, i) => [`k${i}`, value] as const))
  expect(store.count()).toBe(30)
  const entries = Array.from({ length: 33 }, (_, i) => [`l${i}`, value] as const)
  expect(await codeOf(() => store.putMany(entries))).toBe('TOO_LARGE')
  expect(store.revision).toBe(2)
})

test('takes any iterable, once, and what its code writes comes before', async () => {
  const store = await openStore<number>()
  await store.putMany(new Map([['m', 1]]))
  await store.putMany(Object.entries({ o: 2 }))
  function* writing(): Iterable<[string, number]> {
    void store.put('first', 3)
    yield ['then', 4]
  }
  expect(await store.putMany(writing())).toEqual({ revision: 5 })
  expect(store.entry('first')?.modRevision).toBe(4)
  const refusing = function* (): Iterable<[string, number]> {
    yield ['a', 1]
    throw new Error('no more')
  }
  await expect(store.putMany(refusing())).rejects.toThrow('no more')
  expect(store.get('a')).toBe(undefined)
})

test('no entries are no revision', async () => {
  const store = await openStore()
  expect(await store.putMany([])).toEqual({ revision: 1 })
  expect(await store.putMany([], { ttlSeconds: 5 })).toEqual({ revision: 1 })
  expect(store.leases()).toEqual([])
})

test('its options are those of each of its puts; a ttl is of one lease', async () => {
  const store = await openStore<number>()
  const lease = await store.grant(60)
  await store.putMany([['a', 1] as const, ['b', 2]], { lease })
  expect(lease.keys()).toEqual(['a', 'b'])
  await store.putMany([['a', 3] as const], { ignoreLease: true })
  expect([store.get('a'), store.entry('a')?.lease]).toEqual([3, lease.id])
  await store.putMany([['c', 1] as const, ['d', 2]], { ttlSeconds: 60 })
  const id = store.entry('c')?.lease as bigint
  expect([id === 0n, store.entry('d')?.lease, store.lease(id)?.keys()]).toEqual([false, id, ['c', 'd']])
  expect(await codeOf(() => store.putMany([['e', 1] as const, ['e', 2]], { ttlSeconds: 60 }))).toBe('DUPLICATE_KEY')
  expect(store.leases()).toHaveLength(2)
})

test('compareAndSet takes the options of a put, and leaves no lease where it does not set', async () => {
  const store = await openStore<number>()
  expect(await store.compareAndSet('a', undefined, 1, { ttlSeconds: 60 })).toEqual({ ok: true, revision: 2 })
  expect(store.lease(store.entry('a')?.lease as bigint)?.keys()).toEqual(['a'])
  expect(await store.compareAndSet('a', 5, 2, { ttlSeconds: 60 })).toEqual({ ok: false, revision: 2 })
  expect(await store.compareAndSet('a', 1, 2, { ignoreLease: true })).toEqual({ ok: true, revision: 3 })
  expect([store.leases().length, store.entry('a')?.lease === 0n]).toEqual([1, false])
})
