import { describe, expect, test, vi } from 'vitest'
import { Engine } from '../src/engine.js'
import type { Change, Store, Watch, WatchBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, Gate, openStore, turn } from './open.js'

/** "2:a=1,-b" is revision 2 with a put to 1 and b deleted. */
function told<V>({ revision, changes, resync }: WatchBatch<V>): string {
  const one = (change: Change<V>) =>
    change.type === 'put' ? `${change.entry.key}=${change.entry.value}` : `-${change.key}`
  return `${revision}:${changes.map(one).join(',')}${resync ? ' resync' : ''}`
}

async function take<V>(watch: Watch<V>, count: number): Promise<string[]> {
  const seen: string[] = []
  const reader = watch[Symbol.asyncIterator]()
  while (seen.length < count) {
    const next = await reader.next()
    if (next.done) return [...seen, 'done']
    seen.push(told(next.value))
  }
  return seen
}

function listen<V>(
  store: Store<V>,
  target: Parameters<Store<V>['on']>[0],
  options?: Parameters<Store<V>['on']>[2],
): string[] {
  const seen: string[] = []
  store.on(target, (batch) => seen.push(told(batch)), options)
  return seen
}

describe('watch', () => {
  test('starts where the call was made, and gives whole revisions in order', async () => {
    const store = await openStore<number>()
    await store.put('a', 0)
    const watch = store.watch({ prefix: 'a' })
    await store.put('a', 1)
    await store.put('b', 1)
    await store.txn({ then: [{ put: ['ab', 2] }, { delete: 'a' }, { put: ['b', 2] }] })
    const waiting = take(watch, 3)
    await turn()
    await store.put('a', 3)
    expect(await waiting).toEqual(['3:a=1', '5:ab=2,-a', '6:a=3'])
    watch.close()
  })

  test('resumes from a revision, over a close and a reopen', async () => {
    const storage = memory()
    const first = await openStore<number>({ storage })
    const watch = first.watch({})
    for (let i = 0; i < 3; i++) await first.put('a', i)
    expect(await take(watch, 2)).toEqual(['2:a=0', '3:a=1'])
    await first.put('a', 3)
    await first.close()
    const second = await openStore<number>({ storage })
    const resumed = second.watch({}, { from: 4 })
    await second.put('a', 4)
    expect(await take(resumed, 3)).toEqual(['4:a=2', '5:a=3', '6:a=4'])
  })

  test('a revision to come is waited for', async () => {
    const store = await openStore<number>()
    const watch = store.watch('a', { from: 4 })
    const waiting = take(watch, 1)
    for (let i = 0; i < 4; i++) await store.put('a', i)
    expect(await waiting).toEqual(['4:a=2'])
  })

  test('only puts, only deletes, and what was there before', async () => {
    const store = await openStore<number>()
    const [puts, deletes] = [store.watch({}, { only: 'put' }), store.watch({}, { only: 'delete', prevEntry: true })]
    await store.put('a', 1)
    await store.put('a', 2)
    await store.delete('a')
    await store.put('a', 3)
    expect(await take(puts, 3)).toEqual(['2:a=1', '3:a=2', '5:a=3'])
    const reader = deletes[Symbol.asyncIterator]()
    const { value } = await reader.next()
    expect(value?.changes).toHaveLength(1)
    expect(value?.changes[0]?.prevEntry).toMatchObject({ value: 2, version: 2 })
  })

  test('leaving the loop ends it', async () => {
    const store = await openStore<number>()
    const watch = store.watch({})
    await store.put('a', 1)
    await store.put('a', 2)
    for await (const batch of watch) {
      expect(told(batch)).toBe('2:a=1')
      break
    }
    expect(await take(watch, 1)).toEqual(['done'])
  })

  test('close, the end of a scope and the end of the store settle who waits', async () => {
    const store = await openStore<number>()
    const watches = [store.watch({}), store.watch({}), store.watch({})]
    const waiting = watches.map((watch) => take(watch, 1))
    watches[0]?.close()
    await watches[1]?.[Symbol.asyncDispose]()
    await store.close()
    expect(await Promise.all(waiting)).toEqual([['done'], ['done'], ['done']])
    for (const watch of watches) expect(await take(watch, 1)).toEqual(['done'])
  })

  test('a signal ends it with its reason', async () => {
    const store = await openStore<number>()
    const [waits, later] = [new AbortController(), new AbortController()]
    const waiting = take(store.watch({}, { signal: waits.signal }), 1)
    waits.abort('enough')
    await expect(waiting).rejects.toBe('enough')

    const idle = store.watch({}, { signal: later.signal })
    await store.put('a', 1)
    later.abort('enough')
    await expect(take(idle, 1)).rejects.toBe('enough')
    expect(await take(idle, 1)).toEqual(['done'])

    await expect(take(store.watch({}, { signal: AbortSignal.abort('early') }), 1)).rejects.toBe('early')
  })

  test('calls of next that wait together are served in order', async () => {
    const store = await openStore<number>()
    const reader = store.watch({})[Symbol.asyncIterator]()
    const nexts = [reader.next(), reader.next(), reader.next()]
    await store.put('a', 1)
    await store.put('a', 2)
    await store.put('a', 3)
    const batches = await Promise.all(nexts)
    expect(batches.map((next) => next.value && told(next.value))).toEqual(['2:a=1', '3:a=2', '4:a=3'])
  })

  test('a slow reader loses nothing', async () => {
    const store = await openStore<number>()
    const watch = store.watch({})
    for (let i = 0; i < 5000; i++) store.put(`k${i % 7}`, i)
    const seen: number[] = []
    for await (const batch of watch) {
      seen.push(batch.revision)
      if (seen.length % 1000 === 0) await turn()
      if (seen.length === 5000) break
    }
    expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => i + 2))
  })

  test('a start that is compacted away: told to the first reader, or the whole range instead', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    await store.put('b', 2)
    await store.put('a', 3)
    await store.compact(4)
    const lost = store.watch({}, { from: 2 })
    await expect(take(lost, 1)).rejects.toMatchObject({ code: 'COMPACTED', compactRevision: 4 })
    expect(await take(lost, 1)).toEqual(['done'])
    const again = store.watch({}, { from: 2, onCompacted: 'resync' })
    await store.put('b', 5)
    expect(await take(again, 1)).toEqual(['5:a=3,b=5 resync'])
    await store.put('b', 6)
    expect(await take(again, 1)).toEqual(['6:b=6'])
  })

  test('a reader overtaken by a compaction is told; one that waits for the next change is not overtaken', async () => {
    const store = await openStore<number>()
    const [behind, waits] = [store.watch({}), store.watch({})]
    const waiting = take(waits, 3)
    for (let i = 0; i < 3; i++) await store.put('a', i)
    await store.compact(4)
    await expect(take(behind, 1)).rejects.toMatchObject({ code: 'COMPACTED' })
    expect(await waiting).toEqual(['2:a=0', '3:a=1', '4:a=2'])
  })

  test('durable: after a restore to what was stored before, too, and not before that is stored again', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.put('a', 1)
    const backup = await store.backup().bytes()
    for (let i = 2; i < 10; i++) await store.put('a', i)
    gate.hold()
    const restored = store.restore(backup)
    await vi.waitFor(() => expect(store.durableRevision).toBe(1))
    const seen = listen(store, {}, { durable: true, from: 1 })
    await turn()
    expect(seen).toEqual([])
    gate.lift()
    await restored
    await turn()
    expect(seen).toEqual(['2:a=1'])
    await store.put('a', 3)
    await turn()
    expect(seen).toEqual(['2:a=1', '3:a=3'])
  })

  test('durable: only what the storage has', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    const seen = listen(store, {}, { durable: true })
    const early = listen(store, {})
    const waiting = take(store.watch({}, { durable: true }), 1)
    gate.hold()
    const put = store.put('a', 1)
    await turn()
    expect([early, seen, store.durableRevision]).toEqual([['2:a=1'], [], 1])
    gate.lift()
    await put
    await turn()
    expect([seen, await waiting, store.durableRevision]).toEqual([['2:a=1'], ['2:a=1'], 2])
  })

  test('progress moves the resume point over what does not match', async () => {
    const store = await openStore<number>()
    const watch = store.watch('a', { progress: true })
    const waiting = take(watch, 1)
    await store.put('b', 1)
    expect(await waiting).toEqual(['2:'])
    await store.put('b', 2)
    await store.put('a', 3)
    await store.put('b', 4)
    expect(await take(watch, 2)).toEqual(['4:a=3', '5:'])
    expect(listen(store, 'a', { progress: true })).toEqual([])
    const heard = listen(store, 'a', { progress: true })
    await store.put('b', 5)
    expect(heard).toEqual(['6:'])
  })

  test('progress on request comes after what it covers', async () => {
    const store = await openStore<number>()
    const watch = store.watch('a')
    await store.put('a', 1)
    await store.put('b', 1)
    watch.requestProgress()
    expect(await take(watch, 2)).toEqual(['2:a=1', '3:'])
    const waiting = take(watch, 1)
    watch.requestProgress()
    expect(await waiting).toEqual(['3:'])
  })

  test('what cannot be watched is refused by the call', async () => {
    const store = await openStore<number>()
    const rows: [() => unknown, string][] = [
      [() => store.watch({ start: 'b', end: 'a' }), 'INVALID_RANGE'],
      [() => store.watch({ start: 'a', end: 'a' }), 'INVALID_RANGE'],
      [() => store.watch({ prefix: 'b', end: 'a' }), 'INVALID_RANGE'],
      [() => store.watch(''), 'INVALID_KEY'],
      [() => store.watch('a', { from: -1 }), 'INVALID_ARGUMENT'],
      [() => store.on({ start: 'b', end: 'a' }, () => {}), 'INVALID_RANGE'],
    ]
    for (const [call, code] of rows) {
      expect(call).toThrow(expect.objectContaining({ code }))
    }
  })
})

describe('on', () => {
  test('delivers in a turn after the write, before its promise resolves', async () => {
    const store = await openStore<number>()
    const seen = listen(store, 'a')
    const put = store.put('a', 1)
    store.put('a', 2)
    expect(seen).toEqual([])
    await put
    expect(seen).toEqual(['2:a=1', '3:a=2'])
  })

  test('a past revision is delivered too', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    const seen = listen(store, 'a', { from: 1 })
    await turn()
    expect(seen).toEqual(['2:a=1'])
  })

  test('a listener may cancel itself and others at once', async () => {
    const store = await openStore<number>()
    const seen: string[] = []
    const cancelFirst = store.on({}, (batch) => {
      seen.push(`first ${batch.revision}`)
      cancelFirst()
      cancelLast()
    })
    store.on({}, (batch) => seen.push(`middle ${batch.revision}`))
    const cancelLast = store.on({}, (batch) => seen.push(`last ${batch.revision}`))
    store.put('a', 1)
    await store.put('a', 2)
    expect(seen).toEqual(['first 2', 'middle 2', 'middle 3'])
    cancelFirst()
  })

  test('a listener that throws is reported, and the others hear', async () => {
    const store = await openStore<number>()
    const errors: unknown[] = []
    store.addEventListener('error', (event) => errors.push(event.detail.error))
    const failure = new Error('listener')
    store.on({}, () => {
      throw failure
    })
    const seen = listen(store, {})
    await store.put('a', 1)
    await store.put('a', 2)
    expect([seen, errors]).toEqual([
      ['2:a=1', '3:a=2'],
      [failure, failure],
    ])
  })

  test('without a listener for errors the console hears of them', async () => {
    const spoken = vi.spyOn(console, 'error').mockImplementation(() => {})
    const store = await openStore<number>()
    const controller = new AbortController()
    const listener = () => {}
    store.addEventListener('error', listener)
    store.addEventListener('error', () => {}, { once: true })
    store.addEventListener('error', () => {}, { signal: controller.signal })
    const failure = new Error('listener')
    store.on({}, () => {
      throw failure
    })
    await store.put('a', 1)
    expect(spoken).not.toHaveBeenCalled()
    store.removeEventListener('error', listener)
    controller.abort()
    await store.put('a', 2)
    expect(spoken.mock.calls).toEqual([[failure]])
    spoken.mockRestore()
  })

  test('what a listener writes is delivered in a later turn, to all in the same order', async () => {
    const store = await openStore<number>()
    const seen: string[] = []
    store.on('a', (batch) => {
      seen.push(`writer ${told(batch)}`)
      const value = store.get('a') as number
      if (value < 3) store.put('a', value + 1)
      seen.push(`read ${store.get('a')}`)
    })
    store.on('a', (batch) => seen.push(`reader ${told(batch)}`))
    await store.put('a', 1)
    await turn()
    expect(seen).toEqual([
      'writer 2:a=1',
      'read 2',
      'reader 2:a=1',
      'writer 3:a=2',
      'read 3',
      'reader 3:a=2',
      'writer 4:a=3',
      'read 3',
      'reader 4:a=3',
    ])
  })

  test('a listener may close the store', async () => {
    const store = await openStore<number>()
    const closing: Promise<void>[] = []
    store.on({}, () => closing.push(store.close()))
    const seen = listen(store, {})
    await store.put('a', 1)
    await Promise.all(closing)
    expect([closing.length, seen]).toEqual([1, ['2:a=1']])
  })

  test('a compaction does not overtake a listener', async () => {
    for (const storage of [undefined, memory()]) {
      const store = await openStore<number>({ storage })
      const errors: unknown[] = []
      const options = { onError: (e: unknown) => errors.push(e) }
      const [all, durable] = [listen(store, {}, options), listen(store, {}, { ...options, durable: true })]
      store.put('a', 1)
      store.put('a', 2)
      await store.compact(3)
      expect([all, durable, errors]).toEqual([['2:a=1', '3:a=2'], ['2:a=1', '3:a=2'], []])
    }
  })

  test('a start that is compacted away is told to onError, or reported', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    await store.put('a', 2)
    await store.compact(3)
    const errors: unknown[] = []
    store.addEventListener('error', (event) => errors.push(event.detail.error))
    const seen = listen(store, {}, { from: 1, onError: (e) => errors.push(e.code) })
    store.on({}, () => {}, { from: 1 })
    store.on({}, () => {}, { from: 1, onError: () => errors.push('after the end') })()
    expect(errors).toEqual([])
    await store.put('a', 3)
    expect([seen, errors]).toEqual([[], ['COMPACTED', expect.objectContaining({ code: 'COMPACTED' })]])
    expect(await codeOf(() => store.get('a'))).toBe('none')
  })

  test('a signal ends it, and one aborted before never begins it', async () => {
    const store = await openStore<number>()
    const controller = new AbortController()
    const seen = listen(store, {}, { signal: controller.signal })
    const never = listen(store, {}, { signal: AbortSignal.abort() })
    await store.put('a', 1)
    store.put('a', 2)
    controller.abort()
    await turn()
    expect([seen, never]).toEqual([['2:a=1'], []])
  })
})

test('a turn crosses once for all listeners, whatever each of them does to the others', async () => {
  const store = await openStore<string>()
  const crossings = [vi.spyOn(Engine.prototype, 'takeMany'), vi.spyOn(Engine.prototype, 'takeEvents')]
  const heard: number[] = []
  const stops: (() => void)[] = []
  for (let i = 0; i < 1000; i++) {
    stops.push(
      store.on('key', ({ revision, changes }) => {
        heard.push(i)
        expect([revision, changes.length]).toEqual([2, 1])
        if (i === 10) stops[11]?.()
        if (i === 20) throw new Error('of a listener')
        if (i === 30) void store.put('other', 'written meanwhile')
      }),
    )
  }
  const reported: unknown[] = []
  store.addEventListener('error', (e) => reported.push(e.detail.error))
  await store.put('key', 'value')
  await turn()
  const expected = Array.from({ length: 1000 }, (_, i) => i).filter((i) => i !== 11)
  expect(heard).toEqual(expected)
  expect(reported).toEqual([new Error('of a listener')])
  expect(crossings.map((spy) => spy.mock.calls.length)).toEqual([1, 0])
  vi.restoreAllMocks()
})

test('what is too much for one crossing comes in several', async () => {
  const store = await openStore<string>()
  const heard: [number, number][] = []
  for (let i = 0; i < 4; i++) store.on({}, ({ revision, changes }) => heard.push([i, revision + changes.length]))
  store.on('key/3', () => heard.push([4, 0]))
  const writes = [1, 2, 3].map((i) => store.put(`key/${i}`, 'x'.repeat(800_000)))
  await Promise.all(writes)
  await turn()
  const each = [3, 4, 5]
  expect(heard).toEqual([...[0, 1, 2, 3].flatMap((i) => each.map((sum) => [i, sum])), [4, 0]])
})
