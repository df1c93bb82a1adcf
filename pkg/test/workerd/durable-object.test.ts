// The storage of a Durable Object, in a real workerd, on both kinds of objects.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { storageConformance } from '../../src/conformance/index.js'
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

  test('a commit is as many calls as the platform wants', async () => {
    expect(await workerd.ask(kind, 'calls', 'calls')).toEqual([128, 128, 45, 1, -128, -128, -44])
  })

  test('a store is there after the process was killed', { timeout: 60_000 }, async () => {
    const found = []
    for (let visit = 1; visit <= 4; visit++) {
      const answer = (await workerd.ask(kind, 'killed', 'visit', `visit ${visit}`)) as { found: string[] }
      found.push(answer.found)
      await workerd.kill()
      await workerd.run()
    }
    expect(found).toEqual([[], ['visit 1'], ['visit 1', 'visit 2'], ['visit 1', 'visit 2', 'visit 3']])
    expect(await workerd.ask(kind, 'killed', 'compact')).toEqual([true, 'visit 4', 300_000])
  })
})
