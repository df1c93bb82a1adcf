// That the check of a story finds what it is there for.

import { expect, test } from 'vitest'
import { openStore } from '../open.js'
import { check, writeNext, writeOf } from './story.js'
import { Tally } from './tally.js'

async function written(revisions: number) {
  const store = await openStore<string>()
  for (let i = 0; i < revisions; i++) await writeNext(store, 'memory')
  return store
}

test('what was written as told is found right, compacted or not', async () => {
  expect(check(await written(50))).toEqual({ revision: 51, compared: 50 })
  const { revision, compared } = check(await written(400))
  expect([revision, compared < 200]).toEqual([401, true])
})

test('a wrong value, a missing part and a write that is not of the story are found', async () => {
  const wrong = await written(30)
  await wrong.put('k/1', 'wrong')
  expect(() => check(wrong)).toThrow(/k\/1/)
  // Of the write that makes revision 33 only the first of two parts is there.
  const half = await written(31)
  await half.txn({ then: writeOf(33).slice(0, 1) })
  expect(() => check(half)).toThrow()
  const extra = await written(30)
  await extra.txn({ then: [...writeOf(32), { put: ['k/more', 'x'] }] })
  expect(() => check(extra)).toThrow(/k\/more/)
})

test('a revision that was acknowledged, or seen, and is not there is found', () => {
  const tally = new Tally(1)
  tally.killed('strict', 10)
  expect(() => tally.found({ revision: 9, compared: 8 })).toThrow(/10 was acknowledged, 9 is there/)
  tally.found({ revision: 12, compared: 11 })
  expect(() => tally.found({ revision: 11, compared: 10 })).toThrow(/12/)
})
