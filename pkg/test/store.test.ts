import { describe, expect, test } from 'vitest'
import { bytes, json, open, utf8 } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf, openStore, turn, wasm } from './open.js'

const textOf = (value: Uint8Array) => new TextDecoder().decode(value)

test('a list that a limit cuts short is counted when somebody looks, as of its revision', async () => {
  const store = await openStore<number>()
  await store.putMany(Array.from({ length: 20 }, (_, i) => [`k${String(i).padStart(2, '0')}`, i] as const))
  const list = store.list({ prefix: 'k' }, { limit: 5 })
  const early = store.list({ prefix: 'k' }, { limit: 5 })
  expect([list.length, list.more]).toEqual([5, true])
  await store.delete({ prefix: 'k0' })
  expect([list.count, list.count, list.length]).toEqual([20, 20, 5])
  expect(store.list({ prefix: 'k' }, { limit: 5 }).count).toBe(10)
  expect(store.list({ prefix: 'k' }, { limit: 5, revision: 2 }).count).toBe(20)
  expect(store.list({ prefix: 'k' }, { limit: 9, reverse: true }).count).toBe(10)
  expect(store.list({ prefix: 'k' }, { limit: 10 })).toMatchObject({ count: 10, more: false })
  await store.compact(store.revision)
  expect(await codeOf(() => early.count)).toBe('COMPACTED')
  expect(list.count).toBe(20)
})

describe('a key', () => {
  test('lives through puts, a delete and a new life, and every revision stays readable', async () => {
    const store = await openStore<string>()
    expect([store.name, store.role, store.revision, store.compactRevision]).toEqual(['revkv', 'alone', 1, 0])
    expect(await store.put('a', 'one')).toEqual({ revision: 2 })
    expect(await store.put('a', 'two')).toEqual({ revision: 3 })
    expect(await store.delete('a')).toEqual({ revision: 4, deleted: 1 })
    expect(await store.put('a', 'three')).toEqual({ revision: 5 })

    const at = (revision: number) => store.get('a', { revision })
    expect([at(1), at(2), at(3), at(4), at(5), at(0)]).toEqual([undefined, 'one', 'two', undefined, 'three', 'three'])
    expect(store.entry('a', { revision: 3 })?.toJSON()).toEqual({
      key: 'a',
      value: 'two',
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: '0',
    })
    expect(store.entry('a')).toMatchObject({ createRevision: 5, modRevision: 5, version: 1, lease: 0n })
    expect(store.durableRevision).toBe(5)
  })

  test('is seen before the promise of its put resolves', async () => {
    const store = await openStore()
    const put = store.put('a', 1)
    expect([store.get('a'), store.revision]).toEqual([1, 2])
    await put
  })

  test('is bytes: text means its UTF-8, in byte order', async () => {
    const store = await openStore<number>()
    const astral = '\u{10000}'
    const halfwidth = '\uff61'
    await store.put(astral, 1)
    await store.put(halfwidth, 2)
    await store.put('\ufeffmark', 3)
    expect(store.get(new TextEncoder().encode(astral))).toBe(1)
    expect(
      store
        .list()
        .toArray()
        .map((entry) => entry.key),
    ).toEqual(['\ufeffmark', halfwidth, astral])
  })

  test('comes back as bytes when asked so', async () => {
    const store = await openStore<number>({ keys: 'bytes' })
    const key = new Uint8Array([0xff, 0, 0x80])
    await store.put(key, 1)
    expect(store.entry(key)?.key).toEqual(key)
    await store.delete(key)
    expect(store.history({}).at(-1)).toEqual({ type: 'delete', key, modRevision: 3 })
  })

  test('is not changed by what the caller does to its bytes afterwards', async () => {
    const store = await openStore<Uint8Array>({ values: bytes })
    const key = Buffer.from('abc')
    const value = new Uint8Array([1, 2, 3])
    const put = store.put(key, value)
    key.fill(0)
    value.fill(0)
    await put
    expect(store.get('abc')).toEqual(new Uint8Array([1, 2, 3]))
    store.get('abc')?.fill(9)
    store.entry('abc')?.bytes.fill(9)
    expect(store.get('abc')).toEqual(new Uint8Array([1, 2, 3]))
  })
})

describe('values', () => {
  test('json keeps what JSON can say', async () => {
    const store = await openStore()
    const values = [
      null,
      0,
      -0.5,
      '',
      '\ufeff\u2028',
      [],
      { a: [{ b: null }] },
      'x'.repeat(5000),
      '\u{1f600}'.repeat(40),
    ]
    for (const value of values) {
      await store.put('v', value)
      expect(store.get('v')).toEqual(value)
    }
    const pollution = JSON.parse('{"__proto__": {"polluted": true}}')
    await store.put('v', pollution)
    expect(Object.keys(store.get('v') as object)).toEqual(['__proto__'])
    expect(({} as { polluted?: true }).polluted).toBeUndefined()
  })

  test('utf8 and bytes keep what they are given, empty included', async () => {
    const texts = await openStore({ values: utf8 })
    for (const text of ['', '\ufeffmark', 'a'.repeat(100), '\u{10ffff}\u0000']) {
      await texts.put('v', text)
      expect(texts.get('v')).toBe(text)
    }
    expect(texts.entry('v')?.bytes).toEqual(new TextEncoder().encode('\u{10ffff}\u0000'))
    const raw = await openStore({ values: bytes })
    await raw.put('v', new Uint8Array())
    expect(raw.get('v')).toEqual(new Uint8Array())
    expect(raw.get('w')).toBeUndefined()
  })

  test('a codec of the user is given bytes of its own and may use its buffer again', async () => {
    const buffer = new Uint8Array(1)
    const seen: Uint8Array[] = []
    const store = await openStore<number>({
      values: {
        name: 'byte',
        encode(value) {
          buffer[0] = value
          return buffer
        },
        decode(stored) {
          seen.push(stored)
          return stored[0] as number
        },
      },
    })
    await store.txn({ then: [{ put: ['a', 1] }, { put: ['b', 2] }] })
    expect(store.getMany(['a', 'b'])).toEqual([1, 2])
    expect(seen.map((stored) => stored.buffer.byteLength)).toEqual([1, 1])
  })

  test('a value is decoded once for each entry, and only when touched', async () => {
    let decoded = 0
    const counting = {
      ...json,
      decode(stored: Uint8Array) {
        decoded++
        return json.decode(stored)
      },
    }
    const store = await openStore({ values: counting })
    await store.put('a', 1)
    const entry = store.entry('a')
    expect([decoded, entry?.value, entry?.value, decoded]).toEqual([0, 1, 1, 1])
  })

  test('what the codec cannot read is INVALID_ARGUMENT, and the bytes can still be had', async () => {
    const storage = memory()
    const writer = await openStore({ storage, values: utf8 })
    await writer.put('a', 'no json')
    await writer.close()
    const reader = await openStore({ storage })
    expect(await codeOf(() => reader.get('a'))).toBe('INVALID_ARGUMENT')
    expect(textOf(reader.entry('a')?.bytes as Uint8Array)).toBe('no json')
  })
})

describe('list', () => {
  // c is put twice, b last: mod revisions a2 c5 d4 b6, versions 1 2 1 1.
  async function letters() {
    const store = await openStore<number>()
    await store.put('a', 9)
    await store.put('c', 1)
    await store.put('d', 7)
    await store.put('c', 3)
    await store.put('b', 5)
    return store
  }
  const keysOf = (list: Iterable<{ key: string }>) => [...list].map((entry) => entry.key).join('')

  test('ranges', async () => {
    const store = await openStore<number>()
    for (const key of ['a', 'ab', 'abc', 'b', 'b\u{10ffff}', 'c']) await store.put(key, 1)
    const rows: [Parameters<typeof store.list>[0], number][] = [
      [undefined, 6],
      [{}, 6],
      [{ prefix: '' }, 6],
      [{ prefix: 'a' }, 3],
      [{ prefix: 'ab' }, 2],
      [{ prefix: 'b' }, 2],
      [{ prefix: 'x' }, 0],
      [{ prefix: new Uint8Array([0xff]) }, 0],
      [{ start: 'ab' }, 5],
      [{ start: '' }, 6],
      [{ end: 'b' }, 3],
      [{ start: 'ab', end: 'b' }, 2],
      [{ start: 'b', end: 'b' }, 0],
      [{ start: 'c', end: 'a' }, 0],
      [{ prefix: 'a', start: 'ab' }, 2],
      [{ prefix: 'a', end: 'ab' }, 1],
      [{ prefix: 'a', start: 'b' }, 0],
      [{ prefix: 'b', end: 'a' }, 0],
    ]
    for (const [range, length] of rows) {
      expect([range, store.list(range).length, store.count(range)]).toEqual([range, length, length])
    }
    expect((await store.delete({ start: 'c', end: 'a' })).deleted).toBe(0)
    expect((await store.delete({ prefix: 'a' })).deleted).toBe(3)
    expect(store.count()).toBe(3)
    expect(store.count({}, { revision: 4 })).toBe(3)
  })

  test('a prefix whose last bytes are 0xff ends where its first other byte grows', async () => {
    const store = await openStore<number>({ keys: 'bytes' })
    const keys = [[1], [1, 0xff], [1, 0xff, 0xff, 5], [2], [0xff, 0xff], [0xff, 0xff, 1]].map(
      (key) => new Uint8Array(key),
    )
    for (const key of keys) await store.put(key, 0)
    expect(store.count({ prefix: new Uint8Array([1, 0xff]) })).toBe(2)
    expect(store.count({ prefix: new Uint8Array([0xff, 0xff]) })).toBe(2)
    expect(store.count({ prefix: new Uint8Array([1]) })).toBe(3)
  })

  test('order, limit, filters and what they leave alone', async () => {
    const store = await letters()
    expect(keysOf(store.list())).toBe('abcd')
    expect(keysOf(store.list({}, { reverse: true }))).toBe('dcba')
    expect(keysOf(store.list({}, { sortBy: 'modRevision' }))).toBe('adcb')
    expect(keysOf(store.list({}, { sortBy: 'createRevision', reverse: true }))).toBe('bdca')
    expect(keysOf(store.list({}, { sortBy: 'version' }))).toBe('abdc')
    expect(keysOf(store.list({}, { sortBy: 'value' }))).toBe('cbda')
    expect(keysOf(store.list({}, { sortBy: 'value', limit: 2 }))).toBe('cb')
    expect(keysOf(store.list({}, { minModRevision: 4, maxModRevision: 5 }))).toBe('cd')
    expect(keysOf(store.list({}, { minCreateRevision: 3, maxCreateRevision: 4 }))).toBe('cd')
    expect(keysOf(store.list({}, { revision: 3 }))).toBe('ac')

    const cut = store.list({}, { limit: 3 })
    expect([cut.length, cut.count, cut.more, cut.revision]).toEqual([3, 4, true, 6])
    expect([cut.at(-1)?.key, cut.at(3)]).toEqual(['c', undefined])
    expect(cut.at(0)).toBe([...cut][0])
    const whole = store.list({}, { limit: 4 })
    expect([whole.length, whole.more]).toEqual([4, false])
    cut.toArray().length = 0
    expect(cut.length).toBe(3)
  })

  test('keysOnly leaves the values out', async () => {
    const store = await letters()
    const entry = store.list({}, { keysOnly: true, sortBy: 'value' }).at(0)
    expect([entry?.key, entry?.value, entry?.version]).toEqual(['c', undefined, 2])
  })

  test('getMany is aligned with its keys', async () => {
    const store = await letters()
    expect(store.getMany(new Set(['c', 'x', 'a']))).toEqual([3, undefined, 9])
    expect(store.getMany(['c', 'b'], { revision: 3 })).toEqual([1, undefined])
    expect(store.getMany([])).toEqual([])
  })
})

describe('put', () => {
  test('gives what was there before, or keeps its value', async () => {
    const store = await openStore<string>()
    expect(await store.put('a', '1', { prevEntry: true })).toEqual({ revision: 2 })
    const second = await store.put('a', '2', { prevEntry: true })
    expect([second.revision, second.prevEntry?.value, second.prevEntry?.version]).toEqual([3, '1', 1])
    await store.put('a', undefined, { ignoreValue: true })
    expect(store.entry('a')).toMatchObject({ value: '2', version: 3 })
    expect(await codeOf(() => store.put('b', undefined, { ignoreValue: true }))).toBe('KEY_NOT_FOUND')
    expect(store.revision).toBe(4)
  })

  test('delete gives the entries it removed, in key order', async () => {
    const store = await openStore<string>()
    await store.put('b', '2')
    await store.put('a', '1')
    const gone = await store.delete({}, { prevEntries: true })
    expect([gone.revision, gone.deleted, gone.prevEntries?.map((entry) => entry.value)]).toEqual([4, 2, ['1', '2']])
    expect(await store.delete('a', { prevEntries: true })).toEqual({ revision: 4, deleted: 0, prevEntries: [] })
  })
})

describe('txn', () => {
  test('takes one branch, in one revision, and answers each operation', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    await store.put('gone', 1)
    const result = await store.txn({
      if: [
        { key: 'a', version: 1 },
        { key: 'absent', createRevision: 0 },
      ],
      then: [
        { put: ['a', 2], prevEntry: true },
        { delete: 'gone', prevEntries: true },
        { get: 'a' },
        { get: 'absent' },
        { get: 'a', revision: 2 },
        { list: {}, options: { keysOnly: true } },
        { txn: { if: [{ key: 'a', value: 7 }], then: [{ put: ['b', 0] }], else: [{ put: ['c', 3] }] } },
      ],
      else: [{ put: ['never', 1] }],
    })
    expect([result.ok, result.revision, store.revision]).toEqual([true, 4, 4])
    expect(result.results).toHaveLength(7)
    const [put, gone, now, absent, before, list, nested] = result.results as [
      { put: { prevEntry: { value: number } } },
      { delete: { deleted: number; prevEntries: unknown[] } },
      { get: { value: number } },
      { get: undefined },
      { get: { value: number } },
      { list: { length: number; at(i: number): { value: unknown } } },
      { txn: { ok: boolean; results: unknown[] } },
    ]
    expect([put.put.prevEntry.value, gone.delete.deleted, gone.delete.prevEntries.length]).toEqual([1, 1, 1])
    expect([now.get.value, absent.get, before.get.value, list.list.length]).toEqual([2, undefined, 1, 1])
    expect(list.list.at(0).value).toBeUndefined()
    expect([nested.txn.ok, nested.txn.results]).toEqual([false, [{ put: { revision: 4 } }]])
    expect(
      store
        .list()
        .toArray()
        .map((entry) => [entry.key, entry.value]),
    ).toEqual([
      ['a', 2],
      ['c', 3],
    ])
  })

  test('compares', async () => {
    const store = await openStore<number>()
    const lease = await store.grant(100, { id: 7n })
    await store.put('a', 1)
    await store.put('a', 2, { lease })
    await store.put('b', 5)
    type Compares = NonNullable<Parameters<typeof store.txn>[0]['if']>
    const rows: [Compares, boolean][] = [
      [[], true],
      [[{ key: 'a', value: 2 }], true],
      [[{ key: 'a', value: 2, is: '!=' }], false],
      [[{ key: 'a', value: 3, is: '<' }], true],
      [[{ key: 'x', value: 3, is: '!=' }], false],
      [[{ key: 'a', version: 2 }], true],
      [[{ key: 'a', version: 1, is: '>' }], true],
      [
        [
          { key: 'a', createRevision: 2 },
          { key: 'a', modRevision: 3 },
        ],
        true,
      ],
      [[{ key: 'a', lease: 7n }], true],
      [[{ key: 'b', lease: 0n }], true],
      [[{ key: 'x', version: 0 }], true],
      [[{ key: 'a', end: 'c', version: 0, is: '>' }], true],
      [[{ key: 'a', end: 'c', version: 2 }], false],
      [[{ key: 'b', end: '\0', version: 1 }], true],
      [[{ key: 'a', end: '\0', version: 1 }], false],
      [[{ key: 'a', end: new Uint8Array([0]), modRevision: 5, is: '<' }], true],
    ]
    for (const [compares, ok] of rows) {
      expect([compares, (await store.txn({ if: compares })).ok]).toEqual([compares, ok])
    }
    expect(store.revision).toBe(4)
  })

  test('an error in it applies nothing', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    const twice = { then: [{ put: ['b', 1] as [string, number] }, { put: ['b', 2] as [string, number] }] }
    expect(await codeOf(() => store.txn(twice))).toBe('DUPLICATE_KEY')
    const late = { then: [{ put: ['b', 1] as [string, number] }, { get: 'a', revision: 9 }] }
    expect(await codeOf(() => store.txn(late))).toBe('FUTURE_REVISION')
    const many = { then: Array.from({ length: 129 }, (_, i) => ({ put: [`k${i}`, i] as [string, number] })) }
    expect(await codeOf(() => store.txn(many))).toBe('TOO_MANY_OPERATIONS')
    expect([store.revision, store.count()]).toEqual([2, 1])
  })

  test('nesting without end is refused, not followed', async () => {
    const store = await openStore()
    const endless: { then: unknown[] } = { then: [] }
    endless.then.push({ txn: endless })
    expect(await codeOf(() => store.txn(endless as Parameters<typeof store.txn>[0]))).toBe('TOO_MANY_OPERATIONS')
  })

  test('an object in very many places is not walked as often', async () => {
    let encoded = 0
    const counting = {
      ...utf8,
      encode(value: string) {
        encoded++
        return utf8.encode(value)
      },
    }
    const store = await openStore<string>({ values: counting })
    type Request = Parameters<typeof store.txn>[0]
    const doubled = (innermost: Request, depth: number) => {
      let request = innermost
      for (let i = 0; i < depth; i++) request = { then: [{ txn: request }, { txn: request }] }
      return request
    }
    const small = doubled({ if: [{ key: 'a', value: 'x' }], then: [{ put: ['a', 'x'] }] }, 100)
    expect(await codeOf(() => store.txn(small))).toBe('TOO_MANY_OPERATIONS')
    expect(encoded).toBeLessThan(100_000)
    encoded = 0
    expect(await codeOf(() => store.txn(doubled({ then: [{ put: ['a', 'x'.repeat(2 ** 20)] }] }, 12)))).toBe(
      'TOO_LARGE',
    )
    expect(encoded).toBeLessThan(100)
  })
})

describe('history', () => {
  test('tells every kept change of a target, deletions included', async () => {
    const store = await openStore<number>()
    await store.put('a', 1)
    await store.put('b', 2)
    await store.delete({})
    await store.put('a', 3)
    const told = (changes: ReturnType<typeof store.history>) =>
      changes.map((change) =>
        change.type === 'put' ? `${change.entry.key}=${change.entry.value}` : `-${change.key}@${change.modRevision}`,
      )
    expect(told(store.history({}))).toEqual(['a=1', 'b=2', '-a@4', '-b@4', 'a=3'])
    expect(told(store.history('a'))).toEqual(['a=1', '-a@4', 'a=3'])
    expect(told(store.history({}, { from: 3, to: 4 }))).toEqual(['b=2', '-a@4', '-b@4'])
    expect(told(store.history({}, { limit: 2 }))).toEqual(['a=1', 'b=2'])
    expect(told(store.history({ start: 'b', end: 'a' }))).toEqual([])
    expect(store.history({}, { from: store.revision + 1 })).toEqual([])
    expect(await codeOf(() => store.history({}, { from: store.revision + 2 }))).toBe('FUTURE_REVISION')
    await store.compact(4)
    expect(await codeOf(() => store.history({}, { from: 3 }))).toBe('COMPACTED')
    expect(told(store.history({})).at(-1)).toBe('a=3')
  })
})

describe('compact', () => {
  test('forgets what was before, and says so', async () => {
    const store = await openStore<number>({ storage: memory() })
    const told: number[] = []
    store.addEventListener('compacted', (event) => told.push(event.detail.revision))
    for (let i = 0; i < 10; i++) await store.put('a', i)
    await store.compact(8)
    expect([store.compactRevision, store.get('a', { revision: 8 }), store.get('a'), told]).toEqual([8, 6, 9, [8]])
    const error = await store.compact(8).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'COMPACTED', revision: 8, compactRevision: 8, retryable: false })
    expect(await codeOf(() => store.get('a', { revision: 7 }))).toBe('COMPACTED')
    expect(await codeOf(() => store.compact(12))).toBe('FUTURE_REVISION')
  })

  test('gives the storage its room back', async () => {
    const storage = memory()
    const store = await openStore<string>({ storage })
    for (let i = 0; i < 200; i++) await store.put('a', `${i}`.repeat(500))
    const handle = await storage.open('revkv')
    const before = (await handle.bytesUsed()) as number
    await store.compact(store.revision)
    expect((await handle.bytesUsed()) as number).toBeLessThan(before / 20)
    await store.close()
    const again = await openStore<string>({ storage })
    expect([again.revision, again.compactRevision, again.get('a')]).toEqual([201, 201, '199'.repeat(500)])
  })
})

describe('reopening', () => {
  test('finds everything: revisions, history, leases and the compaction', async () => {
    const storage = memory()
    const first = await openStore<number>({ storage })
    await first.put('a', 1)
    await first.put('a', 2)
    await first.delete('a')
    await first.put('big/\u{1f600}', 3, { lease: await first.grant(1000, { id: -5n }) })
    await first.compact(3)
    await first.close()

    const second = await openStore<number>({ storage })
    expect([second.revision, second.durableRevision, second.compactRevision]).toEqual([5, 5, 3])
    expect([second.get('a'), second.get('a', { revision: 3 }), second.get('big/\u{1f600}')]).toEqual([undefined, 2, 3])
    expect([second.leases(), second.lease(-5n)?.keys()]).toEqual([[-5n], ['big/\u{1f600}']])
    expect(await second.put('a', 4)).toEqual({ revision: 6 })
    expect(second.entry('a')?.createRevision).toBe(6)
  })

  test('databases of one medium do not mix', async () => {
    const storage = memory()
    const one = await openStore<number>({ storage, name: 'one' })
    const two = await openStore<number>({ storage, name: 'two' })
    await one.put('a', 1)
    expect([two.get('a'), two.revision, two.name]).toEqual([undefined, 1, 'two'])
  })

  test('several stores are open at once', async () => {
    const stores = await Promise.all([openStore<number>(), openStore<number>(), openStore<number>()])
    await Promise.all(stores.map((store, i) => store.put('a', i)))
    expect(stores.map((store) => store.get('a'))).toEqual([0, 1, 2])
  })

  test('what was written without waiting is kept by close', async () => {
    const storage = memory()
    const store = await openStore<number>({ storage, durability: 'memory' })
    const puts = [store.put('a', 1), store.put('b', 2)]
    await store.close()
    await Promise.all(puts)
    expect((await openStore<number>({ storage })).getMany(['a', 'b'])).toEqual([1, 2])
  })
})

describe('close', () => {
  test('may be called twice, and then everything is CLOSED', async () => {
    const store = await openStore<number>()
    const lease = await store.grant(100)
    let closed = 0
    store.addEventListener('closed', () => closed++)
    await Promise.all([store.close(), store.close()])
    await store.close()
    expect(closed).toBe(1)
    const calls: (() => unknown)[] = [
      () => store.get('a'),
      () => store.entry('a'),
      () => store.getMany(['a']),
      () => store.getMany([]),
      () => store.list(),
      () => store.count(),
      () => store.history({}),
      () => store.put('a', 1),
      () => store.delete('a'),
      () => store.txn({}),
      () => store.compact(1),
      () => store.sync(),
      () => store.watch('a'),
      () => store.on('a', () => {}),
      () => store.grant(1),
      () => store.lease(1n),
      () => store.leases(),
      () => lease.remaining(),
      () => lease.keys(),
      () => lease.keepAlive(),
      () => lease.revoke(),
      () => store.revision,
    ]
    for (const call of calls) expect([String(call), await codeOf(call)]).toEqual([String(call), 'CLOSED'])
    expect(store.name).toBe('revkv')
  })

  test('is what leaving a scope does', async () => {
    const store = await open({ wasm })
    await store[Symbol.asyncDispose]()
    expect(await codeOf(() => store.get('a'))).toBe('CLOSED')
  })

  test('waits for a compaction that nobody waits for', async () => {
    const storage = memory()
    const store = await openStore<number>({ storage })
    for (let i = 0; i < 50; i++) store.put(`k${i}`, i)
    const compacted = store.compact(40)
    await store.close()
    await compacted
    expect((await openStore<number>({ storage })).compactRevision).toBe(40)
  })
})

describe('a signal', () => {
  test('aborted before: nothing is done, and its reason comes back', async () => {
    const store = await openStore<number>()
    const signal = AbortSignal.abort('no longer needed')
    await expect(store.put('a', 1, { signal })).rejects.toBe('no longer needed')
    await expect(store.delete({}, { signal })).rejects.toBe('no longer needed')
    await expect(store.txn({ then: [{ put: ['a', 1] }] }, { signal })).rejects.toBe('no longer needed')
    await expect(store.sync({ signal })).rejects.toBe('no longer needed')
    await expect(open({ wasm, signal })).rejects.toBe('no longer needed')
    await turn()
    expect(store.revision).toBe(1)
  })

  test.each(['memory', 'strict'] as const)('aborted while the codec runs: rejects (%s)', async (durability) => {
    const controller = new AbortController()
    const aborting = {
      ...utf8,
      encode(value: string) {
        controller.abort('enough')
        return utf8.encode(value)
      },
    }
    const store = await openStore<string>({ storage: memory(), values: aborting })
    await expect(store.put('a', 'b', { signal: controller.signal, durability })).rejects.toBe('enough')
    expect(store.get('a')).toBe('b')
  })
})
