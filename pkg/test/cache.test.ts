// The same object until its key is written, and never an old one.

import { expect, test } from 'vitest'
import { Random } from '../src/conformance/random.js'
import { bytes, json, RevkvError, type Store } from '../src/index.js'
import { Gate, openStore, turn } from './open.js'

const seed = Number(process.env.REVKV_SEED ?? Math.floor(Math.random() * 2 ** 32))

test('the same key gives the same object, until it is written', async () => {
  let decoded = 0
  const store = await openStore<object>({
    values: {
      name: 'counting',
      encode: (value) => json.encode(value),
      decode(stored) {
        decoded++
        return json.decode(stored) as object
      },
    },
  })
  await store.put('a', { n: 1 })
  const first = store.get('a')
  await store.put('b', { n: 2 })
  expect([store.get('a') === first, store.getMany(['a', 'b'])[0] === first, decoded]).toEqual([true, true, 2])
  await store.put('a', { n: 1 })
  expect([store.get('a') === first, store.get('a')]).toEqual([false, { n: 1 }])
})

test('the past is read as it was', async () => {
  const store = await openStore<number>()
  await store.put('a', 1)
  expect(store.get('a')).toBe(1)
  const snapshot = store.snapshot()
  await store.put('a', 2)
  expect([store.get('a'), store.get('a', { revision: 2 }), snapshot.get('a'), store.get('a', { revision: 0 })]).toEqual(
    [2, 1, 1, 2],
  )
})

test('bytes are a copy each time, and a key of bytes is its text', async () => {
  const raw = await openStore<Uint8Array>({ values: bytes })
  await raw.put('a', new Uint8Array([1]))
  raw.get('a')?.fill(9)
  expect(raw.get('a')).toEqual(new Uint8Array([1]))
  const store = await openStore<number>()
  await store.put(new Uint8Array([97]), 1)
  expect(store.get('a')).toBe(1)
  await store.put(new Uint8Array([97]), 2)
  expect(store.get('a')).toBe(2)
})

test('what a full storage takes back is not read any more, from the moment on that anybody knows', async () => {
  const gate = new Gate()
  const store = await openStore<number>({ storage: gate })
  await store.put('a', 1)
  const live = store.live((view) => view.get('a'))
  const heard: unknown[] = []
  live.subscribe(() => heard.push(live.value))
  gate.refusal = new DOMException('full', 'QuotaExceededError')
  const refused = store.put('a', 2)
  expect([store.get('a'), live.value]).toEqual([2, 2])
  const told = refused.catch((e: unknown) => [RevkvError.is(e) && e.code, store.get('a'), live.value])
  expect(await told).toEqual(['QUOTA_EXCEEDED', 1, 1])
  await turn()
  expect(heard).toEqual([2, 1])
})

test('a codec that writes while it decodes hides no write', async () => {
  const holder: { store?: Store<number> } = {}
  let write = true
  const store = await openStore<number>({
    values: {
      name: 'writing',
      encode: (value) => json.encode(value),
      decode(stored) {
        if (write) {
          write = false
          void holder.store?.put('a', 2)
        }
        return json.decode(stored) as number
      },
    },
  })
  holder.store = store
  await store.put('a', 1)
  expect([store.get('a'), store.get('a')]).toEqual([1, 2])
})

test('more than are kept, in number and in bytes, are read all the same', async () => {
  const store = await openStore<string>()
  const keys = Array.from({ length: 5000 }, (_, i) => `k${i}`)
  await store.putMany(keys.map((key) => [key, key]))
  for (let round = 0; round < 2; round++) expect(store.getMany(keys)).toEqual(keys)
  const large = 'x'.repeat(500_000)
  for (const key of keys.slice(0, 8)) await store.put(key, large)
  expect(keys.slice(0, 8).every((key) => store.get(key) === large)).toBe(true)
})

test(`whatever changes it, what is read is the newest (REVKV_SEED=${seed})`, async () => {
  const random = new Random(seed)
  const store = await openStore<number>()
  const inner = store.namespace<number>('n/')
  const keys = ['a', 'b', 'n/a', 'n/b', 'n/\u00e9']
  const key = () => random.pick(keys)
  const writes: ((value: number) => Promise<unknown>)[] = [
    (value) => store.put(key(), value),
    (value) => store.put(new TextEncoder().encode(key()), value),
    (value) => inner.put('a', value),
    () => store.delete(key()),
    () => inner.delete({}),
    (value) => store.txn({ then: [{ put: ['a', value] }, { delete: { prefix: 'n/' } }] }),
    (value) => store.putMany([[key(), value]]),
    () => store.restoreTo({}, Math.max(1, store.compactRevision, store.revision - 3)),
    (value) => store.put(key(), value, { ttlSeconds: 60 }),
    () => store.lease(store.leases()[0] ?? 1n)?.revoke() ?? Promise.resolve(),
  ]
  let backup = await store.backup().bytes()
  const seldom: (() => Promise<void>)[] = [
    () => store.compact(store.revision).catch(() => {}),
    () => store.restore(backup),
    async () => {
      backup = await store.backup().bytes()
    },
  ]
  for (let step = 0; step < 2000; step++) {
    const written = random.pick(writes)(step)
    if (random.below(2) === 0) await written
    if (random.below(20) === 0) await random.pick(seldom)()
    const expected = keys.map((key) => store.entry(key)?.value)
    expect([step, store.getMany(keys)]).toEqual([step, expected])
    expect(['a', 'b', '\u00e9'].map((key) => inner.get(key))).toEqual(expected.slice(2))
  }
})
