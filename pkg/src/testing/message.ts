// Protobuf messages as the gateway's JSON has them: names with underscores or in camel case, int64 as text or number, bytes
// as base64, enums by name or number; what is 0, false or empty is absent.

import { fromBase64 } from '../etcd/base64.js'
import { Status } from './status.js'

/** A number of so many digits may be more than a double keeps; as text it is read exactly. Texts are passed over. */
const textsAndLongNumbers = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g

export class Message {
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields
  }

  static parse(text: string): Message {
    if (text.trim() === '') return new Message({})
    let value: unknown
    try {
      value = JSON.parse(text.replace(textsAndLongNumbers, (token) => (token[0] === '"' ? token : `"${token}"`)))
    } catch (e) {
      throw new Status('INVALID_ARGUMENT', `invalid JSON: ${e instanceof Error ? e.message : e}`)
    }
    return new Message(record(value, 'request'))
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined
  }

  bytes(name: string): Uint8Array {
    const value = this.#value(name) ?? ''
    if (typeof value !== 'string') throw malformed(name, 'base64')
    // Up to etcd 3.5 the gateway reads one alphabet, with all its padding.
    const isWhole = value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value)
    if (!isWhole) throw malformed(name, 'base64')
    return fromBase64(value)
  }

  text(name: string): string {
    const value = this.#value(name) ?? ''
    if (typeof value !== 'string') throw malformed(name, 'text')
    return value
  }

  int64(name: string): bigint {
    const value = this.#value(name) ?? 0
    const isInteger = typeof value === 'number' ? Number.isSafeInteger(value) : /^-?(0|[1-9]\d*)$/.test(String(value))
    const number = isInteger ? BigInt(value as string | number) : undefined
    if (number === undefined || BigInt.asIntN(64, number) !== number) throw malformed(name, 'a 64-bit integer')
    return number
  }

  flag(name: string): boolean {
    const value = this.#value(name) ?? false
    if (typeof value !== 'boolean') throw malformed(name, 'true or false')
    return value
  }

  /** An enum, whose numbers are the places in `names`. */
  option<T extends string>(name: string, names: readonly T[]): T {
    const value = this.#value(name) ?? 0
    const found = typeof value === 'number' ? names[value] : names.find((other) => other === value)
    if (!found) throw new Status('INVALID_ARGUMENT', `unknown value "${value}" for enum ${name}`)
    return found
  }

  options<T extends string>(name: string, names: readonly T[]): T[] {
    return this.#list(name).map((value) => new Message({ [name]: value }).option(name, names))
  }

  message(name: string): Message | undefined {
    const value = this.#value(name)
    return value === undefined ? undefined : new Message(record(value, name))
  }

  messages(name: string): Message[] {
    return this.#list(name).map((value) => new Message(record(value, name)))
  }

  #list(name: string): unknown[] {
    const value = this.#value(name) ?? []
    if (!Array.isArray(value)) throw malformed(name, 'a list')
    return value
  }

  #value(name: string): unknown {
    const camelCase = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
    const field = [name, camelCase].find((field) => Object.hasOwn(this.#fields, field))
    return (field === undefined ? undefined : this.#fields[field]) ?? undefined
  }
}

/** Without what is 0, false or empty, as protobuf's JSON leaves it out; numbers of 64 bits come as bigint, and go as text. */
export function present(fields: Record<string, unknown>): Record<string, unknown> {
  const given = Object.entries(fields).filter(([, value]) => {
    if (Array.isArray(value)) return value.length > 0
    return value !== undefined && value !== '' && value !== false && value !== 0 && value !== 0n
  })
  return Object.fromEntries(given.map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]))
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(name, 'an object')
  return value as Record<string, unknown>
}

function malformed(name: string, expected: string): Status {
  return new Status('INVALID_ARGUMENT', `${name}: expected ${expected}`)
}
