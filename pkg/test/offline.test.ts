// Writes that wait for a cluster which does not answer, on the stand-in for etcd.

import { expect, onTestFinished, test, vi } from 'vitest'
import { mirror } from '../src/etcd/index.js'
import { RevkvError, utf8 } from '../src/index.js'
import { createEtcdWith } from '../src/testing/etcd.js'
import { post } from './gateway.js'
import { codeOf, openStore, wasm } from './open.js'

const url = 'http://etcd'

/** What becomes of a transaction on its way: nothing of it arrives, its answer is lost, or it arrives `lateMs` later. */
type Fault = 'not sent' | 'no answer' | 'late'
const lateMs = 250

async function cluster(options: object = { offline: 'queue' }) {
  const etcd = await createEtcdWith(async () => WebAssembly.compile(wasm), {})
  onTestFinished(() => etcd.close())
  let line = new AbortController()
  const faults: Fault[] = []
  let txns = 0
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (line.signal.aborted) throw new TypeError('fetch failed')
    const isTxn = String(input).endsWith('/txn')
    if (isTxn) txns++
    const fault = isTxn ? faults.shift() : undefined
    const send = () =>
      etcd.fetch(input, { ...init, signal: AbortSignal.any([line.signal, init?.signal ?? line.signal]) })
    if (fault === 'no answer') await (await send()).text()
    if (fault === 'late') setTimeout(() => send().catch(() => {}), lateMs)
    if (fault) throw new TypeError('fetch failed')
    return send()
  }
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: [url], range: {}, fetch, write: true, ...options })
  onTestFinished(() => kept.close())
  await kept.inSync()
  return {
    store,
    kept,
    faults,
    txns: () => txns,
    async cut() {
      line.abort(new TypeError('the line is cut'))
      await vi.waitFor(() => expect(kept.status).toBe('waiting'))
    },
    mend() {
      line = new AbortController()
    },
    /** By somebody else. */
    put: (key: string, value: string) => post(etcd, url, 'kv/put', { key: btoa(key), value: btoa(value) }),
    delete: (key: string) => post(etcd, url, 'kv/deleterange', { key: btoa(key) }),
    leases: async () => ((await post(etcd, url, 'lease/leases', {})).body as { leases?: object[] }).leases ?? [],
    values: () =>
      Object.fromEntries(
        store
          .list()
          .toArray()
          .map(({ key, value, version }) => [key, `${value} v${version}`]),
      ),
  }
}

/** What came of a write, seen from the moment it is made. */
async function outcome(write: Promise<unknown>): Promise<unknown> {
  try {
    const answer = (await write) as { revision?: number }
    return answer.revision ?? answer
  } catch (e) {
    if (RevkvError.is(e)) return e.code
    throw e
  }
}

test('by default they are refused', async () => {
  const { store, cut } = await cluster({})
  await cut()
  expect(await codeOf(() => store.put('a', '1'))).toBe('STORAGE_LOST')
  const wrong = mirror.bind(undefined, await openStore(), { endpoints: [url], range: {}, offline: 'drop' as 'queue' })
  expect(await codeOf(wrong)).toBe('INVALID_ARGUMENT')
})

test('a write with a time to live whose answer is lost keeps its key, and one that is refused leaves no lease', async () => {
  const { store, kept, faults, put, leases } = await cluster({})
  await put('a', 'before')
  faults.push('no answer')
  expect(await codeOf(() => store.put('a', '1', { ttlSeconds: 60 }))).toBe('STORAGE_LOST')
  await vi.waitFor(() => expect(store.get('a')).toBe('1'))
  expect([store.entry('a')?.lease !== 0n, (await leases()).length]).toEqual([true, 1])
  expect(await store.compareAndSet('a', 'other', '2', { ttlSeconds: 60 })).toMatchObject({ ok: false })
  await kept.inSync()
  expect([store.get('a'), (await leases()).length]).toEqual(['1', 1])
})

test('they wait, are not shown, and go in their order', async () => {
  const { store, kept, cut, mend, values } = await cluster()
  await store.put('c', 'old')
  await cut()
  const writes = [
    store.put('a', '1'),
    store.put('b', '1'),
    store.put('a', '2', { prevEntry: true }),
    store.delete({ prefix: 'c' }),
    store.put('c', 'new'),
    store.txn({ if: [{ key: 'a', version: 2 }], then: [{ put: ['d', '1'] }] }),
  ].map(outcome)
  expect([kept.queued, values()]).toEqual([6, { c: 'old v1' }])
  mend()
  expect(await Promise.all(writes)).toEqual([3, 4, 5, 6, 7, 8])
  expect([kept.queued, values()]).toEqual([0, { a: '2 v2', b: '1 v1', c: 'new v1', d: '1 v1' }])
  expect(await kept.verify()).toBe(true)
})

test('what somebody else has changed meanwhile is a conflict of that write, and the others go on', async () => {
  const { store, cut, mend, put, values, ...other } = await cluster()
  await store.putMany([
    ['a', '0'],
    ['b', '0'],
    ['x/1', '0'],
  ])
  await cut()
  const writes = [
    store.put('a', 'ours'),
    store.put('b', 'ours'),
    store.put('a', 'ours, again'),
    store.delete({ prefix: 'x/' }),
    store.put('c', 'ours'),
  ].map(outcome)
  await put('a', 'theirs')
  await put('x/2', 'theirs')
  await other.delete('nothing')
  mend()
  expect(await Promise.all(writes)).toEqual(['CONFLICT', 5, 'CONFLICT', 'CONFLICT', 6])
  expect(values()).toEqual({ a: 'theirs v2', b: 'ours v2', c: 'ours v1', 'x/1': '0 v1', 'x/2': 'theirs v1' })
})

test('what is read and written anew is run again', async () => {
  const { store, cut, mend, put, values } = await cluster()
  await store.put('n', '1')
  await cut()
  const increment = () => store.transact((tx) => tx.put('n', String(Number(tx.get('n')) + 1)))
  const increments = Promise.all([increment(), increment(), increment()])
  await new Promise((resolve) => setTimeout(resolve, 20))
  await put('n', '10')
  mend()
  await increments
  expect(values()).toEqual({ n: '13 v5' })
})

test.each<[Fault[]]>([
  [['no answer']],
  [['not sent']],
  [['late']],
  [['not sent', 'no answer']],
  [['not sent', 'late']],
  [['no answer', 'not sent', 'late']],
])('is applied once when on its way it is: %s', async (given) => {
  const { store, kept, faults, txns, cut, mend, values } = await cluster()
  await store.put('a', '0')
  await cut()
  const writes = [store.put('a', '1'), store.delete('a'), store.put('a', '2')].map(outcome)
  faults.push(...given)
  mend()
  expect(await Promise.all(writes)).toEqual([3, 4, 5])
  await new Promise((resolve) => setTimeout(resolve, 2 * lateMs))
  expect([values(), txns() >= 3 + given.filter((fault) => fault !== 'no answer').length]).toEqual([{ a: '2 v1' }, true])
  expect([store.history('a').length, await kept.verify()]).toEqual([4, true])
})

test('what was applied and its answer lost is known by the history, though somebody has written since', async () => {
  const { store, faults, cut, mend, put, values } = await cluster()
  await store.put('a', '0')
  await cut()
  const writes = [store.put('a', '1'), store.put('b', '1', { prevEntry: true }), store.put('a', '2')].map(outcome)
  faults.push('no answer')
  mend()
  // Before it is tried again.
  await vi.waitFor(() => expect(store.get('a')).toBe('1'))
  await put('a', 'theirs')
  expect(await Promise.all(writes)).toEqual([3, 5, 'CONFLICT'])
  expect(values()).toEqual({ a: 'theirs v3', b: '1 v1' })
})

test('an answer that only the cluster could give is lost with it, and says that it was written', async () => {
  const { store, faults, cut, mend, values } = await cluster()
  await cut()
  const write = outcome(store.put('a', '1', { prevEntry: true }))
  faults.push('no answer')
  mend()
  expect([await write, values()]).toEqual(['NOT_LEADER', { a: '1 v1' }])
})

test('so many wait, and no more; closing tells them', async () => {
  const { store, kept, cut } = await cluster()
  await cut()
  const large = 'x'.repeat(1 << 20)
  const sizes = Array.from({ length: 9 }, (_, i) => outcome(store.put(`large/${i}`, large)))
  expect(await sizes[8]).toBe('QUOTA_EXCEEDED')
  const few = Array.from({ length: 1000 }, (_, i) => outcome(store.put(`k/${i}`, '')))
  expect(await few[999]).toBe('QUOTA_EXCEEDED')
  const waiting = kept.queued
  expect(waiting).toBe(1000)
  await kept.close()
  const told = await Promise.all([...sizes, ...few])
  expect(told.filter((code) => code === 'CLOSED')).toHaveLength(waiting)
  expect(kept.queued).toBe(0)
})
