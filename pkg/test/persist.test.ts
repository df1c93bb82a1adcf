import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { RevkvError, type StorageBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, Gate, openStore, turn } from './open.js'

describe('the group commit', () => {
  test('writers that wait together share one batch', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.batches.length = 0
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.put(`k${i}`, i)))
    expect(gate.batches).toHaveLength(1)
    expect(store.durableRevision).toBe(101)
  })

  test('what comes while a batch is written is the next batch', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.batches.length = 0
    gate.hold()
    const first = store.put('a', 0)
    await turn()
    const rest = Array.from({ length: 50 }, (_, i) => store.put('a', i))
    await turn()
    expect([gate.batches.length, store.durableRevision, store.get('a')]).toEqual([1, 1, 49])
    gate.lift()
    await Promise.all([first, ...rest])
    expect([gate.batches.length, store.durableRevision]).toEqual([2, 52])
  })

  test('tells how far the storage has come', async () => {
    const store = await openStore<number>({ storage: memory() })
    const told: number[] = []
    store.addEventListener('durable', (event) => told.push(event.detail.revision))
    await Promise.all([store.put('a', 1), store.put('a', 2)])
    await store.put('a', 3)
    await store.grant(100)
    await store.sync()
    expect(told.filter((revision) => revision > 1)).toEqual([3, 4])
  })

  test('a lease is durable when its grant resolves, though it makes no revision', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.hold()
    let granted = false
    const grant = store.grant(100).then(() => {
      granted = true
    })
    await turn()
    expect([granted, store.leases().length]).toEqual([false, 1])
    gate.lift()
    await grant
  })

  test('a value larger than a blob is written in pieces', async () => {
    const gate = new Gate()
    const store = await openStore<string>({ storage: gate })
    const large = 'x'.repeat(gate.maxBlobBytes * 3)
    await store.put('a', large)
    await store.close()
    expect((await openStore<string>({ storage: gate })).get('a')).toBe(large)
  })
})

describe('durability', () => {
  test('each level is asked of the storage as the strongest that waits for the batch', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate, durability: 'relaxed' })
    await store.sync()
    const asked = async (...puts: Parameters<typeof store.put>[2][]) => {
      gate.batches.length = 0
      await Promise.all(puts.map((options) => store.put('a', 1, options)))
      await turn()
      return gate.batches.map((batch) => batch.durability)
    }
    expect(await asked({})).toEqual(['relaxed'])
    expect(await asked({ durability: 'strict' })).toEqual(['strict'])
    expect(await asked({ durability: 'memory' })).toEqual(['relaxed'])
    expect(await asked({}, { durability: 'strict' }, { durability: 'memory' })).toEqual(['strict'])
  })

  test('memory resolves when applied, the others when the storage has it', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.hold()
    await store.put('a', 1, { durability: 'memory' })
    expect(store.durableRevision).toBe(1)
    const order: string[] = []
    const relaxed = store.put('a', 2, { durability: 'relaxed' }).then(() => order.push('relaxed'))
    await turn()
    order.push('lifted')
    gate.lift()
    await relaxed
    expect(order).toEqual(['lifted', 'relaxed'])
  })

  test('sync flushes what went out relaxed, and does nothing when there is nothing', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate, durability: 'relaxed' })
    await store.put('a', 1)
    gate.batches.length = 0
    expect(await store.sync({ durability: 'relaxed' })).toBe(2)
    expect(gate.batches).toEqual([])
    expect(await store.sync()).toBe(2)
    expect(gate.batches).toEqual([{ puts: 0, bytes: 0, durability: 'strict' }])
    await store.sync()
    expect(gate.batches).toHaveLength(1)
  })

  test('without a storage everything is durable at once', async () => {
    const store = await openStore<number>()
    await store.put('a', 1, { durability: 'strict' })
    expect([store.durableRevision, await store.sync()]).toEqual([2, 2])
  })

  test('a write that changes nothing still waits for what it has seen', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.hold()
    const put = store.put('a', 1)
    await turn()
    let answered = false
    const read = store.txn({ then: [{ get: 'a' }] }).then(() => {
      answered = true
    })
    await turn()
    expect(answered).toBe(false)
    gate.lift()
    await Promise.all([put, read])
  })

  test('a signal ends the waiting, not the write', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    await store.sync()
    gate.hold()
    const controller = new AbortController()
    const put = store.put('a', 1, { signal: controller.signal })
    await turn()
    controller.abort('no patience')
    await expect(put).rejects.toBe('no patience')
    gate.lift()
    await store.sync()
    await store.close()
    expect((await openStore<number>({ storage: gate })).get('a')).toBe(1)
  })
})

describe('a storage that fails', () => {
  const full = () => Object.assign(new Error('full'), { name: 'QuotaExceededError' })
  const rows: [failure: Error, first: string, closed: number][] = [
    [new Error('gone'), 'STORAGE_LOST', 4],
    [new RevkvError('NOT_LEADER', 'deposed'), 'NOT_LEADER', 1],
  ]
  test.each(rows)('%s: who waits is told, nothing more is written, reads go on', async (failure, first, closed) => {
    const medium = memory()
    const gate = new Gate(medium)
    const store = await openStore<number>({ storage: gate })
    const errors: unknown[] = []
    store.addEventListener('error', (event) => errors.push((event.detail.error as RevkvError).code))
    await store.put('a', 1)
    gate.refusal = failure
    gate.hold()
    const taken = store.put('a', 2)
    await turn()
    const queued = store.put('a', 3)
    gate.lift()
    const codes = [await codeOf(() => taken), await codeOf(() => queued)]
    expect([codes, errors]).toEqual([[first, first], [first]])

    gate.refusal = undefined
    const batches = gate.batches.length
    for (const call of [() => store.put('a', 4), () => store.grant(5), () => store.sync(), () => store.compact(2)]) {
      expect(await codeOf(call)).toBe('STORAGE_LOST')
    }
    expect([gate.batches.length, store.get('a'), store.durableRevision]).toEqual([batches, 3, 2])
    expect([await codeOf(() => store.close()), gate.closed]).toEqual([first, closed])
    expect((await openStore<number>({ storage: medium })).get('a')).toBe(1)
  })

  // Whether the batch that failed is stored or not is found by reading.
  test.each([false, true])('once is opened again and holds everything (written: %s)', async (written) => {
    const medium = memory()
    let failing = false
    let opened = 0
    const storage = changed(medium, (handle) => {
      opened++
      return {
        write: async (batch: StorageBatch, durability: 'relaxed' | 'strict') => {
          if (!failing || written) await handle.write(batch, durability)
          if (!failing) return
          failing = false
          throw new Error('in doubt')
        },
      }
    })
    const store = await openStore<number>({ storage })
    const healed: string[] = []
    store.addEventListener('healed', (event) => healed.push(event.detail.error.code))
    const seen: number[] = []
    store.on('a', (batch) => seen.push(batch.revision))
    await store.put('a', 1)
    await store.grant(60, { id: 7n })
    failing = true
    const put = store.put('a', 2, { lease: 7n })
    await turn()
    expect(await Promise.all([put, store.put('b', 3)])).toMatchObject([{ revision: 3 }, { revision: 4 }])
    expect([healed, opened, store.durableRevision, seen]).toEqual([['STORAGE_LOST'], 2, 4, [2, 3]])
    await store.close()
    const reopened = await openStore<number>({ storage: medium })
    expect([reopened.get('a'), reopened.get('b'), reopened.revision, reopened.lease(7n)?.keys()]).toEqual([
      2,
      3,
      4,
      ['a'],
    ])
    expect(reopened.history('a')).toHaveLength(2)
  })

  test('for want of room takes back what it has not written, and goes on', async () => {
    const medium = memory()
    const gate = new Gate(medium)
    const store = await openStore<number>({ storage: gate })
    const quota: string[] = []
    store.addEventListener('quota', (event) => quota.push(event.detail.error.code))
    await store.put('a', 1)
    const ended: string[] = []
    store.on('a', () => {}, { onError: (error) => ended.push(error.code) })
    gate.refusal = full()
    const codes = [codeOf(() => store.put('a', 2)), codeOf(() => store.put('b', 2)), codeOf(() => store.sync())]
    expect(await Promise.all(codes)).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'QUOTA_EXCEEDED'])
    expect([store.get('a'), store.get('b'), quota]).toEqual([1, undefined, ['QUOTA_EXCEEDED']])
    const batches = gate.batches.length
    expect([await codeOf(() => store.put('a', 3)), gate.batches.length]).toEqual(['QUOTA_EXCEEDED', batches])
    await turn()
    expect(ended).toEqual(['RESTORED'])

    gate.refusal = undefined
    const { revision } = await store.delete('a')
    expect([revision > 3, await store.put('c', 4), store.durableRevision]).toEqual([
      true,
      { revision: revision + 1 },
      revision + 1,
    ])
    await store.close()
    const reopened = await openStore<number>({ storage: medium })
    expect(
      reopened
        .list()
        .toArray()
        .map((entry) => entry.key),
    ).toEqual(['c'])
  })

  test('while closing is told by close, if something was taken back', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate, durability: 'memory' })
    await store.put('a', 1)
    await store.sync()
    gate.refusal = full()
    await store.put('a', 2)
    expect(await codeOf(() => store.close())).toBe('QUOTA_EXCEEDED')

    gate.refusal = undefined
    const again = await openStore<number>({ storage: gate, durability: 'memory' })
    expect(again.get('a')).toBe(1)
    gate.refusal = full()
    await again.put('a', 2)
    expect(await codeOf(() => again.sync())).toBe('QUOTA_EXCEEDED')
    expect(await codeOf(() => again.close()), 'it was told of all there was').toBe('none')
  })

  test('a compaction that is taken back before it is done is told', async () => {
    let isFull = false
    const storage = changed(memory(), (handle) => ({
      write(batch: StorageBatch, durability: 'relaxed' | 'strict') {
        if (!isFull) return handle.write(batch, durability)
        isFull = false
        return Promise.reject(full())
      },
    }))
    const store = await openStore<number>({ storage })
    // So many that they are removed in more than one slice.
    const keys = Array.from({ length: 30_000 }, (_, i) => `k${i}`)
    for (let i = 0; i < 3; i++) {
      await store.putMany(
        keys.map((key) => [key, i] as const),
        { durability: 'memory' },
      )
    }
    await store.sync()
    isFull = true
    expect(await codeOf(() => store.compact(store.revision))).toBe('QUOTA_EXCEEDED')
    expect(store.compactRevision).toBe(0)
  })

  // Small pieces are joined along with whatever is written. On a full disk the join, which could wait, had every
  // deletion refused that it came with, and so there was never room again.
  test('for want of room joins nothing for a while, so that a deletion needs room for itself only', async () => {
    let room = Number.POSITIVE_INFINITY
    let joins = 0
    const storage = changed(memory(), (handle) => ({
      write: async (batch: StorageBatch, durability: 'relaxed' | 'strict') => {
        if (batch.put.reduce((total, { bytes }) => total + bytes.length, 0) > room) throw full()
        if (batch.put.length > 0 && batch.delete.length > 1) joins++
        await handle.write(batch, durability)
      },
    }))
    const store = await openStore<string>({ storage, durability: 'relaxed' })
    const value = 'x'.repeat(storage.maxBlobBytes / 10)
    for (let i = 0; i < 30; i++) {
      room = Number.POSITIVE_INFINITY
      await store.put(`k${i}`, value)
      room = 1000
      expect([i, await codeOf(() => store.put('more', value))]).toEqual([i, 'QUOTA_EXCEEDED'])
      expect([i, await codeOf(() => store.delete(`k${i}`))]).toEqual([i, 'none'])
    }
    room = Number.POSITIVE_INFINITY
    expect(joins).toBe(0)
    for (let i = 0; i < 80; i++) await store.put('small', `${i}`)
    expect(joins).toBeGreaterThan(0)
  })

  test('a lease that is due then stays: an expiry is a write', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    store.addEventListener('error', () => {})
    await store.put('a', 1, { ttlSeconds: 3 })
    gate.refusal = new Error('gone')
    const code = codeOf(() => store.put('b', 1))
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await code).toBe('STORAGE_LOST')
    await vi.advanceTimersByTimeAsync(5_000)
    expect(store.get('a')).toBe(1)
  })

  test('at the opening is told, and lets go of what was opened', async () => {
    const cause = new Error('no medium')
    const broken = Object.assign(memory(), { open: () => Promise.reject(cause) })
    await expect(openStore({ storage: broken })).rejects.toMatchObject({ code: 'STORAGE_LOST', cause })

    let closed = 0
    const unreadable = Object.assign(memory(), {
      open: async () => ({
        read: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(cause) }) }),
        write: async () => {},
        bytesUsed: async () => undefined,
        close: async () => {
          closed++
        },
      }),
    })
    await expect(openStore({ storage: unreadable })).rejects.toMatchObject({ code: 'STORAGE_LOST', cause })
    expect(closed).toBe(1)
  })

  test('damaged bytes are named, not served', async () => {
    const storage = memory()
    const store = await openStore<string>({ storage })
    await store.put('a', 'value')
    await store.close()
    const damaged = changed(storage, (handle) => ({
      async *read() {
        for await (const { id, bytes } of handle.read())
          yield { id, bytes: bytes.map((byte, i) => (i > 99 ? 0 : byte)) }
      },
    }))
    expect(await codeOf(() => openStore({ storage: damaged }))).toBe('CORRUPT')
    expect((await openStore({ storage })).get('a')).toBe('value')
  })
})

describe('a storage that gives no answer', () => {
  function fakeTime() {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
  }

  test('to a write is asked once more after a minute, and given up after another; close does not wait for it', async () => {
    const medium = memory()
    const gate = new Gate(medium)
    const store = await openStore<number>({ storage: gate })
    store.addEventListener('error', () => {})
    await store.put('a', 1)
    fakeTime()
    gate.hold()
    const codes: string[] = []
    const taken = codeOf(() => store.put('a', 2)).then((code) => codes.push(code))
    await turn()
    const queued = codeOf(() => store.put('a', 3)).then((code) => codes.push(code))
    await vi.advanceTimersByTimeAsync(110_000)
    expect(codes).toEqual([])
    await vi.advanceTimersByTimeAsync(10_000)
    await Promise.all([taken, queued])
    expect([codes, store.get('a')]).toEqual([['STORAGE_LOST', 'STORAGE_LOST'], 3])
    expect(await codeOf(() => store.put('a', 4))).toBe('STORAGE_LOST')
    await expect(store.close()).rejects.toMatchObject({ code: 'STORAGE_LOST', message: /after opening again/ })
    expect([gate.closed, vi.getTimerCount()]).toEqual([2, 0])
    // What answers at last was written, and tells nobody.
    gate.lift()
    await turn()
  })

  test('in time is waited for, and leaves no timer behind', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    fakeTime()
    gate.hold()
    const put = store.put('a', 1)
    await turn()
    await vi.advanceTimersByTimeAsync(59_000)
    gate.lift()
    expect([await put, vi.getTimerCount()]).toEqual([{ revision: 2 }, 0])
  })

  test('to an open or a close is given up too', async () => {
    fakeTime()
    const never = new Promise<void>(() => {})
    const code = codeOf(() => openStore({ storage: changed(memory(), () => ({ write: () => never })) }))
    // The first opening was waited for without an end, when all later ones were not.
    const opening = codeOf(() => openStore({ storage: { ...memory(), open: () => never as Promise<never> } }))
    const store = await openStore({ storage: changed(memory(), () => ({ close: () => never })) })
    const closed = store.close()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([await code, await opening, await closed]).toEqual(['STORAGE_LOST', 'STORAGE_LOST', undefined])
  })
})

describe('close', () => {
  test('rejects with what the storage failed with, when something was not written', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    const cause = new Error('gone')
    const heard: unknown[] = []
    store.addEventListener('error', (event) => heard.push((event.detail.error as RevkvError).cause))
    gate.refusal = cause
    await store.put('a', 1, { durability: 'memory' })
    const closing = store.close()
    await expect(closing).rejects.toMatchObject({ code: 'STORAGE_LOST', cause })
    expect(store.close()).toBe(closing)
    expect([heard, gate.closed, await codeOf(() => store.get('a'))]).toEqual([[cause], 4, 'CLOSED'])
  })

  test('rejects for what was applied when the storage had failed already, and so was never tried', async () => {
    const gate = new Gate()
    const store = await openStore<number>({ storage: gate })
    store.addEventListener('error', () => {})
    gate.refusal = new Error('gone')
    gate.hold()
    store.put('a', 1, { durability: 'memory' })
    await turn()
    const late = store.put('a', 2)
    gate.lift()
    expect([await codeOf(() => late), await codeOf(() => store.close())]).toEqual(['STORAGE_LOST', 'STORAGE_LOST'])
  })

  test.each([
    [
      'throws',
      () => ({
        close: () => {
          throw new Error('odd')
        },
      }),
    ],
    ['rejects', () => ({ close: () => Promise.reject(new Error('odd')) })],
  ])('is done though the medium %s when it is closed', async (_, change) => {
    const medium = memory()
    const store = await openStore<number>({ storage: changed(medium, change) })
    await store.put('a', 1)
    let closed = 0
    store.addEventListener('closed', () => closed++)
    await store.close()
    expect([closed, await codeOf(() => store.get('a'))]).toEqual([1, 'CLOSED'])
    expect((await openStore<number>({ storage: medium })).get('a')).toBe(1)
  })
})
