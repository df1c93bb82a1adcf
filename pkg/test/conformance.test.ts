// Every adapter that runs in Node, against the suite that all have to pass.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { faultyStorage, storageConformance } from '../src/conformance/index.js'
import { file } from '../src/storage/file.js'
import { level } from '../src/storage/level.js'
import { memory } from '../src/storage/memory.js'
import { openStore } from './open.js'

let root = ''
const databases = new Map<string, ClassicLevel>()

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'revkv-conformance-'))
})

afterAll(async () => {
  await Promise.all([...databases.values()].map((db) => db.close()))
  await rm(root, { recursive: true, force: true })
})

const inFiles = (place: string) => file({ folder: join(root, place) })
const inLevel = (place: string) => {
  const db = databases.get(place) ?? new ClassicLevel(join(root, `level-${place}`))
  databases.set(place, db)
  return level(db)
}

storageConformance({ name: 'memory', test, create: memory })
storageConformance({ name: 'file', test: test.concurrent, create: inFiles })
storageConformance({ name: 'level', test, create: inLevel })
storageConformance({ name: 'faulty memory without a fault', test, create: () => faultyStorage(memory()) })
storageConformance({
  name: 'faulty file without a fault',
  test,
  create: (place) => faultyStorage(inFiles(`f-${place}`)),
})

test.for([
  ['file', inFiles],
  ['level', inLevel],
] as const)('a store in %s is there when it is opened again', async ([name, create]) => {
  const place = `whole-${name}`
  const first = await openStore<string>({ storage: create(place) })
  await first.put('a', 'one')
  await first.put('a', 'two', { durability: 'relaxed' })
  await first.put('large', 'x'.repeat(600_000))
  await first.close()
  const second = await openStore<string>({ storage: create(place) })
  expect([second.get('a'), second.history('a').length, second.get('large')?.length]).toEqual(['two', 2, 600_000])
  await second.compact(second.revision)
  await second.close()
  const third = await openStore<string>({ storage: create(place) })
  expect([third.get('a'), third.compactRevision, third.get('large')?.length]).toEqual(['two', 4, 600_000])
})
