// What a store can do with its past: snapshots, differences, hashes, and going back.

import { describe, expect, test } from 'vitest'
import { dispose } from '../src/dispose.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore } from './open.js'

/** a: 1 at 2, 2 at 4, deleted at 5. b: 1 at 3, 5 at 6. */
async function told() {
  const store = await openStore<number>({ storage: memory() })
  for (const [key, value] of [
    ['a', 1],
    ['b', 1],
    ['a', 2],
  ] as const)
    await store.put(key, value)
  await store.delete('a')
  await store.put('b', 5)
  return store
}

describe('a snapshot', () => {
  test('reads its revision, whatever is written and compacted, until it is released', async () => {
    const store = await told()
    const then = store.snapshot(4)
    await store.put('c', 1)
    await store.compact(store.revision)
    expect([then.revision, then.get('a'), then.getMany(['a', 'b', 'c']), then.count()]).toEqual([
      4,
      2,
      [2, 1, undefined],
      2,
    ])
    expect(
      then
        .list({}, { reverse: true })
        .toArray()
        .map((entry) => entry.key),
    ).toEqual(['b', 'a'])
    expect([then.entry('a')?.modRevision, await codeOf(() => store.get('a', { revision: 3 }))]).toEqual([
      4,
      'COMPACTED',
    ])
    then[dispose]()
    then[dispose]()
    expect([await codeOf(() => then.get('a')), await codeOf(() => store.get('a', { revision: 4 }))]).toEqual([
      'CLOSED',
      'COMPACTED',
    ])
  })

  test('is of now without a revision, and of nothing that is not there', async () => {
    const store = await told()
    expect(store.snapshot().revision).toBe(6)
    expect(await codeOf(() => store.snapshot(7))).toBe('FUTURE_REVISION')
    for (const odd of [-1, 1.5, '2', null]) {
      expect(await codeOf(() => store.snapshot(odd as number))).toBe('INVALID_ARGUMENT')
    }
    const then = store.snapshot()
    expect(await codeOf(() => then.list({}, { revision: 2 } as object))).toBe('INVALID_ARGUMENT')
    await store.close()
    then[dispose]()
  })
})

test('a difference is what is not the same at two revisions', async () => {
  const store = await told()
  const shown = (from: number, to?: number) =>
    store.diff({}, from, to).map(({ key, before, after }) => [key, before?.value, after?.value])
  expect(shown(2, 4)).toEqual([
    ['a', 1, 2],
    ['b', undefined, 1],
  ])
  expect(shown(4)).toEqual([
    ['a', 2, undefined],
    ['b', 1, 5],
  ])
  expect([shown(6), shown(4, 4)]).toEqual([[], []])
  expect('before' in (store.diff({ prefix: 'b' }, 2)[0] ?? {})).toBe(false)
  expect(await codeOf(() => store.diff({}, 7))).toBe('FUTURE_REVISION')
  expect(await codeOf(() => store.diff({}, undefined as unknown as number))).toBe('INVALID_ARGUMENT')
})

test('a range goes back to how it was by a write like any other', async () => {
  const store = await told()
  expect(await store.restoreTo({}, 4)).toEqual({ revision: 7 })
  expect([store.get('a'), store.get('b'), store.entry('a')?.version]).toEqual([2, 1, 1])
  expect(await store.restoreTo({ prefix: 'a' }, 6)).toEqual({ revision: 8 })
  expect([store.get('a'), store.get('b')]).toEqual([undefined, 1])
  expect(await store.restoreTo({ prefix: 'a' }, 6)).toEqual({ revision: 8 })
  expect(await codeOf(() => store.restoreTo({}, 99))).toBe('FUTURE_REVISION')
})

test('a hash is one number for a history, and does not tell how it came about', async () => {
  const [one, other] = [await told(), await told()]
  expect(one.hash()).toEqual(other.hash())
  expect(one.hash(4)).toMatchObject({ revision: 4, compactRevision: 0 })
  expect(one.hash(4).hash).not.toBe(one.hash(5).hash)
  const copy = await openStore<number>()
  await copy.restore(await one.backup().bytes())
  expect(copy.hash()).toEqual(one.hash())
  expect(await codeOf(() => one.hash(7))).toBe('FUTURE_REVISION')
})

test('a key is set if it is as expected', async () => {
  const store = await openStore<{ owner: string }>()
  const [ada, bob] = [{ owner: 'ada' }, { owner: 'bob' }]
  expect(await store.compareAndSet('lock', undefined, ada)).toEqual({ ok: true, revision: 2 })
  expect(await store.compareAndSet('lock', undefined, bob)).toEqual({ ok: false, revision: 2 })
  expect(await store.compareAndSet('lock', bob, ada)).toEqual({ ok: false, revision: 2 })
  expect(await store.compareAndSet('lock', ada, bob)).toEqual({ ok: true, revision: 3 })
  expect(store.get('lock')).toEqual(bob)
})

test('a store with a bound is full at it, and deletes and compaction make room', async () => {
  const store = await openStore<string>({ storage: memory(), maxBytes: 1000 })
  let codes = 'none'
  let puts = 0
  while (codes === 'none' && puts < 100) {
    puts++
    codes = await codeOf(() => store.put('a', 'v'.repeat(50)))
  }
  expect([codes, puts > 5 && puts < 12]).toEqual(['QUOTA_EXCEEDED', true])
  await store.delete('a')
  await store.compact(store.revision)
  expect(await codeOf(() => store.put('b', 'there is room'))).toBe('none')
  for (const odd of [-1, 1.5, '2', Number.NaN]) {
    expect(await codeOf(() => openStore({ maxBytes: odd as number }))).toBe('INVALID_ARGUMENT')
  }
})
