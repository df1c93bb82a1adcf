// How often each verb was called, how often it failed, and how long it took.
//
// Every call and every failure is counted. One call in 32, the first included, is timed, into a histogram of fixed size: a
// call that is not timed pays for a counter, one that is for two looks at the clock. A clock that is coarse, as browsers
// make theirs, shows what is below its step as 0.

import type { OperationStats } from './types.js'

const names = [
  'get',
  'entry',
  'getMany',
  'list',
  'count',
  'history',
  'diff',
  'snapshot',
  'put',
  'putMany',
  'delete',
  'compareAndSet',
  'txn',
  'transact',
  'restoreTo',
  'compact',
  'sync',
  'grant',
  'keepAlive',
  'revoke',
  'backup',
  'restore',
  'changes',
  'applyChanges',
  'hash',
] as const

/** One in so many calls is timed; a power of two. */
const timedOneIn = 32

/** Buckets for a doubling: so what is told is at most 9 % off. */
const bucketsPerOctave = 4
/** The first bucket that counts ends at 2^-7 us; the last begins at about two hours. */
const octaves = 40
const octaveMin = -7

export class Operation {
  count = 0
  errors = 0
  /** How many timed calls took as long as each bucket says. Made by the first. */
  #histogram: Uint32Array | undefined

  /** Counts a call. Gives when it began, if it is one to be timed, else 0. */
  begin(): number {
    return (this.count++ & (timedOneIn - 1)) === 0 ? performance.now() : 0
  }

  /** What `begin` gave, at the end of a call that is timed. */
  end(began: number): void {
    const us = (performance.now() - began) * 1000
    this.#histogram ??= new Uint32Array(octaves * bucketsPerOctave)
    const bucket = us > 0 ? Math.ceil((Math.log2(us) - octaveMin) * bucketsPerOctave) : 0
    const place = Math.min(Math.max(bucket, 0), this.#histogram.length - 1)
    this.#histogram[place] = (this.#histogram[place] as number) + 1
  }

  stats(): OperationStats {
    return { count: this.count, errors: this.errors, p50Us: this.#quantile(0.5), p99Us: this.#quantile(0.99) }
  }

  /** The middle of the bucket in which that part of the timed calls is reached. */
  #quantile(part: number): number {
    const histogram = this.#histogram ?? new Uint32Array()
    const timed = histogram.reduce((sum, calls) => sum + calls, 0)
    let left = Math.ceil(timed * part)
    const bucket = histogram.findIndex((calls) => (left -= calls) <= 0)
    return bucket <= 0 ? 0 : 2 ** ((bucket - 0.5) / bucketsPerOctave + octaveMin)
  }
}

export type OperationName = (typeof names)[number]
export type Operations = Readonly<Record<OperationName, Operation>>

export function newOperations(): Operations {
  return Object.fromEntries(names.map((name) => [name, new Operation()])) as Operations
}

/** Of the operations that were called. */
export function statsOf(operations: Operations): Record<string, OperationStats> {
  const called = Object.entries(operations).filter(([, operation]) => operation.count > 0)
  return Object.fromEntries(called.map(([name, operation]) => [name, operation.stats()]))
}
