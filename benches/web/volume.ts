// What a medium is made to hold and to write: the works of bytes, which the runner measures from outside.
import type { Bench } from './bench.js'
import { keyBytes, keyOf, valueBytes } from './data.js'

/** Updates that share a commit. */
const groupMax = 100
export const writtenKeys = 10_000
/** So much history is kept meanwhile, by those who keep any. */
export const keptRevisions = 10_000
/** Without history, one update is like the other, and so many tell. */
const steadyUpdates = 5000
/** It is forgotten a tenth at a time. */
const compactEvery = keptRevisions / 10

/** Every key once more. */
export async function storedUpdates(bench: Bench): Promise<void> {
  const database = await bench.open('plain', 'plain')
  await database.load(bench.all('plain').map(({ key }) => ({ key, value: bench.newValue('plain', key) })))
  await bench.closeAll()
}

/** Puts of random keys, a hundred in flight at a time; gives the bytes of keys and values that they changed. */
export async function writtenUpdates(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  const updates = bench.peer.historic ? bench.turn.updates : Math.min(bench.turn.updates, steadyUpdates)
  const bound = Math.min(writtenKeys, bench.entries)
  for (let done = 0; done < updates; done += groupMax) {
    const puts = bench.numbers(groupMax, bound).map((n, i) => {
      return database.put(keyOf(n), bench.value('plain', n, done + i + 2), 'relaxed')
    })
    await Promise.all(puts)
    if (database.compact && bench.peer.historic && done % compactEvery === 0) await database.compact(keptRevisions)
  }
  await bench.closeAll()
  return updates * (keyBytes + valueBytes)
}
