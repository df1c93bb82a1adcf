// Keys of 20 bytes, values of 100, and chance that a seed repeats.
import type { Document, Entry, Form, Peer, Plain, Value } from './peer.js'

export const keyBytes = 20
export const valueBytes = 100

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'

/** A source of numbers in [0, 2^32): mulberry32. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  below(bound: number): number {
    return this.next() % bound
  }

  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items]
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.below(last + 1)
      const item = shuffled[last] as T
      shuffled[last] = shuffled[other] as T
      shuffled[other] = item
    }
    return shuffled
  }
}

/** `user/0000012345/name`: keys ascend with their numbers. */
export function keyOf(n: number): string {
  return `user/${String(n).padStart(10, '0')}/name`
}

export function numberOf(key: string): number {
  return Number(key.slice(5, 15))
}

/** Shared by the 1,000 keys from `n` on, a multiple of 1,000. */
export function prefixOf(n: number): string {
  return keyOf(n).slice(0, 12)
}

/** What `version` of a key holds. Text that no compression helps with much, so that it says little of compression. */
export function valueAt(peer: Pick<Peer, 'plain'>, form: Form, n: number, version = 0): Value {
  const random = new Random(n * 31 + version)
  if (form === 'document') return documentOf(n, random)
  const text = textOf(valueBytes, random)
  return peer.plain === 'text' ? text : Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}

/** Exactly 100 bytes as JSON. */
function documentOf(n: number, random: Random): Document {
  const frame = JSON.stringify({ n, text: '' }).length
  return { n, text: textOf(valueBytes - frame, random) }
}

function textOf(length: number, random: Random): string {
  let text = ''
  for (let left = length; left > 0; left -= 5) {
    let bits = random.next()
    for (let i = 0; i < Math.min(5, left); i++, bits >>>= 6) text += letters[bits & 63]
  }
  return text
}

/** All entries, in random order: nobody writes in the order of the keys. */
export function entriesOf(peer: Pick<Peer, 'plain'>, form: Form, count: number, seed: number): Entry[] {
  const numbers = Array.from({ length: count }, (_, n) => n)
  return new Random(seed).shuffle(numbers).map((n) => ({ key: keyOf(n), value: valueAt(peer, form, n) }))
}

export function isDocument(value: Value): value is Document {
  return typeof value === 'object' && 'text' in value
}

export function isEqual(found: Value | undefined, expected: Value): boolean {
  if (found === undefined) return false
  if (isDocument(expected)) return isDocument(found) && found.n === expected.n && found.text === expected.text
  return plainText(found as Plain) === plainText(expected as Plain)
}

function plainText(value: Plain): string {
  return typeof value === 'string' ? value : String.fromCharCode(...value)
}
