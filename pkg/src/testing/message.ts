// Requests as grpc-gateway reads JSON into protobuf's messages, and answers as it writes them: int64 as text, bytes as
// base64, what is zero or empty left out, names as in the .proto files or in camel case, names that are not known passed over.

import { Status } from './status.js'

/** Beyond this gRPC takes no message. */
const messageBytesMax = 2 * 1024 * 1024

/** What the messages of one request may still hold, in bytes of keys and values. */
interface Budget {
  bytes: number
}

/** The fields of one message. A field that is null is one that is not there. */
export class Message {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #budget: Budget

  constructor(json: unknown, budget: Budget = { bytes: 0 }) {
    if (typeof (json ?? {}) !== 'object' || Array.isArray(json)) {
      throw Status.invalid(`json: cannot unmarshal ${kindOf(json)} into Go value of type map[string]json.RawMessage`)
    }
    this.#fields = (json ?? {}) as Record<string, unknown>
    this.#budget = budget
  }

  has(name: string): boolean {
    return this.#field(name) !== undefined
  }

  int64(name: string): bigint {
    const field = this.#field(name)
    if (field === undefined) return 0n
    const isInteger = typeof field === 'string' ? /^-?(0|[1-9]\d*)$/.test(field) : Number.isSafeInteger(field)
    const value = isInteger ? BigInt(field as string | number) : undefined
    if (value === undefined || BigInt.asIntN(64, value) !== value) {
      throw mismatch(field, 'int64')
    }
    return value
  }

  bytes(name: string): Uint8Array {
    const field = this.#field(name)
    if (field === undefined) return new Uint8Array(0)
    if (typeof field !== 'string') throw mismatch(field, '[]uint8')
    const bytes = fromBase64(field)
    this.#budget.bytes += bytes.length
    if (this.#budget.bytes > messageBytesMax) {
      throw new Status(8, `grpc: received message larger than max (${this.#budget.bytes} vs. ${messageBytesMax})`)
    }
    return bytes
  }

  flag(name: string): boolean {
    const field = this.#field(name) ?? false
    if (typeof field !== 'boolean') throw mismatch(field, 'bool')
    return field
  }

  /** The number of an enum's word; a number as it is. */
  choice(name: string, words: readonly string[]): number {
    return this.#choice(this.#field(name) ?? 0, name, words)
  }

  choices(name: string, words: readonly string[]): number[] {
    return this.#list(name).map((item) => this.#choice(item, name, words))
  }

  message(name: string): Message {
    return new Message(this.#field(name), this.#budget)
  }

  messages(name: string): Message[] {
    return this.#list(name).map((item) => new Message(item, this.#budget))
  }

  #choice(field: unknown, name: string, words: readonly string[]): number {
    const number = typeof field === 'string' ? words.indexOf(field) : Number.isSafeInteger(field) ? Number(field) : -1
    if (number < 0) throw Status.invalid(`unknown value ${JSON.stringify(JSON.stringify(field))} for enum ${name}`)
    return number
  }

  #list(name: string): unknown[] {
    const field = this.#field(name) ?? []
    if (!Array.isArray(field)) throw mismatch(field, '[]json.RawMessage')
    return field
  }

  #field(name: string): unknown {
    for (const key of [name, camelCase(name)]) {
      if (Object.hasOwn(this.#fields, key)) return this.#fields[key] ?? undefined
    }
    return undefined
  }
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function mismatch(field: unknown, type: string): Status {
  return Status.invalid(`json: cannot unmarshal ${kindOf(field)} into Go value of type ${type}`)
}

function kindOf(json: unknown): string {
  if (Array.isArray(json)) return 'array'
  if (typeof json === 'number') return `number ${json}`
  return typeof json === 'boolean' ? 'bool' : typeof json
}

// Fields of answers. What is undefined is left out of the JSON.

export function int64(value: number | bigint): string | undefined {
  return value ? String(value) : undefined
}

export function bytes(value: Uint8Array): string | undefined {
  return value.length > 0 ? toBase64(value) : undefined
}

export function flag(value: boolean): true | undefined {
  return value || undefined
}

export function list<T>(items: T[]): T[] | undefined {
  return items.length > 0 ? items : undefined
}

/** As Go's decoder, which `atob` is not: with all its padding, and without blanks. */
function fromBase64(text: string): Uint8Array {
  const plain = text.replace(/[\r\n]/g, '')
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) {
    const at = plain.search(/[^A-Za-z0-9+/]/)
    throw Status.invalid(`illegal base64 data at input byte ${at < 0 ? plain.length : at}`)
  }
  return Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0))
}

/** So many arguments a call may have on every platform. */
const argumentsMax = 8192

export function toBase64(value: Uint8Array): string {
  let letters = ''
  for (let i = 0; i < value.length; i += argumentsMax) {
    letters += String.fromCharCode(...value.subarray(i, i + argumentsMax))
  }
  return btoa(letters)
}
