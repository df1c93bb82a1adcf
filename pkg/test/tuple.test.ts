// Tuples as keys: the bytes of a real Deno KV, the order of the parts, and back.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pack, range, type Tuple, type TuplePart, unpack } from '../src/tuple.js'
import { codeOf, openStore } from './open.js'

const seed = Number(process.env.REVKV_SEED ?? Math.floor(Math.random() * 2 ** 32))

/** mulberry32 */
function random(state: number): (bound: number) => number {
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/** A part that was written down in JSON. */
type Written = string | boolean | { bytes: number[] } | { bigint: string } | { number: string }

function read(part: Written): TuplePart {
  if (typeof part !== 'object') return part
  if ('bytes' in part) return Uint8Array.from(part.bytes)
  return 'bigint' in part ? BigInt(part.bigint) : Number(part.number)
}

/**
 * What Deno 2.9.6 has in the file of a database after `kv.set(key, …)`, in the order of its `kv.list`. Its manual has numbers
 * before bigints; its bytes, and its lists, have them behind.
 */
const written = JSON.parse(readFileSync(new URL('deno-kv-keys.json', import.meta.url), 'utf8')) as {
  key: Written[]
  bytes: string
}[]

const rank = (part: TuplePart) => ['object', 'string', 'bigint', 'number', 'boolean'].indexOf(typeof part)

/** As it is said, not as it is encoded. */
function comparePart(a: TuplePart, b: TuplePart): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string))
  if (typeof a === 'object') return Buffer.compare(a, b as Uint8Array)
  if (Object.is(a, b)) return 0
  if (Number.isNaN(a)) return 1
  if (Number.isNaN(b)) return -1
  if (a === b) return Object.is(a, -0) ? -1 : 1
  return a < b ? -1 : 1
}

function compare(a: Tuple, b: Tuple): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = comparePart(a[i] as TuplePart, b[i] as TuplePart)
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** Parts that are close to each other, so that a wrong byte shows. */
function tuples(count: number): Tuple[] {
  const below = random(seed)
  const pick = <T>(...choices: T[]) => choices[below(choices.length)] as T
  const sign = () => pick(1, -1)
  const double = () => new DataView(Uint8Array.from({ length: 8 }, () => pick(0, 255, below(256))).buffer).getFloat64(0)
  const bigint = () => {
    const bits = pick(0, 7, 8, 9, 63, 64, 65, 128, 2039, below(100))
    return BigInt(sign()) * ((1n << BigInt(bits)) + BigInt(pick(0, -1, 1, below(1000))))
  }
  const part = (): TuplePart =>
    pick<() => TuplePart>(
      () => Uint8Array.from({ length: below(4) }, () => pick(0, 1, 254, 255)),
      () =>
        Array.from({ length: below(4) }, () =>
          pick('\0', '\u0001', 'a', 'b', 'é', '\ufeff', '\uffff', '\u{10ffff}'),
        ).join(''),
      () => pick(0, -0, NaN, Infinity, -Infinity, sign() * below(300), sign() * Number.MIN_VALUE, double()),
      bigint,
      () => pick(true, false),
    )()
  return Array.from({ length: count }, () => Array.from({ length: 1 + below(3) }, part))
}

test('the bytes are those of Deno KV', () => {
  for (const { key, bytes } of written) {
    const tuple = key.map(read)
    expect(Buffer.from(pack(tuple)).toString('hex')).toBe(bytes)
    expect(unpack(Buffer.from(bytes, 'hex'))).toStrictEqual(tuple)
  }
})

test('the order is that of Deno KV', () => {
  const tuples = written.map(({ key }) => key.map(read))
  expect([...tuples].reverse().sort(compare)).toStrictEqual(tuples)
})

test(`bytes compare as the parts do, and give them back (REVKV_SEED=${seed})`, () => {
  const some = tuples(3000)
  const keys = some.map(pack)
  keys.forEach((key, i) => {
    expect(unpack(key)).toStrictEqual(some[i])
  })
  for (let i = 0; i < some.length; i++) {
    const j = (i * 7 + 1) % some.length
    const [a, b] = [some[i] as Tuple, some[j] as Tuple]
    const order = Buffer.compare(keys[i] as Uint8Array, keys[j] as Uint8Array)
    expect([order, a, b]).toStrictEqual([Math.sign(compare(a, b)), a, b])
  }
})

test(`what unpacks is what was packed (REVKV_SEED=${seed})`, () => {
  const below = random(seed)
  let unpacked = 0
  for (const tuple of tuples(2000)) {
    const key = pack(tuple)
    key[below(key.length)] = below(256)
    const garbled = key.subarray(0, key.length - below(2))
    let parts: TuplePart[]
    try {
      parts = unpack(garbled)
    } catch (e) {
      expect(e).toMatchObject({ code: 'INVALID_KEY' })
      continue
    }
    unpacked++
    expect(Buffer.compare(pack(parts), garbled)).toBe(0)
  }
  expect(unpacked).toBeGreaterThan(100)
})

test(`a range of tuples is what it says, in a store (REVKV_SEED=${seed})`, async () => {
  const store = await openStore<number>({ keys: 'bytes', durability: 'memory' })
  const some = [...tuples(400), ['a'], ['a', 1], ['a', '\0'], ['a\0'], ['a\0', 1], ['a', new Uint8Array(2)]].sort(
    compare,
  )
  const all = some.filter((tuple, i) => i === 0 || compare(tuple, some[i - 1] as Tuple) !== 0)
  for (const tuple of all) await store.put(pack(tuple), 1)
  const listed = (of: Parameters<typeof range>[0]) =>
    store
      .list(range(of), {})
      .toArray()
      .map(({ key }) => unpack(key))
  const begins = (tuple: Tuple, prefix: Tuple) =>
    tuple.length > prefix.length && compare(tuple.slice(0, prefix.length), prefix) === 0

  expect(listed({})).toStrictEqual(all)
  expect(listed({ prefix: [], start: [] })).toStrictEqual(all)
  for (const prefix of all.map((tuple) => tuple.slice(0, -1))) {
    if (prefix.length > 0) expect(listed({ prefix })).toStrictEqual(all.filter((tuple) => begins(tuple, prefix)))
  }
  expect(listed({ prefix: ['a'] })).toStrictEqual(all.filter((tuple) => begins(tuple, ['a'])))
  const below = random(seed)
  for (let i = 0; i < 200; i++) {
    const [start, end, prefix] = Array.from({ length: 3 }, () => all[below(all.length)] as Tuple) as [
      Tuple,
      Tuple,
      Tuple,
    ]
    const within = all.filter((tuple) => compare(tuple, start) >= 0 && compare(tuple, end) < 0)
    expect(listed({ start, end })).toStrictEqual(within)
    const first = prefix.slice(0, 1)
    expect(listed({ prefix: first, start })).toStrictEqual(
      all.filter((tuple) => begins(tuple, first) && compare(tuple, start) >= 0),
    )
    expect(listed({ prefix: first, start, end })).toStrictEqual(within.filter((tuple) => begins(tuple, first)))
  }
})

test.for<[string, () => unknown]>([
  ['INVALID_KEY', () => pack([])],
  ['INVALID_KEY', () => pack(['\ud800'])],
  ['INVALID_KEY', () => pack([1n << 2040n])],
  ['INVALID_KEY', () => pack([-(1n << 2040n)])],
  ['INVALID_KEY', () => range({ end: [] })],
  ['INVALID_KEY', () => range({ prefix: ['\udc00'] })],
  ['INVALID_KEY', () => unpack(new Uint8Array(0))],
  ...[
    '00',
    '03',
    '0a',
    '1e',
    '28',
    'ff',
    '02',
    '0261',
    '026100ff',
    '02ff00',
    '01',
    '21',
    '2180',
    '15',
    '1500',
    '13ff',
    '160001',
    '1c00',
  ]
    .concat([
      '1d',
      '1d08ffffffffffffffff',
      '1d0900ffffffffffffffff',
      '0bf7ffffffffffffffff',
      '0b',
      '0bf6',
      '21fff8000000000001',
    ])
    .concat(['2100000000000000ff', '2600', '2720', '14ff'])
    .map((hex): [string, () => unknown] => ['INVALID_KEY', () => unpack(Buffer.from(hex, 'hex'))]),
  ...[null, undefined, 'text', 3, {}, new Uint8Array(1), new Set(['a'])].flatMap((wrong): [string, () => unknown][] => [
    ['INVALID_ARGUMENT', () => pack(wrong as never)],
    [
      'INVALID_ARGUMENT',
      () => pack([wrong === 'text' || wrong === 3 || ArrayBuffer.isView(wrong) ? null : wrong] as never),
    ],
    ['INVALID_ARGUMENT', () => range({ prefix: wrong === undefined ? null : wrong } as never)],
  ]),
  ['INVALID_ARGUMENT', () => pack([['nested']] as never)],
  ['INVALID_ARGUMENT', () => pack([Symbol('a')] as never)],
  ['INVALID_ARGUMENT', () => pack(new Array(2) as never)],
  ['INVALID_ARGUMENT', () => pack([new Float64Array(1)] as never)],
  ['INVALID_ARGUMENT', () => range(null as never)],
  ['INVALID_ARGUMENT', () => range({ from: ['a'] } as never)],
  ['INVALID_ARGUMENT', () => unpack('text')],
  ['INVALID_ARGUMENT', () => unpack(null as never)],
])('%s: bad input %#', async ([code, call]) => {
  expect(await codeOf(call)).toBe(code)
})
