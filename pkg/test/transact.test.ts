import { describe, expect, test } from 'vitest'
import { RevkvError, type StorageBatch, type Store, type Transaction } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, openStore, turn } from './open.js'

const keysOf = (view: Pick<Store<number>, 'list'>) =>
  view
    .list()
    .toArray()
    .map((entry) => `${entry.key}=${entry.value}`)
    .join(' ')

/** Opens a store with `a`=1 and `b`=2, at revision 2. */
async function openPair(): Promise<Store<number>> {
  const store = await openStore<number>()
  await store.putMany([
    ['a', 1],
    ['b', 2],
  ])
  return store
}

describe('a transaction', () => {
  test('commits all of it in one revision, and gives what its body gives', async () => {
    const store = await openPair()
    const sum = await store.transact((tx) => {
      const [a = 0, b = 0] = tx.getMany(['a', 'b'])
      tx.put('sum', a + b)
      tx.delete('a')
      return a + b
    })
    expect([sum, store.revision, keysOf(store)]).toEqual([3, 3, 'b=2 sum=3'])
    expect(store.history({}, { from: 3 }).map((change) => change.type)).toEqual(['delete', 'put'])
  })

  test('may await, while others write what it does not read', async () => {
    const store = await openPair()
    let runs = 0
    await store.transact(async (tx) => {
      runs++
      const a = tx.get('a') ?? 0
      await store.put('other', 5)
      tx.put('a', a + 1)
    })
    expect([runs, keysOf(store)]).toEqual([1, 'a=2 b=2 other=5'])
  })

  test('that writes nothing makes no revision, and never conflicts', async () => {
    const store = await openPair()
    const read = await store.transact(async (tx) => {
      const a = tx.get('a')
      await store.put('a', 9)
      return [a, tx.get('a'), tx.revision]
    })
    expect([read, store.revision]).toEqual([[1, 1, 2], 3])
  })

  test('loses no increment of many at once', async () => {
    const store = await openPair()
    const increment = () =>
      store.transact(
        async (tx) => {
          const a = tx.get('a') ?? 0
          await turn()
          tx.put('a', a + 1)
        },
        { retries: 100 },
      )
    await Promise.all(Array.from({ length: 20 }, increment))
    expect(store.get('a')).toBe(21)
  })
})

describe('what was read decides', () => {
  type Read = (tx: Transaction<number>) => unknown
  const reads: Record<string, Read> = {
    'a key': (tx) => tx.get('a'),
    'an entry': (tx) => tx.entry('a'),
    'several keys': (tx) => tx.getMany(['b', 'a']),
    'an absent key': (tx) => tx.get('new'),
    'a list': (tx) => tx.list({ prefix: 'a' }),
    'a list of nothing': (tx) => tx.list({ prefix: 'n' }),
    'a list with a limit': (tx) => tx.list({}, { limit: 1, reverse: true }),
    'a count': (tx) => tx.count({ start: 'a', end: 'b' }),
    'nothing in a range turned round': (tx) => tx.list({ start: 'z', end: 'a' }),
    'its own write': (tx) => {
      tx.put('a', 5)
      return tx.get('a')
    },
    'what it has deleted': (tx) => {
      tx.delete({ prefix: 'a' })
      return [tx.get('a'), tx.entry('a')]
    },
  }
  const writes: Record<string, [write: (store: Store<number>) => Promise<unknown>, conflicting: string[]]> = {
    'a put': [
      (store) => store.put('a', 7),
      ['a key', 'an entry', 'several keys', 'a list', 'a list with a limit', 'a count'],
    ],
    'a delete': [
      (store) => store.delete('a'),
      ['a key', 'an entry', 'several keys', 'a list', 'a list with a limit', 'a count'],
    ],
    'a new key': [(store) => store.put('new', 7), ['an absent key', 'a list of nothing', 'a list with a limit']],
    'another key': [(store) => store.put('x', 7), ['a list with a limit']],
    'what is put as it was': [(store) => store.restoreTo({}, 2), []],
  }
  for (const [read, reading] of Object.entries(reads)) {
    for (const [write, [writing, conflicting]] of Object.entries(writes)) {
      const conflict = conflicting.includes(read)
      test(`${read}, then ${write} by another: ${conflict ? 'runs again' : 'commits'}`, async () => {
        const store = await openPair()
        let runs = 0
        await store.transact(async (tx) => {
          reading(tx)
          if (runs++ === 0) await writing(store)
          tx.put('done', runs)
        })
        expect([runs, store.get('done')]).toEqual(conflict ? [2, 2] : [1, 1])
      })
    }
  }

  test('compaction in between hides nothing', async () => {
    const store = await openPair()
    let runs = 0
    await store.transact(async (tx) => {
      tx.list({ prefix: 'a' })
      if (runs++ === 0) {
        await store.delete('a')
        await store.put('x', 1)
        await store.compact(store.revision)
      }
      tx.put('done', runs)
    })
    expect([runs, store.get('done')]).toEqual([2, 2])
  })
})

test('runs again when the content is replaced under it', async () => {
  const store = await openPair()
  const backup = await store.backup().bytes()
  await store.put('a', 5)
  const snapshot = store.snapshot()
  const bodies: ((tx: Transaction<number>, restore: () => Promise<void>) => Promise<void>)[] = [
    async (tx, restore) => {
      const a = tx.get('a') ?? 0
      await restore()
      tx.put('a', a + (tx.get('b') ?? 0))
    },
    async (tx, restore) => {
      await restore()
      tx.put('a', 3)
    },
    async (tx, restore) => {
      tx.put('a', (tx.get('a') ?? 0) + 2)
      await restore()
    },
  ]
  for (const body of bodies) {
    let runs = 0
    await store.transact((tx) => body(tx, async () => void (runs++ === 0 && (await store.restore(backup)))))
    expect([String(body), runs, store.get('a')]).toEqual([String(body), 2, 3])
  }
  expect(await codeOf(() => snapshot.get('a'))).toBe('RESTORED')
  const held = store.snapshot()
  snapshot[Symbol.dispose]()
  await store.put('a', 9)
  await store.compact(store.revision)
  expect(held.get('a')).toBe(3)
})

describe('out of retries', () => {
  test.each([0, 1, 3])('after %i it is CONFLICT, and nothing is written', async (retries) => {
    const store = await openPair()
    let runs = 0
    const conflicting = store.transact(
      async (tx) => {
        tx.get('a')
        await store.put('a', ++runs)
        tx.put('b', 0, { ttlSeconds: 60 })
      },
      { retries },
    )
    await expect(conflicting).rejects.toMatchObject({ code: 'CONFLICT', retryable: true })
    expect([runs, store.get('b'), store.leases()]).toEqual([retries + 1, 2, []])
  })

  test("a CONFLICT of the body itself is the body's own failure", async () => {
    const store = await openPair()
    let runs = 0
    const outer = store.transact(async (tx) => {
      runs++
      tx.put('c', 1)
      await store.transact(
        async (inner) => {
          inner.get('a')
          await store.put('a', 9)
          inner.put('b', 1)
        },
        { retries: 0 },
      )
    })
    expect(await codeOf(() => outer)).toBe('CONFLICT')
    expect([runs, store.get('c')]).toEqual([1, undefined])
  })
})

describe('its body', () => {
  test('leaves no trace when it throws', async () => {
    const store = await openPair()
    const failure = new Error('no')
    for (const body of [
      (tx: Transaction<number>) => {
        tx.put('a', 9)
        throw failure
      },
      async (tx: Transaction<number>) => {
        tx.put('a', 9)
        await turn()
        throw failure
      },
    ]) {
      await expect(store.transact(body)).rejects.toBe(failure)
      expect([store.revision, keysOf(store)]).toEqual([2, 'a=1 b=2'])
    }
  })

  test('whose write is refused fails whole', async () => {
    const store = await openPair()
    const code = (body: (tx: Transaction<number>) => unknown) => codeOf(() => store.transact(body))
    expect(await code((tx) => [tx.put('c', 1), tx.put('d', 1, { lease: 5n })])).toBe('LEASE_NOT_FOUND')
    expect(await code((tx) => [tx.put('c', 1), tx.put('', 1)])).toBe('INVALID_KEY')
    expect(await code((tx) => tx.put('x', undefined, { ignoreValue: true }))).toBe('KEY_NOT_FOUND')
    expect(await code((tx) => [tx.delete('a'), tx.put('a', 1, { ignoreLease: true })])).toBe('KEY_NOT_FOUND')
    expect(await code((tx) => tx.put('a', 1, { ignoreValue: true } as object))).toBe('VALUE_PROVIDED')
    expect(await code((tx) => tx.put('a', 1, { ignoreLease: true, lease: 5n }))).toBe('LEASE_PROVIDED')
    expect([store.revision, keysOf(store)]).toEqual([2, 'a=1 b=2'])
  })

  test('that is aborted ends at once, and can do nothing more', async () => {
    const store = await openPair()
    const controller = new AbortController()
    let late: Transaction<number> | undefined
    const aborted = store.transact(
      (tx) => {
        late = tx
        tx.put('a', 9)
        return new Promise(() => {})
      },
      { signal: controller.signal },
    )
    controller.abort('enough')
    await expect(aborted).rejects.toBe('enough')
    for (const use of [() => late?.get('a'), () => late?.put('a', 1), () => late?.delete('a'), () => late?.list()]) {
      expect(await codeOf(use)).toBe('CLOSED')
    }
    await expect(store.transact(() => 1, { signal: controller.signal })).rejects.toBe('enough')
    expect(store.revision).toBe(2)
  })

  test('is CLOSED out when the store closes under it', async () => {
    const store = await openPair()
    const code = codeOf(() =>
      store.transact(async (tx) => {
        tx.put('a', 9)
        await store.close()
      }),
    )
    expect(await code).toBe('CLOSED')
  })

  test('holds its revision only while it runs', async () => {
    const store = await openPair()
    await store.transact(async (tx) => {
      tx.get('a')
      await store.put('a', 3)
      await store.compact(3)
      expect([tx.get('a'), keysOf(tx)]).toEqual([1, 'a=1 b=2'])
    })
    expect(() => store.get('a', { revision: 2 })).toThrow(expect.objectContaining({ code: 'COMPACTED' }))
  })
})

describe('reads see what it has written', () => {
  test('as if it were committed on what it reads', async () => {
    const store = await openPair()
    await store.transact((tx) => {
      tx.put('a', 10)
      tx.put('c', 30)
      expect([tx.get('a'), tx.get('c'), tx.getMany(['b', 'c'])]).toEqual([10, 30, [2, 30]])
      expect(tx.entry('a')).toMatchObject({ key: 'a', value: 10, createRevision: 2, modRevision: 3, version: 2 })
      expect(tx.entry('c')).toMatchObject({ key: 'c', createRevision: 3, modRevision: 3, version: 1, lease: 0n })
      expect([keysOf(tx), tx.count(), tx.count({ start: 'c' })]).toEqual(['a=10 b=2 c=30', 3, 1])
      tx.delete({ start: 'b' })
      expect([keysOf(tx), tx.get('c'), tx.entry('b'), tx.count()]).toEqual(['a=10', undefined, undefined, 1])
      tx.put('b', 20)
      expect([keysOf(tx), tx.entry('b')?.version]).toEqual(['a=10 b=20', 1])
      tx.delete('x')
      tx.put('b', 21)
      expect([keysOf(tx), tx.entry('b')?.createRevision]).toEqual(['a=10 b=21', 3])
    })
    expect(keysOf(store)).toBe('a=10 b=21')
    expect(store.entry('a')).toMatchObject({ createRevision: 2, modRevision: 3, version: 2 })
    expect(store.entry('b')).toMatchObject({ createRevision: 3, modRevision: 3, version: 1 })
  })

  test('in every order, and with every filter, as the store lists it after', async () => {
    const store = await openStore<number>()
    for (const [key, value] of [
      ['a', 3],
      ['b', 1],
      ['c', 2],
      ['b', 5],
      ['d', 1],
      ['\uff61', 4],
      ['\u{10000}', 4],
    ] as const) {
      await store.put(key, value)
    }
    const sorts = ['key', 'version', 'createRevision', 'modRevision', 'value'] as const
    const filters = [
      {},
      { minModRevision: 4 },
      { maxModRevision: 5 },
      { minCreateRevision: 3 },
      { maxCreateRevision: 4 },
    ]
    const rows = sorts.flatMap((sortBy) =>
      filters.flatMap((filter) =>
        [false, true].flatMap((reverse) => [0, 2].map((limit) => ({ sortBy, reverse, limit, ...filter }))),
      ),
    )
    const shown = (view: Pick<Store<number>, 'list'>) =>
      rows.map((row) => {
        const list = view.list({}, row)
        return [row, JSON.stringify(list.toArray()), list.count, list.more]
      })
    const keysOnly = (view: Pick<Store<number>, 'list'>) =>
      JSON.stringify(
        view
          .list({ prefix: 'a' }, { keysOnly: true })
          .toArray()
          .map((entry) => [entry, entry.bytes.length]),
      )
    const inside = await store.transact((tx) => {
      tx.put('b', 9)
      tx.put('a', 0)
      tx.delete('c')
      tx.put('e', 7)
      return [shown(tx), keysOnly(tx)]
    })
    expect(inside).toEqual([shown(store), keysOnly(store)])
  })

  test('of values that are anything, and of keys that are no text', async () => {
    const store = await openStore<unknown>({ keys: 'bytes' })
    const key = new Uint8Array([0xff, 0, 1])
    await store.transact((tx) => {
      const value = { deep: [1] }
      tx.put(key, value)
      value.deep.push(2)
      expect([tx.get(key), tx.list().at(0)?.key]).toEqual([{ deep: [1] }, key])
    })
    expect(store.get(key)).toEqual({ deep: [1] })
  })

  test('and what it keeps is what will be there', async () => {
    const store = await openPair()
    const lease = await store.grant(60)
    await store.put('a', 1, { lease })
    await store.transact((tx) => {
      tx.put('a', 2, { ignoreLease: true })
      expect(tx.entry('a')?.lease).toBe(lease.id)
      tx.put('b', undefined, { ignoreValue: true, lease })
      expect(tx.get('b')).toBe(2)
      tx.put('c', 3, { ttlSeconds: 60 })
      tx.put('c', 4, { ignoreLease: true })
    })
    expect([lease.keys(), store.get('a'), store.get('b'), store.get('c')]).toEqual([['a', 'b'], 2, 2, 4])
    expect(store.lease(store.entry('c')?.lease as bigint)?.keys()).toEqual(['c'])
  })
})

test('waits until it is as durable as asked', async () => {
  const store = await openPair()
  await store.transact((tx) => tx.put('a', 5), { durability: 'strict' })
  expect(store.durableRevision).toBe(3)
  expect(await codeOf(() => store.transact(() => {}, { durability: 'none' } as object))).toBe('INVALID_ARGUMENT')
})

test('is not told to be written when a full storage has it taken back, at whichever moment', async () => {
  const outcomes = new Set<string>()
  for (let moment = 0; moment < 60; moment++) {
    let isFull = false
    const storage = changed(memory(), (handle) => ({
      write(batch: StorageBatch, durability: 'relaxed' | 'strict') {
        if (!isFull) return handle.write(batch, durability)
        isFull = false
        return Promise.reject(new RevkvError('QUOTA_EXCEEDED', 'full'))
      },
    }))
    const store = await openStore<number>({ storage })
    isFull = true
    const put = codeOf(() => store.put('a', 1))
    const code = await codeOf(() =>
      store.transact(async (tx) => {
        for (let i = 0; i < moment; i++) await undefined
        tx.put('b', 1)
      }),
    )
    expect(await put).toBe('QUOTA_EXCEEDED')
    expect([moment, code, store.get('b')]).toEqual([moment, code, code === 'none' ? 1 : undefined])
    outcomes.add(code)
    await store.close()
  }
  expect([...outcomes]).toContain('QUOTA_EXCEEDED')
})

test('a thousand keys read and written are one revision', async () => {
  const store = await openPair()
  const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`)
  await store.transact((tx) => {
    for (const key of keys) tx.put(key, (tx.get(key) ?? 0) + 1)
  })
  expect([store.count({ prefix: 'k' }), store.revision]).toEqual([1000, 3])
})
