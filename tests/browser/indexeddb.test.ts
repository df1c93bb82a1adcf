// The package on a real IndexedDB: what a reopened store has, and when a write counts as written.
import type { Page } from 'playwright-core'
import type { WatchBatch } from 'revkv'
import { expect } from 'vitest'
import { test } from './browser.js'

test('a reopened store has its values, history and leases', async ({ open }) => {
  const first = await open()
  const lease = await first.evaluate(async () => {
    const store = await revkv.open<string>({ name: 'reopened', storage: indexedDb() })
    await store.put('a', 'one')
    await store.put('a', 'two')
    await store.put('b', 'three')
    await store.delete('b')
    const lease = await store.grant(600)
    await store.put('session', 'ada', { lease })
    await store.close()
    return lease.id
  })
  await first.close()

  const second = await open()
  const found = await second.evaluate(async (id) => {
    const store = await revkv.open<string>({ name: 'reopened', storage: indexedDb() })
    const a = store.entry('a')
    const lease = store.lease(id)
    const found = {
      revisions: [store.revision, store.durableRevision, store.compactRevision],
      a: [a?.value, a?.createRevision, a?.modRevision, a?.version],
      past: [store.get('a', { revision: 2 }), store.get('b', { revision: 4 }), store.get('b', { revision: 5 })],
      history: store
        .history({})
        .map((change) =>
          change.type === 'put'
            ? [change.entry.modRevision, change.entry.value]
            : [change.modRevision, change.key, 'deleted'],
        ),
      leases: store.leases(),
      session: store.entry('session')?.lease,
      keys: lease?.keys(),
      ttlSeconds: lease?.ttlSeconds,
      remaining: lease?.remaining() ?? 0,
    }
    await store.close()
    return found
  }, lease)
  const { remaining, ...rest } = found
  expect(rest).toEqual({
    revisions: [6, 6, 0],
    a: ['two', 2, 3, 2],
    past: ['one', 'three', undefined],
    history: [
      [2, 'one'],
      [3, 'two'],
      [4, 'three'],
      [5, 'b', 'deleted'],
      [6, 'ada'],
    ],
    leases: [lease],
    session: lease,
    keys: ['session'],
    ttlSeconds: 600,
  })
  expect(remaining).toBeGreaterThan(500)
  expect(remaining).toBeLessThanOrEqual(600)
})

test('a compacted store stays compacted, and its revisions go on', async ({ open }) => {
  const first = await open()
  await first.evaluate(async () => {
    const store = await revkv.open<number>({ name: 'compacted', storage: indexedDb() })
    for (let i = 2; i <= 10; i++) await store.put('n', i)
    await store.compact(8)
    await store.close()
  })
  await first.close()

  const second = await open()
  const found = await second.evaluate(async () => {
    const store = await revkv.open<number>({ name: 'compacted', storage: indexedDb() })
    let refused: unknown
    try {
      store.get('n', { revision: 7 })
    } catch (error) {
      refused = error
    }
    const code = revkv.RevkvError.is(refused) ? refused.code : String(refused)
    const past = [8, 9, 10].map((revision) => store.get('n', { revision }))
    const { revision } = await store.put('n', 11)
    const compacted = store.compactRevision
    await store.close()
    return { code, past, revision, compacted }
  })
  expect(found).toEqual({ code: 'COMPACTED', past: [8, 9, 10], revision: 11, compacted: 8 })
})

test('a lease that ran out while nobody was there takes its keys with it, as one write', async ({ open }) => {
  const first = await open()
  const deadline = await first.evaluate(async () => {
    const store = await revkv.open<string>({ name: 'expired', storage: indexedDb() })
    const lease = await store.grant(1)
    await store.txn({
      then: [
        { put: ['a', 'x'], lease },
        { put: ['b', 'y'], lease },
      ],
    })
    const deadline = Date.now() + 1000 * lease.ttlSeconds
    await store.close()
    return deadline
  })
  await first.close()

  const second = await open()
  await second.waitForFunction((deadline) => Date.now() > deadline, deadline)
  const batch = await second.evaluate(async () => {
    const store = await revkv.open<string>({ name: 'expired', storage: indexedDb() })
    const batch = await new Promise<WatchBatch<string>>((resolve) => store.on({}, resolve, { from: 3 }))
    const seen = {
      revision: batch.revision,
      changes: batch.changes.map((change) => change.type === 'delete' && change.key),
      left: store.count(),
      leases: store.leases(),
    }
    await store.close()
    return seen
  })
  expect(batch).toEqual({ revision: 3, changes: ['a', 'b'], left: 0, leases: [] })
})

test.for(['strict', 'relaxed'] as const)(
  'a %s write is in the storage when it resolves, and asked for so',
  async (durability, { open }) => {
    const page = await open()
    const seen = await page.evaluate(async (durability) => {
      const store = await revkv.open<string>({ name: 'durable', storage: indexedDb(), durability })
      const asked: (string | undefined)[] = []
      const transaction = IDBDatabase.prototype.transaction
      IDBDatabase.prototype.transaction = function (names, mode, options) {
        if (mode === 'readwrite') asked.push(options?.durability)
        return transaction.call(this, names, mode, options)
      }
      const { revision } = await store.put('a', 'one')
      const durable = store.durableRevision
      await store.close()
      return { asked: asked[0], revision, durable }
    }, durability)
    expect(seen).toEqual({ asked: durability, revision: 2, durable: 2 })
  },
)

test('a memory write does not wait for the storage; sync does', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const store = await revkv.open<string>({ name: 'memory', storage: indexedDb() })
    const heard: number[] = []
    store.addEventListener('durable', ({ detail }) => heard.push(detail.revision))
    await store.put('a', 'one', { durability: 'memory' })
    const at = [store.revision, store.durableRevision, store.get('a')]
    const synced = await store.sync()
    const after = [synced, store.durableRevision]
    await store.close()
    return { at, after, heard: heard.at(-1) }
  })
  expect(seen).toEqual({ at: [2, 1, 'one'], after: [2, 2], heard: 2 })
})

test('close writes what nobody waited for', async ({ open }) => {
  const first = await open()
  await first.evaluate(async () => {
    const store = await revkv.open<number>({ name: 'flushed', storage: indexedDb(), durability: 'memory' })
    for (let i = 2; i <= 100; i++) await store.put('n', i)
    await store.close()
  })
  await first.close()

  const second = await open()
  const found = await second.evaluate(async () => {
    const store = await revkv.open<number>({ name: 'flushed', storage: indexedDb() })
    const found = [store.revision, store.get('n'), store.get('n', { revision: 50 })]
    await store.close()
    return found
  })
  expect(found).toEqual([100, 100, 50])
})

test('writers that wait at the same time share commits', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const store = await revkv.open<number>({ name: 'shared', storage: indexedDb() })
    let commits = 0
    const transaction = IDBDatabase.prototype.transaction
    IDBDatabase.prototype.transaction = function (names, mode, options) {
      if (mode === 'readwrite') commits++
      return transaction.call(this, names, mode, options)
    }
    const results = await Promise.all(Array.from({ length: 500 }, (_, i) => store.put(`key/${i}`, i)))
    const durable = store.durableRevision
    await store.close()
    return { commits, durable, revisions: results.map((result) => result.revision) }
  })
  expect(seen.revisions).toEqual(Array.from({ length: 500 }, (_, i) => i + 2))
  expect(seen.durable).toBe(501)
  expect(seen.commits).toBeLessThan(10)
})

test('keys and values are any bytes', async ({ open }) => {
  const first = await open()
  await first.evaluate(async () => {
    const store = await revkv.open({ name: 'bytes', storage: indexedDb(), keys: 'bytes', values: revkv.bytes })
    await store.put(new Uint8Array([0]), new Uint8Array())
    await store.put(
      new Uint8Array([0, 0]),
      Uint8Array.from({ length: 256 }, (_, i) => i),
    )
    await store.put(new Uint8Array([255, 254]), new Uint8Array([0, 255]))
    await store.close()
  })
  await first.close()

  const second = await open()
  const found = await second.evaluate(async () => {
    const store = await revkv.open({ name: 'bytes', storage: indexedDb(), keys: 'bytes', values: revkv.bytes })
    const found = store
      .list()
      .toArray()
      .map(({ key, value }) => [Array.from(key as unknown as Uint8Array), [...value]])
    await store.close()
    return found
  })
  expect(found).toEqual([
    [[0], []],
    [[0, 0], Array.from({ length: 256 }, (_, i) => i)],
    [
      [255, 254],
      [0, 255],
    ],
  ])
})

test('a value larger than a blob comes back whole', async ({ open }) => {
  const length = 200_000
  const first = await open()
  const blobBytesMax = await first.evaluate(async (length) => {
    const store = await revkv.open({ name: 'big', storage: indexedDb(), values: revkv.bytes })
    const value = Uint8Array.from({ length }, (_, i) => (i * i) % 251)
    await store.put('big', value)
    await store.put('small', new Uint8Array([1]))
    await store.close()
    return indexedDb().maxBlobBytes
  }, length)
  const sizes = await blobSizes(first, 'big')
  expect(blobBytesMax).toBe(48 * 1024)
  expect(sizes.length).toBeGreaterThanOrEqual(5)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(blobBytesMax)
  await first.close()

  const second = await open()
  const found = await second.evaluate(async (length) => {
    const store = await revkv.open({ name: 'big', storage: indexedDb(), values: revkv.bytes })
    const value = store.get('big') ?? new Uint8Array()
    const wrong = Array.from({ length }, (_, i) => i).filter((i) => value[i] !== (i * i) % 251)
    const found = { length: value.length, wrong: wrong.length, small: [...(store.get('small') ?? [])] }
    await store.close()
    return found
  }, length)
  expect(found).toEqual({ length, wrong: 0, small: [1] })
})

test('compaction gives the space of old values back', async ({ open }) => {
  const page = await open()
  await page.evaluate(async () => {
    globalThis.store = await revkv.open<string>({ name: 'thinned', storage: indexedDb(), durability: 'relaxed' })
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.put('page', `${i}`.padEnd(1000))))
  })
  expect(sum(await blobSizes(page, 'thinned'))).toBeGreaterThan(500_000)
  await page.evaluate(async () => {
    await store.compact(store.revision)
    await store.close()
  })
  expect(sum(await blobSizes(page, 'thinned'))).toBeLessThan(5_000)
})

test('of a batch with a blob that cannot be stored nothing is written, and the next one is', async ({ open }) => {
  const page = await open()
  const found = await page.evaluate(async () => {
    const unhandled: string[] = []
    addEventListener('unhandledrejection', (e) => unhandled.push(String(e.reason)))
    const handle = await indexedDb().open('half')
    const gone = new Uint8Array(3)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    const put = [
      { id: '1', bytes: new Uint8Array(3) },
      { id: '2', bytes: gone },
    ]
    const failed = await handle.write({ epoch: 1, put, delete: [] }, 'relaxed').catch((e) => e.code)
    const ids = async () => {
      const found: string[] = []
      for await (const { id } of handle.read()) found.push(id)
      return found
    }
    const before = await ids()
    await handle.write({ epoch: 1, put: [{ id: '1', bytes: new Uint8Array(3) }], delete: [] }, 'strict')
    const after = await ids()
    await handle.close()
    return { failed, before, after, unhandled }
  })
  expect(found).toEqual({ failed: 'STORAGE_LOST', before: [], after: ['1'], unhandled: [] })
})

test('a read that the browser aborts fails once, and nothing of it is left unhandled', async ({ open }) => {
  const page = await open()
  const found = await page.evaluate(async () => {
    const unhandled: string[] = []
    addEventListener('unhandledrejection', (e) => unhandled.push(String(e.reason)))
    const { getAll } = IDBObjectStore.prototype
    IDBObjectStore.prototype.getAll = function (...given) {
      queueMicrotask(() => this.transaction.abort())
      return getAll.apply(this, given)
    }
    const code = await revkv.open({ name: 'aborted', storage: indexedDb() }).catch((e) => e.code)
    IDBObjectStore.prototype.getAll = getAll
    // Unhandled rejections are told before the next task.
    await new Promise((resolve) => setTimeout(resolve))
    return { code, unhandled }
  })
  expect(found).toEqual({ code: 'STORAGE_LOST', unhandled: [] })
})

/** How many bytes each blob of a database has, read past the package. */
function blobSizes(page: Page, name: string): Promise<number[]> {
  return page.evaluate(async (name) => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(`revkv:${name}`)
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    const blobs = await new Promise<Uint8Array[]>((resolve, reject) => {
      const request = database.transaction('blobs').objectStore('blobs').getAll()
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    database.close()
    return blobs.map((blob) => blob.byteLength)
  }, name)
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
