// The storage of a Durable Object, in a real workerd, on both kinds of objects.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { storageConformance } from '../../src/conformance/index.js'
import { Random } from '../../src/conformance/random.js'
import type { Durability } from '../../src/index.js'
import type { Found } from '../kills/story.js'
import { durabilities, killsOr, seed, Tally } from '../kills/tally.js'
import { Workerd } from './workerd.js'

let workerd: Workerd

beforeAll(async () => {
  workerd = await Workerd.start()
}, 60_000)

afterAll(() => workerd?.stop())

describe.each(['sqlite', 'keys'])('objects on %s', (kind) => {
  let objects = 0
  const never = () => {
    throw new Error('it runs in the worker')
  }
  const inWorker = (name: string) =>
    test(name, async () => {
      expect(await workerd.ask(kind, `conformance-${++objects}`, 'conformance', name)).toBe(true)
    })
  storageConformance({ name: 'durable-object', test: inWorker, create: never })

  test('a mirror keeps its revisions there, and goes on from them', async () => {
    expect(await workerd.ask(kind, 'mirror', 'mirror')).toEqual([
      ['resyncing', 'in-sync', '1', 2, true],
      ['in-sync', '2', 3, true],
    ])
  })

  test('a commit is as many calls as the platform wants', async () => {
    expect(await workerd.ask(kind, 'calls', 'calls')).toEqual([128, 128, 45, 1, -128, -128, -44])
  })
})

/** Writes to an object until it is gone; gives the highest revision that it was told is stored. */
async function writeUntilKilled(kind: string, durability: Durability, isKilled: () => boolean): Promise<number> {
  let acknowledged = 0
  const write = async () => {
    try {
      for (;;) acknowledged = Math.max(acknowledged, (await workerd.ask(kind, 'killed', 'write', durability)) as number)
    } catch (e) {
      // Whoever has asked when it is killed gets no answer.
      if (!isKilled()) throw e
    }
  }
  await Promise.all([write(), write(), write(), write()])
  return acknowledged
}

const kills = killsOr(3)

test(`a process that is killed has lost nothing it was told of, ${kills} times`, {
  timeout: 10_000 * (kills + 1),
}, async () => {
  const random = new Random(seed)
  const kinds = ['sqlite', 'keys'] as const
  const tallies = { sqlite: new Tally(kills), keys: new Tally(kills) }
  for (let run = 0; run < kills; run++) {
    const durability = durabilities[run % 2] as Durability
    let killed = false
    const writing = Promise.all(kinds.map((kind) => writeUntilKilled(kind, durability, () => killed)))
    await new Promise((resolve) => setTimeout(resolve, 100 + random.below(600)))
    killed = true
    await workerd.kill()
    const acknowledged = await writing
    await workerd.run()
    for (const [i, kind] of kinds.entries()) {
      tallies[kind].killed(durability, acknowledged[i] ?? 0)
      tallies[kind].found((await workerd.ask(kind, 'killed', 'check')) as Found)
    }
  }
  for (const kind of kinds) {
    console.log(`${kind}, seed ${seed}: ${tallies[kind]}`)
    tallies[kind].finish()
  }
})
