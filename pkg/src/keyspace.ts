// Where a store's keys lie: everywhere, or behind a prefix that its users never see. Keys and ranges are checked here, and
// what comes out is the bytes the engine knows them by.

import { describe, isPlain, record } from './arguments.js'
import { copyBytes, encodeText, isBytes, isWellFormed } from './codecs.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { KeyRange } from './wire.js'

const none = new Uint8Array(0)

export class Keyspace {
  readonly prefix: Uint8Array
  /** The first key behind all of its keys. */
  readonly #end: Uint8Array | undefined

  constructor(prefix: Uint8Array = none) {
    this.prefix = prefix
    this.#end = endOfPrefix(prefix)
  }

  /** The keys of this one that begin so. An empty prefix is all of them. */
  below(prefix: unknown): Keyspace {
    return new Keyspace(this.#bytes(prefix, 'prefix'))
  }

  holds(key: Uint8Array): boolean {
    return this.prefix.every((byte, i) => key[i] === byte)
  }

  /** The bytes of a key that names something, so it may not be empty. */
  key(value: unknown, name = 'key'): Uint8Array {
    const encoded = this.#bytes(value, name)
    if (encoded.length === this.prefix.length) throw new RevkvError('INVALID_KEY', `${name}: may not be empty.`)
    return encoded
  }

  /** A key or a range of keys. */
  target(value: unknown): KeyRange {
    return typeof value === 'string' || isBytes(value) ? { key: this.key(value) } : this.range(value)
  }

  /** What to delete. A range that names bounds without a value is not taken for the range of everything. */
  deletion(value: unknown): KeyRange {
    const bounds = isPlain(value) ? Object.values(value) : []
    if (bounds.length > 0 && bounds.every((bound) => bound === undefined)) {
      throw invalidArgument('range: its bounds are undefined; everything is {}.')
    }
    return this.target(value)
  }

  range(value: unknown): KeyRange {
    const given = record(value, ['prefix', 'start', 'end'], 'range')
    const prefix = given.prefix === undefined ? this.prefix : this.#bytes(given.prefix, 'prefix')
    let start = given.start === undefined ? this.prefix : this.#bytes(given.start, 'start')
    let end = given.end === undefined ? this.#end : this.key(given.end, 'end')
    if (prefix.length > this.prefix.length) {
      const prefixEnd = endOfPrefix(prefix)
      if (compareBytes(start, prefix) < 0) start = prefix
      if (prefixEnd && (!end || compareBytes(prefixEnd, end) < 0)) end = prefixEnd
    }
    return end ? { start, end } : { start }
  }

  /** The keys a compare is about: one, those in [key, end), or with an end of "\0" all from key on. */
  compareKeys(first: unknown, end: unknown): KeyRange {
    const start = this.key(first)
    if (end === undefined) return { key: start }
    const bound = this.key(end, 'end')
    const open = bound.length === this.prefix.length + 1 && bound.at(-1) === 0
    if (!open) return { start, end: bound }
    return this.#end ? { start, end: this.#end } : { start }
  }

  #bytes(value: unknown, name: string): Uint8Array {
    const encoded = keyBytes(value, name)
    if (this.prefix.length === 0) return encoded
    const whole = new Uint8Array(this.prefix.length + encoded.length)
    whole.set(this.prefix)
    whole.set(encoded, this.prefix.length)
    return whole
  }
}

function keyBytes(value: unknown, name: string): Uint8Array {
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw new RevkvError('INVALID_KEY', `${name}: may not contain a lone surrogate.`)
    return encodeText(value)
  }
  if (isBytes(value)) return copyBytes(value)
  throw invalidArgument(`${name}: expected a string or a Uint8Array, got ${describe(value)}.`)
}

/** The first key after all keys with the prefix: its last byte below 0xff plus one. None when every byte is 0xff. */
function endOfPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  const end = prefix.slice(0, length)
  end[length - 1] = (end[length - 1] as number) + 1
  return end
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** A key as text of which each unit is one of its bytes: it names the key in a map, and sorts as the bytes do. */
export function keyName(key: Uint8Array): string {
  let name = ''
  for (const byte of key) name += String.fromCharCode(byte)
  return name
}

/**
 * Some keys and ranges of keys, each once, without ranges that hold no key. One key in many is found at once; of ranges there are few, and each is asked.
 */
export class KeySet {
  readonly #keys = new Map<string, KeyRange>()
  readonly #ranges = new Map<string, { keys: KeyRange; first: string; end: string | undefined }>()

  get size(): number {
    return this.#keys.size + this.#ranges.size
  }

  add(keys: KeyRange): void {
    if ('key' in keys) {
      this.#keys.set(keyName(keys.key), keys)
      return
    }
    const [first, end] = [keyName(keys.start), keys.end && keyName(keys.end)]
    if (end !== undefined && first >= end) return
    // The length says where the one ends and the other begins.
    this.#ranges.set(`${first.length}:${first}${end ?? ''}`, { keys, first, end })
  }

  has(name: string): boolean {
    if (this.#keys.has(name)) return true
    for (const { first, end } of this.#ranges.values()) {
      if (first <= name && (end === undefined || name < end)) return true
    }
    return false
  }

  /** Each under a name of its own. */
  *entries(): Iterable<[name: string, keys: KeyRange]> {
    for (const [name, keys] of this.#keys) yield [`=${name}`, keys]
    for (const [name, { keys }] of this.#ranges) yield [name, keys]
  }

  toArray(): KeyRange[] {
    return [...this.#keys.values(), ...Array.from(this.#ranges.values(), ({ keys }) => keys)]
  }
}

/** The narrowest range that all of `keys` lie in. There has to be one. */
export function spanOf(keys: KeyRange[]): KeyRange {
  const starts = keys.map((each) => ('key' in each ? each.key : each.start))
  const start = starts.reduce((a, b) => (compareBytes(a, b) <= 0 ? a : b))
  let end: Uint8Array = none
  for (const each of keys) {
    const bound = 'key' in each ? new Uint8Array([...each.key, 0]) : each.end
    if (!bound) return { start }
    if (compareBytes(end, bound) < 0) end = bound
  }
  return { start, end }
}
