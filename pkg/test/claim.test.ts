// One writer at a time: who opens a storage claims it, and nobody writes over what another has written.

import { describe, expect, test } from 'vitest'
import type { StorageAdapter, Store } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, Gate, openStore } from './open.js'

/** A store that expects to be deposed. */
async function contender(storage: StorageAdapter): Promise<Store<string>> {
  const store = await openStore<string>({ storage })
  store.addEventListener('error', () => {})
  return store
}

/** Every value put, oldest first, as a store opened now finds them. */
async function found(storage: StorageAdapter): Promise<string[]> {
  const store = await openStore<string>({ storage })
  const values = store.history({}).map((change) => (change.type === 'put' ? change.entry.value : `-${change.key}`))
  await store.close()
  return values
}

/** `storage`, on which `meanwhile` runs before each of the first `times` writes. */
function interrupted(storage: StorageAdapter, meanwhile: () => Promise<unknown>, times = 1): StorageAdapter {
  let left = times
  return changed(storage, (handle) => ({
    write: async (...batch: Parameters<typeof handle.write>) => {
      if (left-- > 0) await meanwhile()
      await handle.write(...batch)
    },
  }))
}

test('opening claims the storage by one small blob', async () => {
  const gate = new Gate()
  await openStore({ storage: gate })
  expect(gate.batches).toEqual([{ puts: 1, bytes: expect.any(Number), durability: 'relaxed' }])
  expect(gate.batches[0]?.bytes).toBeLessThan(200)
})

describe('a second opener', () => {
  test('deposes the first, whose next write is refused', async () => {
    const storage = memory()
    const a = await contender(storage)
    await a.put('k', 'a1')
    const b = await contender(storage)
    expect(await codeOf(() => a.put('k', 'a2'))).toBe('NOT_LEADER')
    await b.put('k', 'b1')
    expect(await codeOf(() => a.close())).toBe('NOT_LEADER')
    await b.close()
    expect(await found(storage)).toEqual(['a1', 'b1'])
  })

  test('does so on a storage that nobody has written to', async () => {
    const storage = memory()
    const a = await contender(storage)
    const b = await contender(storage)
    expect(await codeOf(() => a.put('k', 'a1'))).toBe('NOT_LEADER')
    expect([await b.put('k', 'b1'), await found(storage)]).toEqual([{ revision: 2 }, ['b1']])
  })

  test('leaves a first that writes nothing more in peace', async () => {
    const storage = memory()
    const a = await contender(storage)
    await a.put('k', 'a1')
    await contender(storage)
    await a.close()
  })

  const rows: [string, (a: Store<string>) => Promise<unknown>, string[]][] = [
    ['a write', (a) => a.put('k', 'a2'), ['a1', 'a2']],
    [
      'several',
      (a) => Promise.all([a.put('k', 'a2'), a.put('k', 'a3', { durability: 'relaxed' })]),
      ['a1', 'a2', 'a3'],
    ],
    ['a compaction', (a) => a.compact(2), ['a1']],
    [
      'two compactions, after which the ids that it goes on from are free again',
      async (a) => {
        await a.put('k', 'a2')
        await a.compact(2)
        await a.put('k', 'a3')
        await a.compact(3)
      },
      ['a2', 'a3'],
    ],
  ]
  test.each(rows)(
    'reads again when the first got in between its reading and its claim: %s',
    async (_, write, acked) => {
      const storage = memory()
      const a = await contender(storage)
      await a.put('k', 'a1')
      const b = await contender(interrupted(storage, () => write(a)))
      expect(await codeOf(() => a.put('k', 'lost'))).toBe('NOT_LEADER')
      await b.put('k', 'b1')
      await b.close()
      expect(await found(storage)).toEqual([...acked, 'b1'])
    },
  )

  test('gives up on one that keeps writing', async () => {
    const medium = new Gate(memory())
    const a = await contender(medium)
    let n = 0
    const put = () => a.put('k', `a${++n}`)
    expect(await codeOf(() => openStore({ storage: interrupted(medium, put, 100) }))).toBe('NOT_LEADER')
    expect([n, medium.closed]).toEqual([4, 1])
    await put()
    await a.close()
    expect(await found(medium)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
  })
})

test('of openers that come at once the last to get in is the writer', async () => {
  const storage = memory()
  const stores = await Promise.all(Array.from({ length: 4 }, () => contender(storage)))
  const codes = await Promise.all(stores.map((store, i) => codeOf(() => store.put('k', `${i}`))))
  expect([...codes].sort()).toEqual(['NOT_LEADER', 'NOT_LEADER', 'NOT_LEADER', 'none'])
  expect(await found(storage)).toEqual([`${codes.indexOf('none')}`])
})

test('a claim that fails otherwise is not tried again, and everything is let go of', async () => {
  const gate = new Gate()
  gate.refusal = new Error('gone')
  await expect(openStore({ storage: gate })).rejects.toMatchObject({ code: 'STORAGE_LOST', cause: gate.refusal })
  expect([gate.batches.length, gate.closed]).toEqual([1, 1])
})
