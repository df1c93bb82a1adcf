import { describe, expect, test } from 'vitest'
import type { ChangeSet, Store } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore } from './open.js'

async function filled(): Promise<Store<number>> {
  const store = await openStore<number>()
  for (let i = 1; i <= 5; i++) await store.put('a', i)
  return store
}

describe('changes', () => {
  test('are whole transactions, and say which', async () => {
    const store = await filled()
    const all = store.changes(1)
    expect([all.from, all.to, all.incarnation]).toEqual([1, 6, expect.stringMatching(/^[0-9a-f]{32}$/)])
    expect([store.changes(1, { max: 2 }).to, store.changes(6).to]).toEqual([3, 6])
    expect(await codeOf(() => store.changes(7))).toBe('FUTURE_REVISION')
    await store.compact(5)
    expect(await codeOf(() => store.changes(3))).toBe('COMPACTED')
    expect(store.changes(4).to).toBe(6)
  })

  test('make a replica, which watches, stores and goes on', async () => {
    const source = await filled()
    await source.grant(60, { id: 7n })
    await source.put('leased', 9, { lease: 7n })
    const storage = memory()
    const replica = await openStore<number>({ storage })
    const seen: number[] = []
    replica.on({}, ({ revision }) => seen.push(revision))
    expect(await replica.applyChanges(source.changes(1))).toBe(7)
    expect([replica.durableRevision, seen, replica.lease(7n)?.keys()]).toEqual([7, [2, 3, 4, 5, 6, 7], ['leased']])
    expect([replica.entry('a')?.version, replica.hash()]).toEqual([5, source.hash()])
    await replica.close()
    const reopened = await openStore<number>({ storage })
    await source.delete('a')
    await source.compact(8)
    let compacted = 0
    reopened.addEventListener('compacted', () => compacted++)
    expect(await reopened.applyChanges(structuredClone(source.changes(reopened.revision)))).toBe(8)
    expect([reopened.get('a'), reopened.hash(), compacted]).toEqual([undefined, source.hash(), 1])
  })

  test('of another history are refused, and change nothing', async () => {
    const source = await filled()
    const replica = await openStore<number>()
    expect(await codeOf(() => replica.applyChanges(source.changes(3)))).toBe('GAP')
    await replica.applyChanges(source.changes(1, { max: 2 }))
    await expect(replica.applyChanges(source.changes(5))).rejects.toMatchObject({ code: 'GAP', revision: 3 })
    await replica.put('own', 1)
    expect(await codeOf(() => replica.applyChanges(source.changes(3)))).toBe('DIVERGED')
    expect(await codeOf(() => replica.applyChanges(foreign(source.changes(1))))).toBe('CORRUPT')
    expect([replica.revision, replica.get('a'), replica.get('own')]).toEqual([4, 2, 1])
    const written = await filled()
    expect(await codeOf(() => written.applyChanges(source.changes(1)))).toBe('DIVERGED')
  })

  test('are asked for and given as they should be', async () => {
    const store = await filled()
    for (const from of [-1, 1.5, Number.NaN, '1', undefined, null]) {
      expect(await codeOf(() => store.changes(from as number))).toBe('INVALID_ARGUMENT')
    }
    for (const options of [null, { max: -1 }, { limit: 1 }]) {
      expect(await codeOf(() => store.changes(1, options as { max: number }))).toBe('INVALID_ARGUMENT')
    }
    for (const changes of [undefined, null, 1, {}, { bytes: [1] }, new Uint8Array(8)]) {
      expect(await codeOf(() => store.applyChanges(changes as unknown as ChangeSet))).toBe('INVALID_ARGUMENT')
    }
    await store.close()
    expect(await codeOf(() => store.changes(1))).toBe('CLOSED')
    expect(await codeOf(() => store.applyChanges({ incarnation: '', from: 0, to: 0, bytes: new Uint8Array() }))).toBe(
      'CLOSED',
    )
  })
})

/** The same, of another incarnation; its checksum is no longer right. */
function foreign(changes: ChangeSet): ChangeSet {
  const bytes = changes.bytes.slice()
  bytes[8] = (bytes[8] as number) ^ 1
  return { ...changes, bytes }
}
