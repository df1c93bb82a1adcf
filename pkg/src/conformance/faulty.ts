// An adapter that does what a plan says in place of what it was asked: for tests of whoever stands on a storage.

import { RevkvError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'
import { Random } from './random.js'

/** What browsers and systems have been seen to fail with. */
export const faultNames = [
  'QuotaExceededError',
  'DataError',
  'UnknownError',
  'AbortError',
  'InvalidStateError',
  'NoModificationAllowedError',
  'NotReadableError',
  'EIO',
  'ENOSPC',
] as const

/** One of `faultNames`. */
export type FaultName = (typeof faultNames)[number]

/** The calls of an adapter and its handles. They are counted each by itself, over all handles. */
export type Call = 'open' | 'read' | 'write' | 'bytesUsed' | 'close'

/** What goes wrong, and when. */
export interface Fault {
  call: Call
  /** The first call that is hit; 1 is the first of all. */
  at: number
  /** Whether every later one is hit, too. */
  forever?: boolean
  /**
   * - `refuse`: nothing is done, and it fails with `error`;
   * - `fail-after`: it is done, and fails with `error` all the same;
   * - `delay`: it is done `ms` later;
   * - `hang`: nothing is done, and there is never an answer;
   * - `lose`: nothing is done, and it says that it was. For writes only: no store can stand that, but one can notice.
   */
  does: 'refuse' | 'fail-after' | 'delay' | 'hang' | 'lose'
  /** UnknownError, if nothing else is said. */
  error?: FaultName
  /** 10, if nothing else is said. */
  ms?: number
}

/** All that goes wrong with one adapter. */
export interface FaultPlan {
  faults?: Fault[]
  /**
   * Relaxed batches stay in the air until a strict one or `close`. Opening a database whose last handle was not closed is
   * what comes after a crash: that handle is dead, and of its batches in the air only the first few have arrived, how many
   * the seed decides.
   */
  tear?: boolean
  /** For what is left to chance; 0 if nothing else is said. The same plan does the same each time. */
  seed?: number
}

/**
 * The same adapter, failing as the plan says. With an empty plan it is the adapter.
 *
 * @example
 * // The third write and all that follow find the disk full.
 * const full: Fault = { call: 'write', at: 3, forever: true, does: 'refuse', error: 'ENOSPC' }
 * const store = await open({ storage: faultyStorage(memory(), { faults: [full] }) })
 */
export function faultyStorage(adapter: StorageAdapter, plan: FaultPlan = {}): StorageAdapter {
  const script = new Script(plan)
  const { name, maxBlobBytes, supports } = adapter
  /** The last handle of each database, until it is closed. */
  const open = new Map<string, FaultyHandle>()
  return {
    name,
    maxBlobBytes,
    supports,
    open: (database, signal) =>
      script.play('open', async () => {
        if (plan.tear) await open.get(database)?.crash()
        const medium = await adapter.open(database, signal)
        const closed = () => open.get(database) === handle && open.delete(database)
        const handle = new FaultyHandle(medium, script, { ...plan, maxBlobBytes }, closed)
        open.set(database, handle)
        return handle
      }),
  }
}

/** A plan with a few faults, by chance. The same seed gives the same plan. */
export function randomPlan(seed: number): FaultPlan {
  const random = new Random(seed)
  const faults = Array.from({ length: 1 + random.below(3) }, (): Fault => {
    const call = random.pick(['open', 'read', 'write', 'write', 'write', 'write', 'close'] as const)
    const does = random.pick(['refuse', 'refuse', 'fail-after', 'delay'] as const)
    return {
      call,
      at: 1 + random.below(20),
      forever: random.below(3) === 0,
      does,
      error: random.pick(faultNames),
      ms: 1,
    }
  })
  return { faults, tear: random.below(2) === 0, seed }
}

/** Counts the calls and knows what each has to do. */
class Script {
  readonly #faults: Fault[]
  readonly #counts = new Map<Call, number>()
  readonly random: Random

  constructor({ faults = [], seed = 0 }: FaultPlan) {
    this.#faults = faults
    this.random = new Random(seed)
  }

  async play<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const count = (this.#counts.get(call) ?? 0) + 1
    this.#counts.set(call, count)
    const hits = ({ at, forever }: Fault) => at === count || (forever === true && at < count)
    const fault = this.#faults.find((fault) => fault.call === call && hits(fault))
    switch (fault?.does) {
      case undefined:
        return run()
      case 'refuse':
        throw failure(fault.error)
      case 'fail-after':
        await run()
        throw failure(fault.error)
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fault.ms ?? 10))
        return run()
      case 'hang':
        return new Promise(() => {})
      case 'lose':
        return undefined as T
    }
  }
}

class FaultyHandle implements StorageHandle {
  readonly #medium: StorageHandle
  readonly #script: Script
  readonly #tear: boolean
  readonly #maxBlobBytes: number
  readonly #closed: () => void
  /** Relaxed batches that have not reached the medium. */
  #inTheAir: StorageBatch[] = []
  /** Of the last batch, wherever it is now. */
  #taken: { epoch: number; head: string } | undefined
  #isClosed = false

  constructor(
    medium: StorageHandle,
    script: Script,
    { tear, maxBlobBytes }: FaultPlan & { maxBlobBytes: number },
    closed: () => void,
  ) {
    this.#medium = medium
    this.#script = script
    this.#tear = tear === true
    this.#maxBlobBytes = maxBlobBytes
    this.#closed = closed
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    this.#check()
    await this.#script.play('read', () => this.#arrive())
    yield* this.#medium.read()
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    this.#check()
    await this.#script.play('write', async () => {
      if (!this.#tear) return this.#medium.write(batch, durability)
      const mayWait = durability === 'relaxed' && batch.put.every(({ bytes }) => bytes.length <= this.#maxBlobBytes)
      if (mayWait && this.#follows(batch)) {
        const put = batch.put.map(({ id, bytes }) => ({ id, bytes: bytes.slice() }))
        this.#inTheAir.push({ epoch: batch.epoch, put, delete: [...batch.delete] })
      } else {
        await this.#arrive()
        await this.#medium.write(batch, durability)
      }
      this.#take(batch)
    })
  }

  bytesUsed(): Promise<number | undefined> {
    return this.#script.play('bytesUsed', () => this.#medium.bytesUsed())
  }

  async close(): Promise<void> {
    await this.#script.play('close', async () => {
      this.#isClosed = true
      this.#closed()
      try {
        await this.#arrive()
      } finally {
        await this.#medium.close()
      }
    })
  }

  /** The process is gone. */
  async crash(): Promise<void> {
    this.#isClosed = true
    this.#inTheAir.length = this.#script.random.below(this.#inTheAir.length + 1)
    // Whom nobody asked, nobody tells: who was deposed writes nothing.
    await this.#arrive().catch(() => {})
    await this.#medium.close()
  }

  #check(): void {
    if (this.#isClosed) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }

  /** Whether it is certain that the medium would take it: another of the same epoch, with ids above those it has taken. */
  #follows({ epoch, put }: StorageBatch): boolean {
    const taken = this.#taken
    return taken !== undefined && epoch === taken.epoch && put.every(({ id }) => id > taken.head)
  }

  #take({ epoch, put }: StorageBatch): void {
    const head = put.at(-1)?.id ?? this.#taken?.head
    if (head !== undefined) this.#taken = { epoch, head }
  }

  async #arrive(): Promise<void> {
    for (let next = this.#inTheAir.shift(); next; next = this.#inTheAir.shift()) {
      await this.#medium.write(next, 'relaxed')
    }
  }
}

function failure(name: FaultName = 'UnknownError'): Error {
  if (name === 'EIO' || name === 'ENOSPC') return Object.assign(new Error(`${name}: as planned`), { code: name })
  return new DOMException('as planned', name)
}
