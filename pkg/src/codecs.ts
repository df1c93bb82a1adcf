// The built-in codecs, and text as UTF-8 bytes.

import { invalidArgument } from './errors.js'
import type { Codec } from './types.js'

/** Any JSON value. `undefined` and what JSON cannot say are refused, not dropped. */
export const json: Codec<unknown> = {
  name: 'json',
  encode(value) {
    const text: string | undefined = JSON.stringify(value)
    if (text === undefined) throw new TypeError(`JSON has no form for ${typeof value}`)
    return encodeText(text)
  },
  decode: (bytes) => JSON.parse(decodeText(bytes, 0, bytes.length, true)),
}

/** Well-formed text as UTF-8. */
export const utf8: Codec<string> = {
  name: 'utf8',
  encode(value) {
    if (typeof value !== 'string') throw new TypeError(`expected a string, got ${typeof value}`)
    if (!isWellFormed(value)) throw new TypeError('a lone surrogate has no UTF-8 form')
    return encodeText(value)
  },
  decode: (bytes) => decodeText(bytes, 0, bytes.length, true),
}

/** The bytes themselves. */
export const bytes: Codec<Uint8Array> = {
  name: 'bytes',
  encode(value) {
    if (!isBytes(value)) throw new TypeError(`expected a Uint8Array, got ${typeof value}`)
    return value
  },
  decode: (stored) => stored,
}

/** Encodes with the codec, its failure told as the caller's. */
export function encodeValue<V>(codec: Codec<V>, value: V): Uint8Array {
  let encoded: unknown
  try {
    encoded = codec.encode(value)
  } catch (cause) {
    throw invalidArgument(`The codec "${codec.name}" refused the value.`, cause)
  }
  if (!isBytes(encoded)) throw invalidArgument(`The codec "${codec.name}" did not give a Uint8Array.`)
  // A codec of the user's may use its buffer again for the next value of the same transaction.
  return isText(codec) ? encoded : copyBytes(encoded)
}

/**
 * Decodes the stored bytes source[start..end], which stay as they are only for now: a codec that could keep them has a copy.
 * `run` is what they may lie in with others.
 */
export function decodeValue<V>(codec: Codec<V>, source: Uint8Array, start: number, end: number, run?: TextRun): V {
  try {
    if (!isText(codec)) return codec.decode(source.slice(start, end))
    const text = run?.text(start, end) ?? decodeText(source, start, end, true)
    return (codec as object) === json ? JSON.parse(text) : (text as V)
  } catch (cause) {
    throw invalidArgument(`The stored value is not one the codec "${codec.name}" can read.`, cause)
  }
}

/** Beyond this a run is closed: a text that is kept keeps no more of its neighbours alive. */
const runBytesMax = 16 << 10

/** Texts that lie side by side. Where all is ASCII they are cut out of one string, which a call into the platform makes. */
export class TextRun {
  readonly #source: Uint8Array
  readonly #start: number
  #end: number
  /** null: there is more than ASCII. */
  #text: string | null | undefined
  #isTouched = false

  constructor(source: Uint8Array, start: number, end: number) {
    this.#source = source
    this.#start = start
    this.#end = end
  }

  /** Makes what ends there a part of it, unless it has grown too long. */
  takes(end: number): boolean {
    if (end - this.#start > runBytesMax) return false
    this.#end = end
    return true
  }

  /** Text of source[start..end]; undefined: it has to be decoded by itself. So has the first, which may be the only one. */
  text(start: number, end: number): string | undefined {
    if (!this.#isTouched) {
      this.#isTouched = true
      return undefined
    }
    if (this.#text === undefined) this.#text = this.#decode()
    return this.#text?.slice(start - this.#start, end - this.#start)
  }

  #decode(): string | null {
    try {
      const text = decodeText(this.#source, this.#start, this.#end, true)
      return text.length === this.#end - this.#start ? text : null
    } catch {
      return null
    }
  }
}

function isText(codec: object): boolean {
  return codec === json || codec === utf8
}

/** The platform's own getter, which no subclass can answer for. */
const typeOfArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get

/** True for a Uint8Array of any realm, a Node Buffer included. */
export function isBytes(value: unknown): value is Uint8Array {
  return typeOfArray?.call(value) === 'Uint8Array'
}

/** A plain Uint8Array of its own. (Not by `slice`: a Node Buffer's shares its memory, and a subclass's is anything.) */
export function copyBytes(value: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(value)
  } catch (cause) {
    throw invalidArgument('The bytes are gone: their buffer was transferred.', cause)
  }
}

/** False when the text has a lone surrogate, which UTF-8 cannot say. */
export function isWellFormed(text: string): boolean {
  const known = text as string & { isWellFormed?: () => boolean }
  return known.isWellFormed ? known.isWellFormed() : !/\p{Surrogate}/u.test(text)
}

/** Up to here a loop over ASCII beats the call into the platform's coder. */
const shortText = 32

let encoder: TextEncoder | undefined
let lenient: TextDecoder | undefined
let strict: TextDecoder | undefined

export function encodeText(text: string): Uint8Array {
  if (text.length <= shortText) {
    const ascii = new Uint8Array(text.length)
    let i = 0
    for (; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) break
      ascii[i] = unit
    }
    if (i === text.length) return ascii
  }
  encoder ??= new TextEncoder()
  return encoder.encode(text)
}

/** Text of source[start..end]. A byte order mark is text like any other. What is not UTF-8 throws, or with `fatal` false becomes U+FFFD. */
export function decodeText(source: Uint8Array, start: number, end: number, fatal: boolean): string {
  if (end - start <= shortText) {
    let text = ''
    let i = start
    for (; i < end; i++) {
      const unit = source[i] as number
      if (unit > 127) break
      text += String.fromCharCode(unit)
    }
    if (i === end) return text
  }
  const part = source.subarray(start, end)
  if (!fatal) return (lenient ??= new TextDecoder('utf-8', { ignoreBOM: true })).decode(part)
  return (strict ??= new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })).decode(part)
}
