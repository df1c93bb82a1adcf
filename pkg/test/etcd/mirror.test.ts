// A store as the mirror of a real etcd.

import { describe, expect, test, vi } from 'vitest'
import { faultyTransport } from '../../src/conformance/index.js'
import { type Mirror, mirror } from '../../src/etcd/index.js'
import { type StorageAdapter, type Store, utf8 } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { withLocks } from '../locks.js'
import { codeOf, openStore } from '../open.js'
import { Cluster, hasEtcd } from './cluster.js'

if (!hasEtcd()) throw new Error('There is no etcd here: set ETCD, or install etcd-server.')

const all = { range: {} }

async function mirrored(cluster: Cluster, options: object = all, storage?: StorageAdapter) {
  const store = await openStore<string>({ values: utf8, ...(storage ? { storage } : {}) })
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, ...options })
  await kept.inSync()
  return { store, kept }
}

function entries(store: Store<string>): string[] {
  return store
    .list()
    .toArray()
    .map(({ key, value, version, modRevision }) => `${key}=${value} v${version} @${modRevision}`)
}

async function reaches(store: Store<string>, cluster: Cluster): Promise<void> {
  const revision = await cluster.revision()
  await vi.waitFor(() => expect(store.revision).toBe(revision), { timeout: 10_000 })
}

/** What a watch of "n" is told from now on: its values, and "-" where it is deleted. */
function heard(store: Store<string>): string[] {
  const seen: string[] = []
  store.on('n', ({ changes }) => {
    for (const change of changes) seen.push(change.type === 'put' ? change.entry.value : '-')
  })
  return seen
}

function statuses(kept: Mirror): string[] {
  const seen: string[] = []
  kept.addEventListener('status', ({ detail }) => seen.push(detail.status))
  return seen
}

test('it has what the cluster has, with its revisions, and hears of what comes', async () => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  await cluster.put('b', '1')
  await cluster.put('a', '2')
  const { store, kept } = await mirrored(cluster)
  expect(entries(store)).toEqual(['a=2 v2 @4', 'b=1 v1 @3'])
  const seen: string[] = []
  store.on({}, ({ revision, changes }) => {
    for (const change of changes)
      seen.push(`${revision} ${change.type === 'put' ? change.entry.key : `-${change.key}`}`)
  })
  await cluster.put('c', '1')
  await cluster.delete('b')
  await reaches(store, cluster)
  expect([seen, entries(store)]).toEqual([
    ['5 c', '6 -b'],
    ['a=2 v2 @4', 'c=1 v1 @5'],
  ])
  expect(await codeOf(() => store.get('a', { revision: 3 }))).toBe('COMPACTED')
  expect([store.get('b', { revision: 5 }), await kept.verify()]).toEqual(['1', true])
  expect(await codeOf(() => store.put('a', '3'))).toBe('NOT_LEADER')
  expect(await codeOf(() => store.delete('a'))).toBe('NOT_LEADER')
})

test('a range has what is in it, and the revisions of all', async () => {
  const cluster = await Cluster.start()
  for (let i = 0; i < 30; i++) await cluster.put(`${'xyz'[i % 3]}/${i}`, `${i}`)
  const { store, kept } = await mirrored(cluster, { range: { prefix: 'y/' } })
  await cluster.put('x/0', 'new')
  await cluster.put('y/1', 'new')
  await vi.waitFor(() => expect(store.get('y/1')).toBe('new'))
  expect([store.count({}), store.revision, store.entry('y/1')?.modRevision]).toEqual([10, 33, 33])
  expect(await codeOf(() => kept.verify())).toBe('INVALID_RANGE')
})

test('a store that is opened again goes on where it was, and says how old it is', async () => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  const storage = memory()
  const { store, kept } = await mirrored(cluster, all, storage)
  await kept.close()
  await store.close()
  for (let i = 2; i < 50; i++) await cluster.put('a', `${i}`)
  const again = await openStore<string>({ values: utf8, storage })
  expect([again.get('a'), await codeOf(() => again.put('a', 'x'))]).toEqual(['1', 'NOT_LEADER'])
  const seen: number[] = []
  again.on('a', ({ revision }) => seen.push(revision), { from: 3 })
  const next = mirror(again, { endpoints: cluster.endpoints, range: {} })
  const passed = statuses(next)
  expect(next.ageMs).toBeUndefined()
  await next.inSync()
  await reaches(again, cluster)
  expect([passed, again.get('a'), seen.length, again.history('a').length]).toEqual([['in-sync'], '49', 48, 49])
  expect(next.ageMs).toBeLessThan(10_000)
})

test('what is compacted meanwhile is read anew, and a watch is told', async () => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  const storage = memory()
  const { store, kept } = await mirrored(cluster, all, storage)
  await kept.close()
  await cluster.put('a', '2')
  await cluster.put('b', '2')
  await cluster.put('a', '3')
  await cluster.call('/v3/kv/compaction', { revision: '5', physical: true })
  let ended = ''
  store.on('a', () => {}, { from: store.revision + 1, onError: ({ code }) => (ended = code) })
  const next = mirror(store, { endpoints: cluster.endpoints, range: {} })
  const passed = statuses(next)
  await next.inSync()
  expect([passed, entries(store), ended]).toEqual([
    ['resyncing', 'waiting', 'in-sync'],
    ['a=3 v3 @5', 'b=2 v1 @4'],
    'COMPACTED',
  ])
  await cluster.put('a', '4')
  await reaches(store, cluster)
  await cluster.call('/v3/kv/compaction', { revision: '5' }).catch(() => {})
  expect(await next.verify()).toBe(true)
})

test('another cluster at the same place is read anew', async () => {
  const cluster = await Cluster.start()
  await cluster.put('a', 'old')
  await cluster.put('b', 'old')
  const { store, kept } = await mirrored(cluster)
  const other = await Cluster.start()
  await other.put('a', 'new')
  await kept.close()
  let ended = ''
  store.on('a', () => {}, { onError: ({ code }) => (ended = code) })
  const next = mirror(store, { endpoints: other.endpoints, range: {} })
  await next.inSync()
  await vi.waitFor(() => expect(ended).toBe('RESTORED'))
  expect(entries(store)).toEqual(['a=new v1 @2'])
})

test('a member that dies is replaced by the next, and nothing is missed', { timeout: 60_000 }, async () => {
  const cluster = await Cluster.start(3)
  await cluster.put('n', '0')
  const { store, kept } = await mirrored(cluster)
  const seen = heard(store)
  const passed = statuses(kept)
  const kept0 = [...cluster.endpoints]
  for (let i = 1; i <= 60; i++) {
    if (i === 20) cluster.kill(0)
    if (i === 40) {
      cluster.restart(0)
      await cluster.ready()
    }
    await cluster.put('n', `${i}`)
  }
  await reaches(store, cluster)
  expect(kept0).toHaveLength(3)
  expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => `${i + 1}`))
  await kept.inSync()
  expect([passed.slice(0, 1), await kept.verify()]).toEqual([['waiting'], true])
})

test.each(['leads', 'is mirrored'])(
  'the member that %s dies, and another takes its place',
  { timeout: 60_000 },
  async (which) => {
    const cluster = await Cluster.start(3)
    await cluster.put('n', '0')
    const leader = await cluster.leader()
    // The first of the mirror's members is not the one that leads, unless that is to be tried.
    const first = which === 'leads' ? leader : (leader + 1) % 3
    const endpoints = [0, 1, 2].map((i) => cluster.endpoints[(first + i) % 3] as string)
    const { store, kept } = await mirrored(cluster, { ...all, endpoints })
    const seen = heard(store)
    const passed = statuses(kept)
    const written: string[] = []
    for (let i = 1; i <= 40; i++) {
      if (i === 10) cluster.kill(first)
      // A put whose answer is lost with its member may be there, and is not asked for again.
      const put = cluster.put('n', `${i}`).then(
        () => true,
        () => false,
      )
      if (await put) written.push(`${i}`)
    }
    await reaches(store, cluster)
    await kept.inSync()
    expect([passed, written.length > 20]).toEqual([['waiting', 'in-sync'], true])
    expect(seen.filter((value) => written.includes(value))).toEqual(written)
    expect(new Set(seen).size).toBe(seen.length)
    expect(await kept.verify()).toBe(true)
  },
)

test('a member that is frozen is left, and does no harm when it is behind the others', {
  timeout: 90_000,
}, async () => {
  const cluster = await Cluster.start(3)
  await cluster.put('n', '0')
  const frozen = ((await cluster.leader()) + 1) % 3
  const endpoints = [0, 1, 2].map((i) => cluster.endpoints[(frozen + i) % 3] as string)
  const { store, kept } = await mirrored(cluster, { ...all, endpoints })
  const seen = heard(store)
  const passed = statuses(kept)
  cluster.freeze(frozen)
  const put = (value: string) =>
    fetch(`${endpoints[1]}/v3/kv/put`, { method: 'POST', body: JSON.stringify({ key: btoa('n'), value: btoa(value) }) })
  for (let i = 1; i <= 20; i++) expect((await put(`${i}`)).ok).toBe(true)
  await vi.waitFor(() => expect(store.get('n')).toBe('20'), { timeout: 40_000, interval: 100 })
  cluster.thaw(frozen)
  for (let i = 21; i <= 40; i++) expect((await put(`${i}`)).ok).toBe(true)
  await reaches(store, cluster)
  await kept.inSync()
  expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => `${i + 1}`))
  expect([passed[0], passed.includes('resyncing'), await kept.verify()]).toEqual(['waiting', false, true])
})

test('a whole cluster is replaced by another at its addresses, and read anew', { timeout: 60_000 }, async () => {
  const cluster = await Cluster.start(3)
  for (let i = 0; i < 20; i++) await cluster.put(`old/${i}`, 'x')
  const { store, kept } = await mirrored(cluster)
  const passed = statuses(kept)
  const errors: string[] = []
  kept.addEventListener('error', ({ detail }) => errors.push(detail.error.code))
  let ended = ''
  store.on({}, () => {}, { onError: ({ code }) => (ended = code) })
  await cluster.replace()
  await cluster.put('new', '1')
  await vi.waitFor(() => expect(store.get('new')).toBe('1'), { timeout: 30_000 })
  await kept.inSync()
  expect([entries(store), ended]).toEqual([['new=1 v1 @2'], 'RESTORED'])
  expect([passed[0], passed.at(-2), passed.at(-1)]).toEqual(['waiting', 'resyncing', 'in-sync'])
  expect(errors).toContain('DIVERGED')
  await cluster.put('new', '2')
  await reaches(store, cluster)
  expect(await kept.verify()).toBe(true)
})

describe('writes that go to the cluster', () => {
  test("are there when they resolve, with the cluster's revisions, in every verb", async () => {
    const cluster = await Cluster.start()
    await cluster.put('other', 'x')
    const { store } = await mirrored(cluster, { range: { prefix: 'k' }, write: true })
    expect(await store.put('k', '1')).toEqual({ revision: 3 })
    expect(store.entry('k')).toMatchObject({ value: '1', modRevision: 3, version: 1 })
    expect(await store.put('k', '2', { prevEntry: true })).toMatchObject({ prevEntry: { value: '1' } })
    expect(await store.compareAndSet('k', '2', '3')).toEqual({ ok: true, revision: 5 })
    expect(await store.compareAndSet('k', '2', '4')).toEqual({ ok: false, revision: 5 })
    const request = {
      if: [{ key: 'k', version: 3 }],
      then: [{ put: ['k2', 'v'] as [string, string] }, { get: 'k' }, { list: { prefix: 'k' } }],
    }
    const { ok, results } = await store.txn(request)
    expect([ok, results.length, (results[1] as { get: { value: string } }).get.value]).toEqual([true, 3, '3'])
    await store.putMany([
      ['k3', 'a'],
      ['k4', 'b'],
    ])
    expect(store.count({})).toBe(4)
    expect(await store.delete({ prefix: 'k' }, { prevEntries: true })).toMatchObject({ deleted: 4 })
    expect(store.count({})).toBe(0)
    expect(await codeOf(() => store.put('other', 'y'))).toBe('INVALID_RANGE')
    expect(await codeOf(() => store.put('k', 'y', { lease: 99n }))).toBe('LEASE_NOT_FOUND')
    const lease = await store.grant(60)
    await store.put('k', 'leased', { lease })
    expect(store.entry('k')?.lease).toBe(lease.id)
    expect(await lease.keepAlive()).toBe(60)
    await lease.revoke()
    expect(store.get('k')).toBeUndefined()
    expect(await codeOf(() => lease.keepAlive())).toBe('LEASE_NOT_FOUND')
    await store.put('k', 'short', { ttlSeconds: 60 })
    expect(store.entry('k')?.lease).not.toBe(0n)
  })

  test('two stores that count to a hundred each come to two hundred', { timeout: 60_000 }, async () => {
    const cluster = await Cluster.start()
    const [a, b] = [
      await mirrored(cluster, { write: true, range: {} }),
      await mirrored(cluster, { write: true, range: {} }),
    ]
    const count = async (store: Store<string>) => {
      for (let i = 0; i < 100; i++) {
        await store.transact((tx) => tx.put('n', `${Number(tx.get('n') ?? 0) + 1}`), { retries: 10_000 })
      }
    }
    await Promise.all([count(a.store), count(b.store)])
    await reaches(a.store, cluster)
    await reaches(b.store, cluster)
    expect([a.store.get('n'), b.store.get('n')]).toEqual(['200', '200'])
    expect([await a.kept.verify(), await b.kept.verify()]).toEqual([true, true])
  })

  test('what was read, and is gone or new meanwhile, is a conflict', async () => {
    const cluster = await Cluster.start()
    await cluster.put('a', '1')
    const { store } = await mirrored(cluster, { write: true, range: {} })
    for (const [name, read, meanwhile] of [
      ['changed', (tx: { get(key: string): unknown }) => tx.get('a'), () => cluster.put('a', 'other')],
      ['deleted', (tx: { get(key: string): unknown }) => tx.get('a'), () => cluster.delete('a')],
      ['new', (tx: { get(key: string): unknown }) => tx.get('b'), () => cluster.put('b', 'other')],
      [
        'new in a range',
        (tx: { list(range: object): unknown }) => tx.list({ prefix: 'c' }),
        () => cluster.put('c1', 'other'),
      ],
    ] as const) {
      const code = await codeOf(() =>
        store.transact(
          async (tx) => {
            read(tx as never)
            await meanwhile()
            tx.put('result', name)
          },
          { retries: 0 },
        ),
      )
      expect([name, code]).toEqual([name, 'CONFLICT'])
      await reaches(store, cluster)
    }
    expect(store.get('result')).toBeUndefined()
  })
})

test('of two tabs the one that leads mirrors, both write, and the other goes on', async () => {
  withLocks()
  const cluster = await Cluster.start()
  const [inner, tabs] = [memory(), faultyTransport()]
  const storage = { ...inner, supports: { ...inner.supports, sharedByTabs: true } }
  const enter = async () => {
    const store = await openStore<string>({ values: utf8, storage, tabs })
    const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, write: true })
    return { store, kept }
  }
  const a = await enter()
  await a.kept.inSync()
  const b = await enter()
  await a.store.put('a', '1')
  await b.store.put('b', '2')
  expect([b.store.role, b.store.get('a'), b.store.get('b'), b.store.entry('b')?.modRevision]).toEqual([
    'follower',
    '1',
    '2',
    3,
  ])
  await reaches(a.store, cluster)
  await a.kept.close()
  await a.store.close()
  await b.kept.inSync()
  await cluster.put('c', '3')
  await reaches(b.store, cluster)
  expect([b.store.role, b.store.get('c'), await b.kept.verify()]).toEqual(['leader', '3', true])
})
