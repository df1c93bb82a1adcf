// Stores that share a database, each as if it were a tab of its own.

import { describe, expect, test, vi } from 'vitest'
import { faultyTransport, transportConformance } from '../src/conformance/index.js'
import type { StorageAdapter, Store } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { broadcast, messagePort } from '../src/tabs/index.js'
import { withLocks } from './locks.js'
import { changed, codeOf, openStore } from './open.js'

/** A medium that tabs share. */
function shared(medium: StorageAdapter = memory()): StorageAdapter {
  return { ...medium, supports: { ...medium.supports, sharedByTabs: true } }
}

/** So many tabs of one database, the first of which leads. */
async function tabs(count: number, options: object = {}): Promise<Store<unknown>[]> {
  withLocks()
  const [storage, transport] = [shared(), faultyTransport()]
  const stores: Store<unknown>[] = []
  for (let i = 0; i < count; i++) stores.push(await openStore({ storage, tabs: transport, ...options }))
  return stores
}

function until(condition: () => boolean): Promise<void> {
  return vi.waitFor(() => expect(condition()).toBe(true), { timeout: 8000, interval: 5 })
}

transportConformance({ name: 'faulty without faults', test, create: () => Array(2).fill(faultyTransport()) as never })
transportConformance({ name: 'broadcast', test, create: () => [broadcast(), broadcast()] })
transportConformance({
  name: 'message port',
  test,
  create: () => {
    const { port1, port2 } = new MessageChannel()
    const close = () => {
      port1.close()
      port2.close()
    }
    return [messagePort(port1), messagePort(port2), close]
  },
})

test('the first tab leads, the others follow, and all write', async () => {
  const [a, b, c] = (await tabs(3)) as [Store, Store, Store]
  expect([a.role, b.role, c.role]).toEqual(['leader', 'follower', 'follower'])
  expect(await a.put('a', 1)).toEqual({ revision: 2 })
  expect(await b.put('b', 2)).toEqual({ revision: 3 })
  expect([b.get('a'), b.get('b')]).toEqual([1, 2])
  expect(await c.put('b', 3, { prevEntry: true })).toMatchObject({ revision: 4, prevEntry: { value: 2, version: 1 } })
  await until(() => a.revision === 4 && b.revision === 4)
  expect([a, b, c].map((store) => store.hash().hash)).toEqual(Array(3).fill(a.hash().hash))
  expect(a.stats()).toMatchObject({ followers: 2, lag: 0, dropped: 0 })
})

test('every verb does for a follower what it does for whoever leads', async () => {
  const [, b] = (await tabs(2)) as [Store, Store]
  await b.putMany([
    ['k/1', 1],
    ['k/2', 2],
  ])
  expect(await b.compareAndSet('k/1', 1, 10)).toEqual({ ok: true, revision: 3 })
  expect(await b.compareAndSet('k/1', 1, 11)).toEqual({ ok: false, revision: 3 })
  expect(await b.txn({ if: [{ key: 'k/2', value: 2 }], then: [{ put: ['k/3', 3] }, { get: 'k/1' }] })).toMatchObject({
    ok: true,
    revision: 4,
    results: [{ put: { revision: 4 } }, { get: { value: 10 } }],
  })
  expect(await b.delete({ prefix: 'k/' }, { prevEntries: true })).toMatchObject({ deleted: 3, revision: 5 })
  expect(await b.restoreTo({}, 4)).toEqual({ revision: 6 })
  expect(await b.transact(async (tx) => tx.put('n', ((tx.get('n') as number) ?? 0) + 1))).toBeUndefined()
  expect([b.get('n'), b.revision]).toEqual([1, 7])
  const lease = await b.grant(60)
  await b.put('leased', 1, { lease })
  expect([lease.keys(), await lease.keepAlive()]).toEqual([['leased'], 60])
  expect([(await lease.revoke()).revision, b.get('leased')]).toEqual([9, undefined])
  await b.put('short', 1, { ttlSeconds: 60 })
  expect(b.leases()).toHaveLength(1)
  await b.compact(5)
  expect([b.compactRevision, await codeOf(() => b.get('k/1', { revision: 4 }))]).toEqual([5, 'COMPACTED'])
  expect(await b.sync()).toBe(b.revision)
  expect(await codeOf(() => b.put('x', 1, { lease: 99n }))).toBe('LEASE_NOT_FOUND')
  expect(await codeOf(() => b.compact(5))).toBe('COMPACTED')
})

test('two tabs that count to a hundred each come to two hundred', async () => {
  const [a, b] = (await tabs(2)) as [Store<number>, Store<number>]
  const count = async (store: Store<number>) => {
    for (let i = 0; i < 100; i++) {
      await store.transact((tx) => tx.put('n', (tx.get('n') ?? 0) + 1), { retries: 1000 })
    }
  }
  await Promise.all([count(a), count(b)])
  await until(() => a.revision === b.revision)
  expect([a.get('n'), b.get('n')]).toEqual([200, 200])
})

test('more writes at once than may be under way are all done, in order', async () => {
  const [a, b] = (await tabs(2)) as [Store<number>, Store<number>]
  const written = await Promise.all(Array.from({ length: 300 }, (_, i) => b.put('k', i)))
  expect(written.map(({ revision }) => revision)).toEqual(Array.from({ length: 300 }, (_, i) => i + 2))
  expect(a.history('k').map((change) => change.type === 'put' && change.entry.value)).toEqual(
    Array.from({ length: 300 }, (_, i) => i),
  )
})

test('a watch in a follower has everything, once, also from the past, and live queries follow', async () => {
  const [a, b] = (await tabs(2)) as [Store<number>, Store<number>]
  await a.put('k', 0)
  const seen: number[] = []
  b.on('k', (batch) => seen.push(...batch.changes.map((change) => (change.type === 'put' ? change.entry.value : -1))), {
    from: 2,
  })
  const sum = b.live((view) => [...view.list({})].reduce((sum, entry) => sum + entry.value, 0))
  let told = 0
  sum.subscribe(() => told++)
  for (let i = 1; i < 20; i++) await (i % 3 === 0 ? b : a).put('k', i)
  await a.put('other', 5)
  await until(() => sum.value === 24)
  expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(told).toBeGreaterThan(0)
})

describe('the tab that leads', () => {
  test('closes: a follower leads, with everything', async () => {
    const [a, b, c] = (await tabs(3)) as [Store, Store, Store]
    const roles: string[] = []
    b.addEventListener('role', ({ detail }) => roles.push(detail.role))
    await a.put('a', 1)
    await a.close()
    await until(() => b.role === 'leader')
    expect(roles).toEqual(['leader'])
    expect(await c.put('c', 2)).toEqual({ revision: 3 })
    expect([b.get('a'), c.get('a')]).toEqual([1, 1])
  })

  test('is gone in the middle of a write: what was acknowledged is there, and what was not is done once', async () => {
    const locks = withLocks()
    const [inner, transport] = [memory(), faultyTransport()]
    let hold: Promise<void> | undefined
    const storage = shared(
      changed(inner, (handle) => ({
        write: async (...batch: Parameters<typeof handle.write>) => {
          await hold
          await handle.write(...batch)
        },
      })),
    )
    const a = await openStore<number>({ storage, tabs: transport })
    const b = await openStore<number>({ storage, tabs: transport })
    await b.put('n', 1)
    let lift = () => {}
    hold = new Promise((resolve) => {
      lift = resolve
    })
    const waiting = Promise.all([b.put('n', 2), b.put('m', 3)])
    await until(() => a.get('m') === 3)
    // It is gone: nothing of it is heard any more, and its write comes too late.
    transport.cut(transport.ids[0] as string)
    hold = undefined
    locks.kill('revkv:memory:revkv')
    await waiting
    lift()
    expect([b.role, b.get('n'), b.get('m'), b.revision]).toEqual(['leader', 2, 3, 4])
    expect(b.history('n').length).toBe(2)
  })

  test('hangs: another takes the lock away, and what it writes then is refused and asked of the other', async () => {
    withLocks()
    const [storage, transport] = [shared(), faultyTransport()]
    const a = await openStore<number>({ storage, tabs: transport })
    const b = await openStore<number>({ storage, tabs: transport })
    await a.put('n', 1)
    await until(() => b.get('n') === 1)
    const id = transport.ids[0] as string
    transport.cut(id)
    const roles: string[] = []
    a.addEventListener('role', ({ detail }) => roles.push(detail.role))
    await until(() => b.role === 'leader')
    expect(await b.put('n', 2)).toEqual({ revision: 3 })
    transport.mend(id)
    expect(a.role).toBe('follower')
    expect(await a.put('n', 3)).toEqual({ revision: 4 })
    expect([roles, b.get('n')]).toEqual([['follower'], 3])
  })

  test('hangs: of many that wait one takes the lock away, and keeps it', async () => {
    withLocks()
    const [storage, transport] = [shared(), faultyTransport()]
    const stores: Store<number>[] = []
    for (let i = 0; i < 7; i++) stores.push(await openStore({ storage, tabs: transport }))
    const led: number[] = []
    for (const [at, store] of stores.entries()) {
      store.addEventListener('role', ({ detail }) => detail.role === 'leader' && led.push(at))
    }
    transport.cut(transport.ids[0] as string)
    await until(() => led.length > 0)
    // All the others have had a beat since.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect(led).toHaveLength(1)
  })

  test('is deposed with writes that are not stored: they are done by whoever leads then', async () => {
    withLocks()
    const [inner, transport] = [memory(), faultyTransport()]
    let lift = () => {}
    let hold: Promise<void> | undefined
    const storage = shared(
      changed(inner, (handle) => ({
        write: async (...batch: Parameters<typeof handle.write>) => {
          await hold
          await handle.write(...batch)
        },
      })),
    )
    const a = await openStore<number>({ storage, tabs: transport })
    const b = await openStore<number>({ storage, tabs: transport })
    await a.put('n', 1)
    hold = new Promise((resolve) => {
      lift = resolve
    })
    const first = a.put('n', 2)
    await until(() => a.get('n') === 2)
    const second = a.put('m', 3)
    hold = hold.then(() => {})
    transport.cut(transport.ids[0] as string)
    // The other takes the lock; its claim is not held up.
    const held = hold
    hold = undefined
    await until(() => b.role === 'leader')
    transport.mend(transport.ids[0] as string)
    lift()
    await held
    const revisions = [(await first).revision, (await second).revision]
    await until(() => b.get('m') === 3 && a.revision === b.revision)
    expect([b.get('n'), b.history('n').length, b.history('m').length]).toEqual([2, 2, 1])
    expect(revisions.sort()).toEqual([3, 4])
    expect(a.hash()).toEqual(b.hash())
  })
})

test('a storage that fails for the tab that leads is written by another', async () => {
  withLocks()
  const [inner, transport] = [memory(), faultyTransport()]
  let isBroken = false
  const broken = changed(inner, (handle) => ({
    write: async (...batch: Parameters<typeof handle.write>) => {
      if (isBroken) throw new Error('broken')
      await handle.write(...batch)
    },
  }))
  const a = await openStore<number>({ storage: shared(broken), tabs: transport })
  const b = await openStore<number>({ storage: shared(inner), tabs: transport })
  const errors: string[] = []
  a.addEventListener('error', ({ detail }) => errors.push((detail.error as { code: string }).code))
  await b.put('k', 1)
  isBroken = true
  const asked = b.put('k', 2)
  expect(await codeOf(() => a.put('k', 3))).toBe('STORAGE_LOST')
  expect(await asked).toEqual({ revision: 3 })
  expect([a.role, b.role, errors, b.history('k').length]).toEqual(['follower', 'leader', ['STORAGE_LOST'], 2])
  expect([a.get('k'), await codeOf(() => a.put('k', 4)), await codeOf(() => a.close())]).toEqual([
    2,
    'STORAGE_LOST',
    'STORAGE_LOST',
  ])
})

test('a database that is gone when a follower takes over is told, and not taken for a new one', async () => {
  withLocks()
  const transport = faultyTransport()
  let inner = memory()
  const storage = shared({ ...inner, open: (...given) => inner.open(...given) })
  const a = await openStore<number>({ storage, tabs: transport })
  const b = await openStore<number>({ storage, tabs: transport })
  const heard: string[] = []
  b.addEventListener('evicted', () => heard.push('evicted'))
  b.addEventListener('error', ({ detail }) => heard.push((detail.error as { code: string }).code))
  await b.put('k', 1)
  inner = memory()
  await a.close()
  await until(() => heard.length === 2)
  expect([heard, b.get('k'), await codeOf(() => b.put('k', 2))]).toEqual([['evicted', 'EVICTED'], 1, 'STORAGE_LOST'])
  await b.close()
  const again = await openStore<number>({ storage, tabs: transport })
  expect([again.role, again.revision]).toEqual(['leader', 1])
})

test('a content that is replaced is replaced for all, and a follower may do it', async () => {
  const [a, b] = (await tabs(2)) as [Store<number>, Store<number>]
  await a.put('k', 1)
  const backup = await a.backup().bytes()
  await a.put('k', 2)
  await until(() => b.get('k') === 2)
  let ended = ''
  b.on('k', () => {}, { onError: ({ code }) => (ended = code) })
  await b.restore(backup)
  expect([b.role, b.get('k'), ended]).toEqual(['leader', 1, 'RESTORED'])
  await until(() => a.role === 'follower' && a.get('k') === 1)
  expect(await a.put('k', 3)).toEqual({ revision: 3 })
})

test('a tab that comes late has everything, also when it is much', async () => {
  withLocks()
  const [storage, transport] = [shared(), faultyTransport()]
  const first = await openStore<string>({ storage, tabs: transport })
  for (let i = 0; i < 20; i++)
    await first.putMany(Array.from({ length: 100 }, (_, j) => [`k${i}-${j}`, 'v'.repeat(200)]))
  await first.compact(15)
  const late = await openStore<string>({ storage, tabs: transport })
  expect([late.count({}), late.revision, late.compactRevision]).toEqual([2000, 21, 15])
  expect(late.hash()).toEqual(first.hash())
})

test('messages that are none are counted, and nothing else', async () => {
  withLocks()
  const [storage, transport] = [shared(), faultyTransport()]
  const a = await openStore<number>({ storage, tabs: transport })
  const b = await openStore<number>({ storage, tabs: transport })
  const stranger = transport.join('memory:revkv', 'stranger', () => {})
  for (const message of [[], [9], [0], [0, 1, 2], [1, ...new TextEncoder().encode('rkvm')]]) {
    stranger.send(Uint8Array.from(message))
  }
  await a.put('k', 1)
  await until(() => b.get('k') === 1)
  expect([a.stats().dropped, b.stats().dropped]).toEqual([5, 5])
})

test.for([1, 2, 3])(
  'over a transport that loses, repeats and delays, all are the same in the end (seed %i)',
  { timeout: 30_000 },
  async (seed) => {
    withLocks()
    const [storage, transport] = [shared(), faultyTransport({ seed, lost: 3, repeated: 10, delayMs: 5 })]
    const stores: Store<number>[] = []
    for (let i = 0; i < 3; i++) stores.push(await openStore<number>({ storage, tabs: transport }))
    await Promise.all(
      stores.map(async (store, at) => {
        for (let i = 0; i < 8; i++) await store.put(`k${at}`, i)
      }),
    )
    await until(() => new Set(stores.map((store) => store.revision)).size === 1)
    expect(stores[0]?.revision).toBe(25)
    expect(new Set(stores.map((store) => store.hash().hash)).size).toBe(1)
  },
)

test('without tabs, or locks, whoever opens last has it', async () => {
  const storage = shared()
  const a = await openStore<number>({ storage })
  a.addEventListener('error', () => {})
  const b = await openStore<number>({ storage, tabs: false })
  expect([a.role, b.role]).toEqual(['alone', 'alone'])
  await b.put('k', 1)
  expect(await codeOf(() => a.put('k', 2))).toBe('NOT_LEADER')
})
