import { describe, expect, test } from 'vitest'
import { salvage } from '../src/entry/salvage-browser.js'
import { bytes, type StorageAdapter, type Store } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, openStore, turn, wasm } from './open.js'

async function filled(storage?: StorageAdapter): Promise<Store<number>> {
  const store = await openStore<number>(storage ? { storage } : {})
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 50; i++) await store.put(`k${i}`, i + round, { durability: 'memory' })
  }
  await store.grant(60, { id: 7n })
  await store.put('leased', 1, { lease: 7n })
  return store
}

function content(store: Store<number>, revision = 0): [string, number, number][] {
  return store
    .list({}, { revision })
    .toArray()
    .map((entry) => [entry.key, entry.value, entry.modRevision])
}

describe('a backup', () => {
  test('is the size it says, as a stream and as one piece', async () => {
    const store = await filled()
    const backup = store.backup()
    await store.put('later', 1)
    const whole = await backup.bytes()
    const streamed = new Uint8Array(await new Response(backup.stream()).arrayBuffer())
    expect([backup.size, backup.revision]).toEqual([whole.length, 152])
    expect(streamed).toEqual(whole)
  })

  test('is as it was cut while the store goes on, and holds compaction up only while it is read', async () => {
    const store = await openStore<string>()
    for (let i = 0; i < 600; i++) await store.put(`k${i % 50}`, 'v'.repeat(200))
    const backup = store.backup()
    const whole = await backup.bytes()
    const reader = backup.stream().getReader()
    const portions: Uint8Array[] = []
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      portions.push(value)
      await store.put('k0', 'later')
      if (portions.length === 1) await store.compact(500)
    }
    expect(portions.length).toBeGreaterThan(2)
    expect(new Uint8Array(await new Blob(portions as BlobPart[]).arrayBuffer())).toEqual(whole)

    const cut = store.backup()
    await store.compact(store.revision)
    expect(await codeOf(() => cut.bytes()), 'compaction has overtaken it').toBe('COMPACTED')
    expect(await codeOf(() => cut.stream().getReader().read())).toBe('COMPACTED')
    const left = store.backup().stream().getReader()
    await left.read()
    await left.cancel()
    const small = store.backup({ history: false })
    expect((await small.bytes()).length).toBe(small.size)
  })

  test('with history is the same store elsewhere, and stored there', async () => {
    const from = await filled()
    await from.compact(100)
    const storage = memory()
    const to = await openStore<number>({ storage })
    await to.put('gone', 1)
    await to.restore(from.backup().stream())
    expect([to.revision, to.compactRevision, to.durableRevision]).toEqual([152, 100, 152])
    for (const revision of [100, 130, 152]) expect(content(to, revision)).toEqual(content(from, revision))
    expect(to.history('k0').map((change) => change.type)).toEqual(from.history('k0').map((change) => change.type))
    await to.close()
    const reopened = await openStore<number>({ storage })
    expect([content(reopened), reopened.lease(7n)?.keys()]).toEqual([content(from), ['leased']])
  })

  test('without history, of a revision, is what was there then', async () => {
    const from = await filled()
    const to = await openStore<number>()
    await to.restore(await from.backup({ revision: 120, history: false }).bytes())
    expect([to.revision, to.compactRevision, content(to)]).toEqual([120, 120, content(from, 120)])
    expect(await codeOf(() => to.get('k0', { revision: 119 }))).toBe('COMPACTED')
  })

  test('is told as durable, also where its revision is one that was told before', async () => {
    const store = await openStore<number>({ storage: memory() })
    await store.put('a', 1)
    const early = await store.backup().bytes()
    for (let i = 0; i < 5; i++) await store.put('a', i)
    const told: number[] = []
    store.addEventListener('durable', (e) => told.push(e.detail.revision))
    await store.restore(early)
    await store.put('a', 9)
    expect(told).toEqual([2, 3])
  })

  test('ends the watches of what it replaces', async () => {
    const store = await filled()
    const ended: string[] = []
    store.on({}, () => {}, { onError: (error) => ended.push(error.code) })
    const iterator = store.watch('k0')[Symbol.asyncIterator]()
    const next = codeOf(() => iterator.next())
    await store.restore(await store.backup().bytes())
    await turn()
    expect([ended, await next]).toEqual([['RESTORED'], 'RESTORED'])
    const after: number[] = []
    store.on({}, (batch) => after.push(batch.revision))
    await store.put('k0', 9)
    expect(after).toEqual([153])
  })

  test('may be left half read after the store was closed', async () => {
    const store = await filled()
    const reader = store.backup().stream().getReader()
    await reader.read()
    await store.close()
    await reader.cancel()
  })

  test('leaves a list of what it replaces without a count that was not asked for', async () => {
    const store = await filled()
    const backup = await store.backup().bytes()
    const counted = store.list({}, { limit: 1 })
    expect(counted.count).toBe(51)
    const list = store.list({}, { limit: 1 })
    await store.delete({ prefix: 'k' })
    await store.restore(backup)
    expect(counted.count).toBe(51)
    expect(await codeOf(() => list.count)).toBe('RESTORED')
  })

  test('that is no backup, cut or damaged changes nothing', async () => {
    const store = await filled()
    const before = content(store)
    const whole = await store.backup().bytes()
    const damaged = whole.slice()
    damaged.fill(1, 200, 204)
    const rows: [unknown, string][] = [
      [undefined, 'INVALID_ARGUMENT'],
      ['text', 'INVALID_ARGUMENT'],
      [new ReadableStream({ pull: (c) => c.enqueue('text') }), 'INVALID_ARGUMENT'],
      [new Uint8Array(0), 'CORRUPT'],
      [whole.subarray(0, -1), 'CORRUPT'],
      [damaged, 'CORRUPT'],
    ]
    for (const [source, code] of rows) expect(await codeOf(() => store.restore(source as Uint8Array))).toBe(code)
    expect(content(store)).toEqual(before)
    for (const options of [{ revision: -1 }, { history: 1 }, { unknown: 1 }]) {
      expect(await codeOf(() => store.backup(options as object))).toBe('INVALID_ARGUMENT')
    }
    expect(await codeOf(() => store.backup({ revision: 999 }))).toBe('FUTURE_REVISION')
  })
})

describe('salvage', () => {
  /** The storage with one bit of every blob after the first `whole` damaged. */
  function damaged(storage: StorageAdapter, whole: number): StorageAdapter {
    return changed(storage, (handle) => ({
      async *read() {
        let place = 0
        for await (const { id, bytes } of handle.read()) {
          if (place++ >= whole) bytes.fill(0x55, -9)
          yield { id, bytes }
        }
      },
      write: () => Promise.reject(new Error('a damaged database is not written to')),
    }))
  }

  test('gives what verifies, and what does not', async () => {
    const storage = memory()
    const store = await openStore<Uint8Array>({ storage, values: bytes })
    for (let i = 0; i < 6; i++) await store.put(`k${i}`, new Uint8Array(40_000).fill(i))
    await store.close()
    let blobs = 0
    const handle = await storage.open('revkv')
    for await (const _ of handle.read()) blobs++
    const broken = damaged(storage, blobs - 1)
    expect(await codeOf(() => openStore({ storage: broken }))).toBe('CORRUPT')
    const salvaged = await salvage<Uint8Array>({ storage: broken, values: bytes, wasm })
    const keys = salvaged.store
      .list()
      .toArray()
      .map((entry) => entry.key)
    expect(keys.length).toBeGreaterThanOrEqual(4)
    for (const [place, key] of keys.entries()) expect([key, salvaged.store.get(key)?.[0]]).toEqual([`k${place}`, place])
    expect(salvaged.lost[0]?.what).toMatch(/damaged/)
    await salvaged.store.close()
  })

  test('of a whole database gives all of it', async () => {
    const storage = memory()
    const store = await filled(storage)
    const before = content(store)
    await store.close()
    const { store: found, lost } = await salvage<number>({ storage, wasm })
    expect([content(found), lost]).toEqual([before, []])
    await found.close()
    expect(await codeOf(() => salvage({ wasm }))).toBe('INVALID_ARGUMENT')
  })
})
