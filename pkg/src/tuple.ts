// Keys made of parts, whose bytes are in the order of the parts. The bytes are those of Deno KV, which are FoundationDB's
// tuples: a code for the type, then the part, in a form that compares as it does.
//
//   bytes     01, the bytes with each 00 as 00 ff, 00
//   string    02, its UTF-8 in the same way, 00
//   bigint    14 for 0; 14 + n, or 14 - n below 0, and the n bytes of its size, inverted below 0; past 8 bytes 1d and n,
//             or 0b and n inverted
//   number    21, the double's 8 bytes: below 0 inverted, else with the sign bit set
//   boolean   26 for false, 27 for true
//
// No part's bytes begin another's of the same type, so the parts that follow decide only where all before are the same.

import * as args from './arguments.js'
import { copyBytes, decodeText, encodeText, isBytes, isWellFormed } from './codecs.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { Key, Range } from './types.js'

/** One part of a tuple. Types are in this order: Uint8Array, string, bigint, number, boolean. */
export type TuplePart = Uint8Array | string | number | bigint | boolean

/** A key as parts: first by the first part, then by the second; a tuple is before those that it begins. */
export type Tuple = readonly TuplePart[]

const code = { bytes: 0x01, text: 0x02, below: 0x0b, zero: 0x14, above: 0x1d, number: 0x21, false: 0x26, true: 0x27 }

/** Of a bigint, as the number of them is a byte. */
const sizeMax = 255

/**
 * The key of a tuple: byte for byte that of Deno KV. Within a type the order is: bytes and strings (as UTF-8) by their bytes;
 * bigints by size; numbers by size, with -0 before 0 and NaN last; false before true. A bigint is before every number, which
 * Deno's manual has the other way round, but not its database.
 *
 * Errors: `INVALID_KEY` for a tuple without parts, a string with a lone surrogate and a bigint of more than 255 bytes;
 * `INVALID_ARGUMENT` for what is no part.
 *
 * @example
 * await store.put(pack(['score', 12.5, 'ada']), { name: 'Ada' })
 * store.get(pack(['score', 12.5, 'ada']))
 */
export function pack(tuple: Tuple): Uint8Array {
  const key = packParts(tuple, 'tuple')
  if (key.length === 0) throw invalidKey('tuple: has no parts.')
  return key
}

/**
 * The tuple that a key was packed from; the store has to be opened with `keys: 'bytes'`, as text cannot hold every key.
 * It takes only what `pack` gives: anything else is `INVALID_KEY`.
 *
 * @example
 * const store = await open({ keys: 'bytes' })
 * for (const entry of store.list(range({ prefix: ['score'] }))) show(unpack(entry.key), entry.value)
 */
export function unpack(key: Key): TuplePart[] {
  if (!isBytes(key)) throw invalidArgument('key: expected a Uint8Array, which a store opened with keys: "bytes" gives.')
  const source = new Source(copyBytes(key))
  const parts = [source.part()]
  while (!source.atEnd) parts.push(source.part())
  return parts
}

/**
 * A range of tuples: those in [start, end), and of these, when `prefix` is given, those that begin with its parts and have
 * more. (The tuple `prefix` itself is not in it, as in Deno KV.) An empty `prefix` or `start` is the same as none.
 * Errors: those of `pack`, `INVALID_KEY` for an empty `end`.
 *
 * @example
 * store.list(range({ prefix: ['score'], start: ['score', 10] })) // 10 and more
 */
export function range(of: { prefix?: Tuple; start?: Tuple; end?: Tuple }): Range {
  const given = args.record(of, ['prefix', 'start', 'end'], 'range')
  const bounds: { start?: Uint8Array; end?: Uint8Array } = {}
  if (given.start !== undefined) bounds.start = packParts(given.start, 'start')
  if (given.end !== undefined) bounds.end = pack(given.end as Tuple)
  if (given.prefix === undefined) return bounds
  const prefix = packParts(given.prefix, 'prefix')
  if (prefix.length === 0) return bounds
  // Not every key with the prefix's bytes has its parts: after "a" comes ff where the part is "a\0". No part begins with it,
  // nor with 00.
  const [first, end] = [0x00, 0xff].map((byte) => Uint8Array.of(...prefix, byte)) as [Uint8Array, Uint8Array]
  if (!bounds.start || isBefore(bounds.start, first)) bounds.start = first
  if (!bounds.end || isBefore(end, bounds.end)) bounds.end = end
  return bounds
}

/** In the order of keys. */
function isBefore(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number)
  }
  return a.length < b.length
}

function packParts(tuple: unknown, name: string): Uint8Array {
  if (!Array.isArray(tuple)) throw invalidArgument(`${name}: expected an array of parts.`)
  const bytes: number[] = []
  for (let i = 0; i < tuple.length; i++) packPart(tuple[i], bytes, `${name}[${i}]`)
  return Uint8Array.from(bytes)
}

function packPart(part: unknown, into: number[], name: string): void {
  switch (typeof part) {
    case 'string':
      if (!isWellFormed(part)) throw invalidKey(`${name}: may not contain a lone surrogate.`)
      return packEscaped(code.text, encodeText(part), into)
    case 'bigint':
      return packBigInt(part, into, name)
    case 'number':
      into.push(code.number, ...packNumber(part))
      return
    case 'boolean':
      into.push(part ? code.true : code.false)
      return
    default:
      if (!isBytes(part)) throw invalidArgument(`${name}: expected a Uint8Array, string, number, bigint or boolean.`)
      return packEscaped(code.bytes, copyBytes(part), into)
  }
}

function packEscaped(type: number, bytes: Uint8Array, into: number[]): void {
  into.push(type)
  for (const byte of bytes) {
    into.push(byte)
    if (byte === 0) into.push(0xff)
  }
  into.push(0)
}

function packBigInt(value: bigint, into: number[], name: string): void {
  if (value === 0n) {
    into.push(code.zero)
    return
  }
  const digits = (value < 0n ? -value : value).toString(16)
  const size = Math.ceil(digits.length / 2)
  if (size > sizeMax) throw invalidKey(`${name}: a bigint may have ${sizeMax} bytes.`)
  const flip = value < 0n ? 0xff : 0
  if (size <= 8) into.push(value < 0n ? code.zero - size : code.zero + size)
  else into.push(value < 0n ? code.below : code.above, size ^ flip)
  const even = digits.padStart(2 * size, '0')
  for (let i = 0; i < size; i++) into.push(Number.parseInt(even.slice(2 * i, 2 * i + 2), 16) ^ flip)
}

/** Every NaN is this one. Deno has another for those with the sign bit, which no program can see, and platforms set as they like. */
const nan = [0xff, 0xf8, 0, 0, 0, 0, 0, 0]

function packNumber(value: number): number[] {
  if (Number.isNaN(value)) return nan
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  const negative = view.getUint8(0) >= 0x80
  return Array.from(new Uint8Array(view.buffer), (byte, i) => (negative ? byte ^ 0xff : i === 0 ? byte | 0x80 : byte))
}

/** A key, and how much of it has been read. */
class Source {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  part(): TuplePart {
    const type = this.#byte()
    if (type === code.bytes) return this.#escaped()
    if (type === code.text) return text(this.#escaped())
    if (type === code.number) return this.#number()
    if (type === code.false || type === code.true) return type === code.true
    if (type >= code.below && type <= code.above) return this.#bigint(type)
    throw noTuple()
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw noTuple()
    return byte
  }

  #take(size: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + size)
    if (taken.length < size) throw noTuple()
    this.#at += size
    return taken
  }

  #escaped(): Uint8Array {
    const bytes: number[] = []
    for (;;) {
      const byte = this.#byte()
      if (byte === 0) {
        if (this.#bytes[this.#at] !== 0xff) return Uint8Array.from(bytes)
        this.#at++
      }
      bytes.push(byte)
    }
  }

  #number(): number {
    const taken = this.#take(8)
    const flip = (taken[0] as number) >= 0x80 ? 0 : 0xff
    const bytes = Uint8Array.from(taken, (byte, i) => (flip ? byte ^ flip : i === 0 ? byte & 0x7f : byte))
    const value = new DataView(bytes.buffer).getFloat64(0)
    if (Number.isNaN(value) && taken.some((byte, i) => byte !== nan[i])) throw noTuple()
    return value
  }

  #bigint(type: number): bigint {
    const flip = type < code.zero ? 0xff : 0
    const long = type === code.below || type === code.above
    const size = long ? this.#byte() ^ flip : Math.abs(type - code.zero)
    if (long && size <= 8) throw noTuple()
    const bytes = Array.from(this.#take(size), (byte) => byte ^ flip)
    if (size > 0 && bytes[0] === 0) throw noTuple()
    const value = BigInt(`0x0${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`)
    return flip ? -value : value
  }
}

function text(bytes: Uint8Array): string {
  try {
    return decodeText(bytes, 0, bytes.length, true)
  } catch {
    throw noTuple()
  }
}

function noTuple(): RevkvError {
  return invalidKey('key: is not one that a tuple was packed into.')
}

function invalidKey(message: string): RevkvError {
  return new RevkvError('INVALID_KEY', message)
}
