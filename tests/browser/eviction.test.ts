// What the browser may do to a database between two visits: wipe it, or bring back an older state of it.
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { test } from './browser.js'

/** The database as it lies there, read past the package. */
interface Copy {
  blobs: [string, number[]][]
  meta: [string, string | number][]
}

/** Opens a store and says what is in it, or with which code it was refused. The store is closed again. */
function visit(page: Page, name: string): Promise<{ code: string } | { revision: number; values: string[] }> {
  return page.evaluate(async (name) => {
    try {
      const store = await revkv.open<string>({ name, storage: indexedDb() })
      const values = store.list().toArray()
      const seen = { revision: store.revision, values: values.map(({ value }) => value) }
      await store.close()
      return seen
    } catch (error) {
      if (!revkv.RevkvError.is(error)) throw error
      return { code: error.code }
    }
  }, name)
}

/** Opens a store, puts these values one after the other under their own names, and closes it. */
function write(page: Page, name: string, values: string[]): Promise<number> {
  return page.evaluate(
    async ([name, values]) => {
      const store = await revkv.open<string>({ name, storage: indexedDb() })
      for (const value of values) await store.put(value, value)
      const { revision } = store
      await store.close()
      return revision
    },
    [name, values] as const,
  )
}

function wipe(page: Page, name: string): Promise<void> {
  return page.evaluate(
    (name) =>
      new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase(`revkv:${name}`)
        request.onsuccess = () => resolve()
        request.onerror = () => reject(request.error)
      }),
    name,
  )
}

function copyOut(page: Page, name: string): Promise<Copy> {
  return page.evaluate(async (name) => {
    const answer = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
    const database = await answer(indexedDB.open(`revkv:${name}`))
    const rows = async (of: string) => {
      const store = database.transaction(of).objectStore(of)
      const [keys, values] = await Promise.all([answer(store.getAllKeys()), answer(store.getAll())])
      return keys.map((key, i) => [String(key), values[i]] as const)
    }
    const blobs = (await rows('blobs')).map(([id, bytes]) => [id, [...bytes]])
    const meta = (await rows('meta')).map(([key, value]) => [key, value])
    database.close()
    return { blobs, meta } as Copy
  }, name)
}

function copyIn(page: Page, name: string, copy: Copy): Promise<void> {
  return page.evaluate(
    async ([name, { blobs, meta }]) => {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(`revkv:${name}`)
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
      const transaction = database.transaction(['blobs', 'meta'], 'readwrite')
      for (const store of ['blobs', 'meta']) transaction.objectStore(store).clear()
      for (const [id, bytes] of blobs) transaction.objectStore('blobs').put(new Uint8Array(bytes), id)
      for (const [key, value] of meta) transaction.objectStore('meta').put(value, key)
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve()
        transaction.onabort = () => reject(transaction.error)
      })
      database.close()
    },
    [name, copy] as const,
  )
}

test('a wiped database is told of once, and then goes on empty', async ({ open }) => {
  const first = await open()
  expect(await write(first, 'wiped', ['one', 'two'])).toBe(3)
  await wipe(first, 'wiped')
  await first.close()

  const second = await open()
  expect(await visit(second, 'wiped')).toEqual({ code: 'EVICTED' })
  expect(await second.evaluate(async () => (await navigator.locks.query()).held)).toEqual([])
  expect(await visit(second, 'wiped')).toEqual({ revision: 1, values: [] })
  expect(await write(second, 'wiped', ['three'])).toBe(2)
  await second.close()

  const third = await open()
  expect(await visit(third, 'wiped')).toEqual({ revision: 2, values: ['three'] })
  // And once more, with what is there now.
  await wipe(third, 'wiped')
  expect([await visit(third, 'wiped'), await visit(third, 'wiped')]).toEqual([
    { code: 'EVICTED' },
    { revision: 1, values: [] },
  ])
})

test('an older state of a database is told of once, and goes on as another life of the store', async ({ open }) => {
  const page = await open()
  await write(page, 'older', ['one'])
  const copy = await copyOut(page, 'older')
  expect(await write(page, 'older', ['two', 'three'])).toBe(4)
  await copyIn(page, 'older', copy)
  expect(await visit(page, 'older')).toEqual({ code: 'EVICTED' })
  const before = await copyOut(page, 'older')

  const seen = await page.evaluate(async () => {
    const store = await revkv.open<string>({ name: 'older', storage: indexedDb() })
    const found = [store.revision, store.get('one'), store.get('two')]
    const backup = await store.backup().bytes()
    const { revision } = await store.put('four', 'four')
    await store.close()
    const restored = await revkv.open<string>()
    await restored.restore(backup)
    const kept = [restored.revision, restored.get('one')]
    await restored.close()
    return { found, revision, kept }
  })
  expect(seen).toEqual({ found: [2, 'one', undefined], revision: 3, kept: [2, 'one'] })
  expect(await visit(page, 'older')).toEqual({ revision: 3, values: ['four', 'one'] })

  // Of that life nothing is left: each blob was written anew.
  const after = await copyOut(page, 'older')
  const common = after.blobs.filter(([id]) => before.blobs.some(([former]) => former === id))
  expect(common).toEqual([])
  expect(await write(page, 'older', ['five', 'six'])).toBe(5)
  expect(await visit(page, 'older')).toMatchObject({ revision: 5 })
})

test('what is told stays told when the page ends before anything is written', async ({ open }) => {
  const first = await open()
  await write(first, 'unfinished', ['one', 'two'])
  await wipe(first, 'unfinished')
  expect(await visit(first, 'unfinished')).toEqual({ code: 'EVICTED' })
  await first.evaluate(async () => {
    await revkv.open({ name: 'unfinished', storage: indexedDb() })
  })
  await first.close()
  const second = await open()
  expect(await visit(second, 'unfinished')).toEqual({ revision: 1, values: [] })
})

test('a healthy store is never told of, whatever was done to it', { timeout: 60_000 }, async ({ open }) => {
  const page = await open()
  const codes = await page.evaluate(async () => {
    type Store = Awaited<ReturnType<typeof revkv.open<string>>>
    const opening = () => revkv.open<string>({ name: 'healthy', storage: indexedDb() })
    const past = await (async () => {
      const store = await opening()
      await store.put('a', 'zero')
      const bytes = await store.backup().bytes()
      await store.close()
      return bytes
    })()
    const acts: ((store: Store) => Promise<unknown>)[] = [
      async () => {},
      (store) => store.put('a', 'strict'),
      (store) => store.put('a', 'relaxed', { durability: 'relaxed' }),
      (store) => Promise.all(Array.from({ length: 50 }, (_, i) => store.put('a', `${i}`, { durability: 'relaxed' }))),
      (store) => store.put('a', 'memory', { durability: 'memory' }),
      (store) => store.delete('a'),
      (store) => store.compact(store.revision),
      (store) => store.grant(60),
      // An older revision, under another life.
      (store) => store.restore(past),
      (store) => store.restore(past).then(() => store.put('a', 'restored')),
      async (store) => {
        const empty = await revkv.open<string>()
        await store.restore(await empty.backup().bytes())
        await empty.close()
      },
    ]
    const told: string[] = []
    for (let round = 0; round < 5; round++) {
      for (const [i, act] of acts.entries()) {
        try {
          const store = await opening()
          await act(store)
          await store.close()
        } catch (error) {
          told.push(`round ${round}, act ${i}: ${error}`)
        }
      }
    }
    return told
  })
  expect(codes).toEqual([])
})

test('a page that ends in the middle of writing, or right after a restore, is not told of', async ({ open }) => {
  const acts = ['strict', 'relaxed', 'memory', 'restore'] as const
  for (const act of [...acts, ...acts]) {
    const page = await open()
    await page.evaluate(async (act) => {
      const store = await revkv.open<string>({ name: 'ended', storage: indexedDb() })
      const bytes = await store.backup().bytes()
      for (let i = 0; i < 30; i++) await store.put('n', `${i}`, { durability: act === 'restore' ? 'relaxed' : act })
      if (act === 'restore') await store.restore(bytes)
      void store.put('n', 'under way')
    }, act)
    await page.close()
  }
  const last = await open()
  expect(await visit(last, 'ended')).not.toHaveProperty('code')
})
