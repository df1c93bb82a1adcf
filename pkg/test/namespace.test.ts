import { describe, expect, test } from 'vitest'
import { type Change, type Codec, json, type Store, utf8, type WatchBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore, turn } from './open.js'

const keysOf = (store: Pick<Store<unknown>, 'list'>) =>
  store
    .list()
    .toArray()
    .map((entry) => entry.key)
    .join(' ')

const keyOf = (change: Change<unknown>) => (change.type === 'put' ? change.entry.key : change.key)

/** A store with `a`, `n/a`, `n/b` and `o`, and its namespace `n/`. */
async function openPair() {
  const store = await openStore<number>()
  await store.putMany(['a', 'n/a', 'n/b', 'o'].map((key, i) => [key, i]))
  return { store, inner: store.namespace('n/') }
}

describe('a namespace', () => {
  test('has the keys that begin so, shown without the prefix, in every read', async () => {
    const { store, inner } = await openPair()
    expect([inner.get('a'), inner.get('o'), inner.getMany(['b', 'n/a'])]).toEqual([1, undefined, [2, undefined]])
    expect(inner.entry('a')).toMatchObject({ key: 'a', value: 1 })
    expect([keysOf(inner), inner.count(), keysOf(store)]).toEqual(['a b', 2, 'a n/a n/b o'])
    expect([inner.count({ start: 'b' }), inner.count({ end: 'b' }), inner.count({ prefix: 'a' })]).toEqual([1, 1, 1])
    expect(inner.history({}).map(keyOf)).toEqual(['a', 'b'])
    expect(inner.history('b').map(keyOf)).toEqual(['b'])
    expect(inner.diff({}, 1).map(({ key }) => key)).toEqual(['a', 'b'])
    const snapshot = inner.snapshot()
    await inner.put('c', 5)
    expect([keysOf(snapshot), snapshot.get('c'), inner.get('c'), store.get('n/c')]).toEqual(['a b', undefined, 5, 5])
    expect([inner.revision, inner.name, inner.hash()]).toEqual([store.revision, store.name, store.hash()])
  })

  test('writes them in every write', async () => {
    const { store, inner } = await openPair()
    expect(await inner.put('a', 5, { prevEntry: true })).toMatchObject({ prevEntry: { key: 'a', value: 1 } })
    await inner.putMany([['c', 6] as const])
    expect(await inner.delete('b', { prevEntries: true })).toMatchObject({ deleted: 1, prevEntries: [{ key: 'b' }] })
    expect(await inner.compareAndSet('c', 6, 7)).toMatchObject({ ok: true })
    expect(keysOf(store)).toBe('a n/a n/c o')
    await inner.restoreTo({}, 2)
    expect([keysOf(store), store.get('n/a')]).toEqual(['a n/a n/b o', 1])
    expect((await inner.delete({})).deleted).toBe(2)
    expect(keysOf(store)).toBe('a o')
  })

  test('in a txn, nested ones too', async () => {
    const { store, inner } = await openPair()
    await store.put('o', 9)
    const { ok, results } = await inner.txn({
      if: [
        { key: 'a', version: 1 },
        { key: 'o', version: 0 },
        { key: 'a', end: '\0', modRevision: 2 },
      ],
      then: [
        { put: ['c', 1] },
        { list: {} },
        { get: 'c' },
        {
          txn: { if: [{ key: 'a', value: 1 }], then: [{ delete: { end: 'b' }, prevEntries: true }, { put: ['d', 1] }] },
        },
      ],
    })
    expect(ok).toBe(true)
    expect(results[1]).toMatchObject({ list: { count: 3 } })
    expect(results[2]).toMatchObject({ get: { key: 'c' } })
    expect(results[3]).toMatchObject({ txn: { ok: true, results: [{ delete: { prevEntries: [{ key: 'a' }] } }, {}] } })
    expect(keysOf(store)).toBe('a n/b n/c n/d o')
  })

  test('in transact, and others outside do not conflict', async () => {
    const { store, inner } = await openPair()
    let runs = 0
    await inner.transact(async (tx) => {
      runs++
      expect(keysOf(tx)).toBe('a b')
      await store.put('o', 9)
      tx.put('c', 1)
      tx.delete('a')
      expect([keysOf(tx), tx.get('c')]).toEqual(['b c', 1])
    })
    expect([runs, keysOf(store)]).toEqual([1, 'a n/b n/c o'])
  })

  test('in watches, listeners and live queries', async () => {
    const { store, inner } = await openPair()
    const heard: WatchBatch<number>[] = []
    inner.on({}, (batch) => heard.push(batch))
    const watch = inner.watch('b', { from: 1 })[Symbol.asyncIterator]()
    const live = inner.live((view) => keysOf(view))
    let told = 0
    live.subscribe(() => told++)
    await store.put('o', 5)
    await store.put('n/c', 5)
    await inner.delete('b')
    await turn()
    expect(heard.map(({ changes }) => changes.map(keyOf))).toEqual([['c'], ['b']])
    const batches = [await watch.next(), await watch.next()]
    expect(batches.map(({ value }) => value?.changes.map(keyOf))).toEqual([['b'], ['b']])
    expect([live.value, told > 0]).toEqual(['a c', true])
  })

  test('shows of a lease the keys that are its own, and its end takes all', async () => {
    const { store, inner } = await openPair()
    const lease = await inner.grant(60)
    await inner.put('a', 1, { lease })
    await store.put('o', 1, { lease })
    expect([lease.keys(), store.lease(lease.id)?.keys(), inner.lease(lease.id)?.keys()]).toEqual([
      ['a'],
      ['n/a', 'o'],
      ['a'],
    ])
    await lease.revoke()
    expect(keysOf(store)).toBe('a n/b')
  })

  test('may lie in another, with a codec and a form of keys of its own', async () => {
    const { store, inner } = await openPair()
    const texts = inner.namespace<string>('deep/', { values: utf8 })
    const raw = texts.namespace('', { keys: 'bytes' })
    await texts.put('k', 'text')
    expect([store.entry('n/deep/k')?.bytes, inner.count(), raw.get('k')]).toEqual([
      new TextEncoder().encode('text'),
      3,
      'text',
    ])
    expect([raw.list().at(0)?.key, texts.list().at(0)?.key]).toEqual([new Uint8Array([107]), 'k'])
    const odd = store.namespace(new Uint8Array([0xff, 0xff]), { keys: 'bytes' })
    await odd.put(new Uint8Array([0xff]), 1)
    expect([odd.count(), odd.list().at(0)?.key, store.count({ start: new Uint8Array([0xff]) })]).toEqual([
      1,
      new Uint8Array([0xff]),
      1,
    ])
    expect((await odd.txn({ if: [{ key: '\0', end: '\0', version: 1 }] })).ok).toBe(true)
  })

  test('of another codec never takes a cached value for its own', async () => {
    const store = await openStore<unknown>()
    const texts = store.namespace<string>('', { values: utf8 })
    await store.put('k', [1])
    expect([store.get('k'), texts.get('k'), store.get('k')]).toEqual([[1], '[1]', [1]])
    await texts.put('k', '[2]')
    expect([store.get('k'), texts.get('k')]).toEqual([[2], '[2]'])
  })

  test('hears the events of its store', async () => {
    const store = await openStore<number>({ storage: memory() })
    const inner = store.namespace('n/')
    const heard: unknown[] = []
    const hear = (event: CustomEvent<{ revision: number }>) => heard.push(event.detail.revision)
    inner.addEventListener('durable', hear)
    await inner.put('a', 1)
    await store.put('b', 1)
    inner.removeEventListener('durable', hear)
    await store.put('c', 1)
    expect(heard).toEqual([2, 3])
    inner.addEventListener('error', (event) => heard.push(event.detail.error))
    inner.on({}, () => {
      throw 'thrown'
    })
    await inner.put('a', 2)
    await turn()
    expect(heard.slice(2)).toEqual(['thrown'])
  })
})

describe('closing', () => {
  test('a namespace ends what is its, waits for the storage, and leaves the store open', async () => {
    const store = await openStore<number>({ storage: memory(), durability: 'memory' })
    const inner = store.namespace('n/')
    const deeper = inner.namespace('d/')
    let outside = 0
    let inside = 0
    store.on({}, () => outside++)
    inner.on({}, () => inside++)
    deeper.on({}, () => inside++)
    const live = deeper.live((view) => view.count())
    live.subscribe(() => inside++)
    const waiting = inner.watch({})[Symbol.asyncIterator]().next()
    const { watchers } = store.stats()
    void store.put('n/a', 1)
    await inner.close()
    expect(await waiting).toMatchObject({ done: true })
    expect([watchers, store.stats().watchers]).toEqual([5, 1])
    await store.put('n/d/a', 1)
    await turn()
    expect([inside, outside, store.get('n/a')]).toEqual([0, 2, 1])
    for (const closed of [inner, deeper]) {
      const calls: (() => unknown)[] = [
        () => closed.get('a'),
        () => closed.getMany([]),
        () => closed.list(),
        () => closed.revision,
        () => closed.put('a', 1),
        () => closed.transact(() => 1),
        () => closed.on({}, () => {}),
        () => closed.watch({}),
        () => closed.live(() => 1),
        () => closed.namespace('x'),
        () => closed.leases(),
        () => closed.stats(),
        () => closed.sync(),
      ]
      for (const call of calls) expect([String(call), await codeOf(call)]).toEqual([String(call), 'CLOSED'])
    }
    expect(await codeOf(() => live.value)).toBe('CLOSED')
    await inner.close()
    await deeper.close()
    await store.put('n/b', 1)
  })

  test('the store ends its namespaces', async () => {
    const store = await openStore<number>()
    const inner = store.namespace('n/')
    await inner.put('a', 1)
    expect(inner.get('a')).toBe(1)
    await store.close()
    expect([await codeOf(() => inner.get('a')), await codeOf(() => inner.put('a', 1))]).toEqual(['CLOSED', 'CLOSED'])
    await inner.close()
  })

  test('by await using', async () => {
    const store = await openStore<number>()
    {
      await using inner = store.namespace('n/')
      await inner.put('a', 1)
    }
    expect(store.get('n/a')).toBe(1)
  })
})

test('a namespace with a codec of its own is typed by it', async () => {
  const store = await openStore<unknown>()
  const numbers = store.namespace<number>('n/', { values: json as Codec<number> })
  await numbers.put('a', 1)
  expect((numbers.get('a') as number) + 1).toBe(2)
})
