import { describe, expect, test } from 'vitest'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, openStore, turn } from './open.js'

describe('stats', () => {
  test('count what there is', async () => {
    const store = await openStore<number>()
    expect(store.stats()).toMatchObject({ keys: 0, revisions: 0, bytes: 0, watchers: 0, leases: 0, storageBytes: 0 })
    await store.put('a', 1)
    await store.put('a', 2)
    await store.put('b', 1)
    await store.delete('b')
    await store.grant(60)
    store.on({}, () => {})
    const stats = store.stats()
    expect(stats).toMatchObject({ keys: 1, revisions: 4, watchers: 1, leases: 1 })
    // Two keys of one byte, four changes, four records of a key of one byte and three values of one.
    expect(stats.bytes).toBe(2 * 81 + 4 * 16 + 4 * 21 + 3)
    expect(stats.wasmBytes % 65536).toBe(0)
    expect(stats.wasmBytes).toBeGreaterThan(1 << 20)
  })

  test('count operations and failures by their names, in namespaces too', async () => {
    const store = await openStore<number>()
    const inner = store.namespace('n/')
    await store.put('a', 1)
    await inner.put('a', 1)
    await codeOf(() => store.put('', 1))
    for (let i = 0; i < 100; i++) inner.get('a')
    await codeOf(() => store.get('a', { revision: 99 }))
    await store.compareAndSet('a', 1, 2)
    await store.transact(() => Promise.reject(new Error('no'))).catch(() => {})
    const { operations } = store.stats()
    const counts = Object.entries(operations).map(([name, { count, errors }]) => [name, count, errors])
    expect(counts).toEqual([
      ['get', 101, 1],
      ['put', 3, 1],
      ['compareAndSet', 1, 0],
      ['transact', 1, 1],
    ])
    expect(inner.stats().operations).toEqual(operations)
  }, 10_000)

  test('time what callers wait for', async () => {
    const waitMs = 20
    const storage = changed(memory(), (handle) => ({
      write: async (...batch: Parameters<typeof handle.write>) => {
        await new Promise((resolve) => setTimeout(resolve, waitMs))
        await handle.write(...batch)
      },
    }))
    const store = await openStore<number>({ storage })
    await store.put('a', 1)
    store.get('a')
    const { put, get } = store.stats().operations
    expect(put?.p50Us).toBeGreaterThan(0.9 * waitMs * 1000)
    expect(put?.p99Us).toBe(put?.p50Us)
    expect(get?.p50Us).toBeLessThan(waitMs * 1000)
  })

  test('say what the storage says, when it has said it', async () => {
    let answer: () => unknown = () => 4096
    const storage = changed(memory(), () => ({ bytesUsed: async () => answer() }))
    const store = await openStore<number>({ storage })
    const asked = async () => {
      store.stats()
      await turn()
      return store.stats().storageBytes
    }
    expect(store.stats().storageBytes).toBe(-1)
    expect(await asked()).toBe(4096)
    for (const odd of [() => undefined, () => 'much', () => Number.NaN, () => Promise.reject(new Error('no'))]) {
      answer = odd
      expect([String(odd), await asked()]).toEqual([String(odd), 4096])
    }
    answer = () => 5000
    await asked()
    expect(await asked()).toBe(5000)
  })
})

test('a database deleted while it is open is told as evicted', async () => {
  const inner = memory()
  let fail = false
  let wiped = false
  const storage = changed(inner, (handle) => ({
    read: async function* () {
      if (!wiped) yield* handle.read()
    },
    write: async (...batch: Parameters<typeof handle.write>) => {
      if (fail) throw new Error('gone')
      await handle.write(...batch)
    },
  }))
  const store = await openStore<number>({ storage })
  await store.put('a', 1)
  const heard: string[] = []
  for (const type of ['evicted', 'error']) store.addEventListener(type, () => heard.push(type))
  fail = true
  wiped = true
  expect(await codeOf(() => store.put('a', 2))).toBe('STORAGE_LOST')
  expect(heard).toContain('evicted')
  expect(store.get('a')).toBe(2)
})
