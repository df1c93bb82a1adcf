// Every argument is checked once, at the edge: what comes out is numbers and known words. (Keys: keyspace.ts.)

import { invalidArgument, RevkvError } from './errors.js'
import type { Durability } from './types.js'

/** A caller's record, its own properties only, each one known by name. */
export type Given = Readonly<Record<string, unknown>>

const nothing: Given = Object.freeze(Object.create(null) as Given)

/**
 * Copies the named properties of an options object. A name that is not known is refused, so that a misspelt or not yet
 * supported option is never quietly without effect. Inherited properties do not count, and the copy has no prototype.
 */
export function options(input: unknown, names: readonly string[], what: string): Given {
  return input === undefined ? nothing : record(input, names, what)
}

export function record(input: unknown, names: readonly string[], what: string): Given {
  if (!isPlain(input)) throw invalidArgument(`${what}: expected a plain object, got ${describe(input)}.`)
  const given: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(input)) {
    if (!names.includes(name)) throw invalidArgument(`${what}: there is no option "${name}".`)
    given[name] = (input as Record<string, unknown>)[name]
  }
  return given
}

/**
 * Written as `{}`, in whichever realm. What a class makes is refused: a buffer, or a promise that nobody awaited, has no
 * names of its own, and a range without names is everything.
 */
export function isPlain(input: unknown): input is object {
  if (typeof input !== 'object' || input === null) return false
  const prototype: unknown = Object.getPrototypeOf(input)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

export function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw invalidArgument(`${name}: expected true or false, got ${describe(value)}.`)
  return value
}

/** A revision, limit or count: 0 to 2^53-1, and 0 when absent. */
export function natural(value: unknown, name: string): number {
  return value === undefined ? 0 : integer(value, name)
}

/** The same, not to be left out. */
export function integer(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalidArgument(`${name}: expected an integer from 0 to 2^53-1, got ${describe(value)}.`)
  }
  return value as number
}

export function oneOf<T extends string>(value: unknown, choices: readonly T[], name: string): T | undefined {
  if (value === undefined) return undefined
  if (!choices.includes(value as T)) {
    throw invalidArgument(`${name}: expected one of ${choices.join(', ')}, got ${describe(value)}.`)
  }
  return value as T
}

export function durability(value: unknown): Durability | undefined {
  return oneOf(value, ['memory', 'relaxed', 'strict'], 'durability')
}

export function abortSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined
  const signal = value as AbortSignal | null
  if (typeof signal !== 'object' || signal === null || typeof signal.aborted !== 'boolean') {
    throw invalidArgument(`signal: expected an AbortSignal, got ${describe(value)}.`)
  }
  return signal
}

export function callback(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgument(`${name}: expected a function, got ${describe(value)}.`)
}

/** A copy, in which holes are undefined and a subclass's methods are gone. */
export function list(value: unknown, name: string, lengthMax: number): unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalidArgument(`${name}: expected an array, got ${describe(value)}.`)
  if (value.length > lengthMax) throw new RevkvError('TOO_MANY_OPERATIONS', 'The request has too many operations.')
  return Array.from({ length: value.length }, (_, i) => value[i] as unknown)
}

/** All of an iterable at once: what its code writes while it runs is before the call it was given to. */
export function iterable(value: unknown, name: string): unknown[] {
  const iterator = (value as Iterable<unknown> | null | undefined)?.[Symbol.iterator]
  if (typeof value === 'string' || typeof iterator !== 'function') {
    throw invalidArgument(`${name}: expected an array or another iterable, got ${describe(value)}.`)
  }
  return Array.from(value as Iterable<unknown>)
}

/** etcd's bound; beyond it a deadline in milliseconds would leave the exact integers. */
const ttlSecondsMax = 9_000_000_000

export function ttlSeconds(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > ttlSecondsMax) {
    throw invalidArgument(`ttlSeconds: expected an integer from 1 to ${ttlSecondsMax}, got ${describe(value)}.`)
  }
  return value as number
}

/** A lease by itself or by its id; 0n when absent. */
export function leaseId(value: unknown, name = 'lease'): bigint {
  if (value === undefined) return 0n
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : value
  if (typeof id !== 'bigint' || BigInt.asIntN(64, id) !== id) {
    throw invalidArgument(`${name}: expected a Lease or a 64-bit bigint, got ${describe(value)}.`)
  }
  return id
}

/** Short and safe to print: a user's object is named by its type only. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}
