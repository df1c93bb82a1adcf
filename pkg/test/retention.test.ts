import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Retention, Store } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { openStore } from './open.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Lets so much time pass, and all that becomes due in it. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

async function openWith(retention: Retention, more: object = {}): Promise<Store<string>> {
  return openStore<string>({ retention, ...more })
}

async function putMany(store: Store<string>, count: number, value = 'v'): Promise<void> {
  for (let i = 0; i < count; i++) await store.put('a', value)
}

describe('by revisions', () => {
  test('the newest stay readable, and about as many are kept', async () => {
    const store = await openWith({ revisions: 80 })
    await putMany(store, 85)
    await pass(200)
    expect([store.revision, store.compactRevision]).toEqual([86, 0])
    await putMany(store, 200)
    expect(store.compactRevision).toBe(0)
    await pass(200)
    expect([store.revision, store.compactRevision]).toEqual([286, 286 - 79])
    await putMany(store, 9)
    await pass(200)
    expect(store.compactRevision).toBe(207)
    await putMany(store, 1)
    await pass(200)
    expect(store.compactRevision).toBe(217)
  })

  test('of one revision nothing but the present is kept', async () => {
    const store = await openWith({ revisions: 1 })
    await putMany(store, 10)
    await pass(200)
    expect([store.compactRevision, store.stats().revisions, store.get('a')]).toEqual([11, 1, 'v'])
  })

  test('what listeners, snapshots and a durable watch have coming is not lost to them', async () => {
    const store = await openWith({ revisions: 1 }, { storage: memory(), durability: 'memory' })
    const snapshot = store.snapshot()
    const heard: number[] = []
    const errors: unknown[] = []
    store.on({}, ({ revision }) => heard.push(revision), { durable: true, onError: (e) => errors.push(e) })
    await putMany(store, 5)
    await pass(200)
    await vi.waitFor(() => expect(store.compactRevision).toBe(6))
    expect([heard, errors, snapshot.get('a')]).toEqual([[2, 3, 4, 5, 6], [], undefined])
  })

  test('is told as compacted, and what is by hand goes on beside it', async () => {
    const store = await openWith({ revisions: 10 })
    const heard: number[] = []
    store.addEventListener('compacted', (event) => heard.push(event.detail.revision))
    store.addEventListener('error', (event) => {
      throw event.detail.error
    })
    await putMany(store, 100)
    await store.compact(95)
    await pass(200)
    expect([heard, store.compactRevision]).toEqual([[95], 95])
  })
})

describe('by age', () => {
  test('what the store held within it stays readable, and the rest goes when nothing is written too', async () => {
    const store = await openWith({ ageMs: 16_000 })
    await putMany(store, 3)
    await pass(8_000)
    await putMany(store, 3)
    await pass(7_900)
    expect(store.compactRevision).toBe(0)
    await pass(1_500)
    expect([store.revision, store.compactRevision]).toEqual([7, 4])
    await pass(8_000)
    expect([store.compactRevision, vi.getTimerCount()]).toEqual([7, 0])
  })

  test('begins anew when a store is opened', async () => {
    const storage = memory()
    const before = await openWith({ ageMs: 16_000 }, { storage })
    await putMany(before, 5)
    await pass(15_000)
    await before.close()
    const store = await openWith({ ageMs: 16_000 }, { storage })
    await pass(15_000)
    expect(store.compactRevision).toBe(0)
    await pass(3_000)
    expect(store.compactRevision).toBe(6)
  })

  test('longer than a timer can wait', async () => {
    const store = await openWith({ ageMs: 2 ** 40 })
    await putMany(store, 5)
    await pass(60_000)
    expect(store.compactRevision).toBe(0)
  })
})

describe('by bytes', () => {
  test('older halves go until there are fewer', async () => {
    const store = await openWith({ bytes: 100_000 })
    await putMany(store, 150, 'x'.repeat(1000))
    expect(store.stats().bytes).toBeGreaterThan(150_000)
    await pass(500)
    expect(store.stats().bytes).toBeLessThanOrEqual(100_000)
    expect(store.compactRevision).toBeLessThan(store.revision)
  })

  test('keys that are more by themselves are not passed over at every write', async () => {
    const store = await openWith({ bytes: 100_000 })
    const heard: number[] = []
    store.addEventListener('compacted', (event) => heard.push(event.detail.revision))
    await store.putMany(Array.from({ length: 200 }, (_, i) => [`k${i}`, 'x'.repeat(1000)]))
    await pass(500)
    const before = heard.length
    for (let i = 0; i < 5; i++) {
      await store.put('k0', 'x'.repeat(1000))
      await pass(500)
    }
    expect([store.count(), heard.length - before]).toEqual([200, 0])
    for (let i = 0; i < 5; i++) {
      await store.put('k0', 'x'.repeat(2000))
      await pass(500)
    }
    expect(heard.length - before).toBeGreaterThan(0)
    expect(store.stats().revisions).toBeLessThan(206)
  })
})

test('what any of them lets go of is forgotten', async () => {
  const store = await openWith({ revisions: 10, ageMs: 1_000_000, bytes: 1 << 30 })
  await putMany(store, 100)
  await pass(200)
  expect(store.compactRevision).toBe(92)
})

test('without a bound no timer is set, and none is left by a store that is closed', async () => {
  const store = await openWith({})
  await putMany(store, 10)
  expect(vi.getTimerCount()).toBe(0)
  const bounded = await openWith({ revisions: 5, ageMs: 1000 })
  await putMany(bounded, 10)
  await bounded.close()
  expect(vi.getTimerCount()).toBe(0)
})
