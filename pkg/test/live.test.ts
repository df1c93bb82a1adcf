import { describe, expect, test } from 'vitest'
import type { Live, Store } from '../src/index.js'
import { codeOf, openStore, turn } from './open.js'

/** What a live query's subscriber hears, with how often the query has run. */
function follow<T>(live: Live<T>) {
  const heard: T[] = []
  return { heard, unsubscribe: live.subscribe(() => heard.push(live.value)) }
}

describe('the value', () => {
  test('is computed when it is read, and kept while nothing it has read changes', async () => {
    const store = await openStore<number>()
    let runs = 0
    const live = store.live((view) => {
      runs++
      return { a: view.get('a'), count: view.count({ prefix: 'n/' }) }
    })
    expect(runs).toBe(0)
    const first = live.value
    await store.put('other', 1)
    expect([live.value, live.value === first, runs]).toEqual([{ a: undefined, count: 0 }, true, 1])
    await store.put('a', 1)
    expect([live.value, runs]).toEqual([{ a: 1, count: 0 }, 2])
    await store.put('n/x', 1)
    expect([live.value, runs]).toEqual([{ a: 1, count: 1 }, 3])
    await store.delete('n/x')
    expect([live.value, runs]).toEqual([{ a: 1, count: 0 }, 4])
    expect(store.stats().watchers).toBe(0)
  })

  test('is of now, also before anybody was told', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.get('a'))
    const { heard } = follow(live)
    void store.put('a', 1)
    expect(live.value).toBe(1)
    void store.put('a', 2)
    expect(live.value).toBe(2)
    await turn()
    expect(heard).toEqual([2])
  })

  test('keeps its identity over a query that gives the same again', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.count() > 1)
    const { heard } = follow(live)
    await store.put('a', 1)
    await turn()
    await store.put('b', 1)
    await turn()
    await store.put('c', 1)
    await turn()
    expect(heard).toEqual([true])
  })

  test('shares the objects that its store gives', async () => {
    const store = await openStore<object>()
    await store.put('a', { deep: 1 })
    await store.put('b', { deep: 2 })
    const live = store.live((view) => [view.get('a'), view.get('b')])
    const [a] = live.value
    expect(a).toBe(store.get('a'))
    await store.put('b', { deep: 3 })
    expect([live.value[0] === a, live.value[1]]).toEqual([true, { deep: 3 }])
  })

  test('throws what the query throws, until what it has read changes', async () => {
    const store = await openStore<number>()
    const failure = new Error('no a')
    let runs = 0
    const live = store.live((view) => {
      runs++
      const a = view.get('a')
      if (a === undefined) throw failure
      return a
    })
    let told = 0
    const unsubscribe = live.subscribe(() => told++)
    expect(() => live.value).toThrow(failure)
    await store.put('other', 1)
    expect(() => live.value).toThrow(failure)
    await store.put('a', 5)
    await turn()
    expect([live.value, told, runs]).toEqual([5, 1, 2])
    unsubscribe()
  })

  test('outlives compaction and restore', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    const backup = await store.backup().bytes()
    const live = store.live((view) => view.get('a'))
    const { heard } = follow(live)
    await store.put('a', 2)
    await store.put('x', 3)
    await store.compact(store.revision)
    await turn()
    expect([live.value, heard]).toEqual([2, [2]])
    await store.restore(backup)
    await turn()
    expect([live.value, heard]).toEqual([1, [2, 1]])
    await store.put('a', 3)
    await turn()
    expect(heard).toEqual([2, 1, 3])
  })

  test('is asked for again where history says no more whether it has changed', async () => {
    const store = await openStore<number>()
    let runs = 0
    const live = store.live((view) => [view.get('a'), runs++])
    expect(live.value).toEqual([undefined, 0])
    await store.put('a', 1)
    await store.delete('a')
    await store.put('x', 1)
    await store.compact(store.revision)
    expect(live.value[0]).toBe(undefined)
  })

  test('is CLOSED with its store', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.count())
    expect(live.value).toBe(0)
    live.subscribe(() => {})
    await store.close()
    expect([await codeOf(() => live.value), await codeOf(() => live.subscribe(() => {}))]).toEqual(['CLOSED', 'CLOSED'])
  })
})

describe('a run', () => {
  test('reads one revision, whatever is written meanwhile', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    await store.put('b', 1)
    let write = true
    const live = store.live((view) => {
      const a = view.get('a')
      if (write) void store.putMany(['a', 'b'].map((key) => [key, 2]))
      write = false
      return [a, view.get('b'), view.getMany(['b']), view.list().at(1)?.value, view.entry('b')?.value, view.count()]
    })
    const { heard } = follow(live)
    await turn()
    expect([heard.length, live.value]).toEqual([1, [2, 2, [2], 2, 2, 2]])
  })

  test('is one in a turn, however much is written', async () => {
    const store = await openStore<number>()
    let runs = 0
    const live = store.live((view) => {
      runs++
      return [view.get('a'), view.count(), view.list({ prefix: 'a' }).length]
    })
    const { heard } = follow(live)
    for (let i = 0; i < 100; i++) void store.put('a', i)
    await turn()
    expect([heard, runs]).toEqual([[[99, 1, 1]], 2])
  })

  test('tracks what the last one has read, and that only', async () => {
    const store = await openStore<string>()
    await store.put('which', 'x')
    let runs = 0
    const live = store.live((view) => {
      runs++
      return view.get(view.get('which') ?? 'x')
    })
    const { heard } = follow(live)
    await store.put('y', 'not yet')
    await turn()
    await store.put('which', 'y')
    await turn()
    await store.put('x', 'not any more')
    await turn()
    await store.put('y', 'now')
    await turn()
    expect([heard, runs, store.stats().watchers]).toEqual([['not yet', 'now'], 3, 2])
  })

  test('that reads something else since it was read leaves nobody untold', async () => {
    const store = await openStore<number>()
    let key = 'a'
    const live = store.live((view) => [key, view.get(key)])
    const { heard } = follow(live)
    void store.put('a', 1)
    key = 'b'
    expect(live.value).toEqual(['b', undefined])
    await turn()
    await store.put('b', 2)
    await turn()
    expect(heard).toEqual([
      ['b', undefined],
      ['b', 2],
    ])
  })

  test('of many keys is watched as one, and wakes for them only', async () => {
    const store = await openStore<number>()
    const keys = Array.from({ length: 100 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    let runs = 0
    const live = store.live((view) => {
      runs++
      return view.getMany(keys).filter((value) => value !== undefined).length
    })
    const { heard } = follow(live)
    expect(store.stats().watchers).toBe(1)
    await store.put('k050x', 1)
    await turn()
    expect([heard, runs]).toEqual([[], 1])
    await store.put('k099', 1)
    await turn()
    await store.put('k000', 1)
    await turn()
    expect([heard, runs]).toEqual([[1, 2], 3])
  })

  test('is over when it has returned', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => () => view.get('a'))
    expect(await codeOf(live.value)).toBe('CLOSED')
    const itself: Live<number> = store.live((): number => itself.value)
    expect(await codeOf(() => itself.value)).toBe('INVALID_ARGUMENT')
  })
})

describe('a subscriber', () => {
  test('misses nothing between the last read and its subscription', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.get('a'))
    expect(live.value).toBe(undefined)
    await store.put('a', 1)
    const { heard } = follow(live)
    expect(heard).toEqual([])
    await turn()
    expect(heard).toEqual([1])
    const other = follow(live)
    await store.put('a', 2)
    await turn()
    expect([heard, other.heard]).toEqual([[1, 2], [2]])
  })

  test('may unsubscribe itself and others, subscribe, write and throw, while it is called', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.get('a') ?? 0)
    const order: string[] = []
    const errors: unknown[] = []
    store.addEventListener('error', (event) => errors.push(event.detail.error))
    const last = { unsubscribe: () => {} }
    const first = live.subscribe(() => {
      order.push(`first ${live.value}`)
      first()
      last.unsubscribe()
      live.subscribe(() => order.push(`new ${live.value}`))
      if (live.value < 3) void store.put('a', live.value + 1)
      throw 'thrown'
    })
    live.subscribe(() => order.push(`second ${live.value}`))
    last.unsubscribe = live.subscribe(() => order.push('never'))
    await store.put('a', 1)
    await turn()
    expect(order).toEqual(['first 1', 'second 2', 'second 2', 'new 2'])
    expect(errors).toEqual(['thrown'])
  })

  test('that throws at the news of its subscription does not stop the others', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.get('a'))
    expect(live.value).toBe(undefined)
    await store.put('a', 1)
    const errors: unknown[] = []
    store.addEventListener('error', (event) => errors.push(event.detail.error))
    live.subscribe(() => {
      throw 'thrown'
    })
    const { heard } = follow(live)
    await turn()
    expect([heard, errors]).toEqual([[1], ['thrown']])
  })

  test('twice the same function is two', async () => {
    const store = await openStore<number>()
    const live = store.live((view) => view.get('a'))
    let told = 0
    const tell = () => told++
    const first = live.subscribe(tell)
    live.subscribe(tell)
    first()
    first()
    await store.put('a', 1)
    await turn()
    expect(told).toBe(1)
  })
})

test('without subscribers it holds nothing in the store', async () => {
  const store = await openStore<number>()
  const watchers = (store: Store<number>) => store.stats().watchers
  const live = store.live((view) => [view.get('a'), view.count({ prefix: 'n/' }), view.list({ start: 'z', end: 'a' })])
  void live.value
  expect(watchers(store)).toBe(0)
  const [one, other] = [follow(live), follow(live)]
  expect(watchers(store)).toBe(2)
  one.unsubscribe()
  expect(watchers(store)).toBe(2)
  other.unsubscribe()
  expect(watchers(store)).toBe(0)
  await store.put('a', 1)
  await turn()
  expect([one.heard, other.heard, live.value[0]]).toEqual([[], [], 1])
  const again = follow(live)
  await store.put('a', 2)
  await turn()
  expect(again.heard).toHaveLength(1)
})

test('a thousand live queries, of which one has something to say', async () => {
  const store = await openStore<number>()
  let runs = 0
  const heard: number[] = []
  for (let i = 0; i < 1000; i++) {
    const live = store.live((view) => {
      runs++
      return view.get(`k${i}`)
    })
    live.subscribe(() => heard.push(i))
  }
  await store.put('k500', 1)
  await turn()
  expect([heard, runs]).toEqual([[500], 1001])
})
