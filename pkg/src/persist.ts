// The group commit: one batch to the storage at a time; what is written meanwhile is the next batch.

import { RevkvError, storageError } from './errors.js'
import type { StorageHandle } from './types.js'
import type { Core } from './wasm.js'
import { type Ready, readReady } from './wire.js'

interface Waiter {
  resolve(): void
  reject(reason: RevkvError): void
}

interface Batch {
  ready: Ready
  durability: 'relaxed' | 'strict'
}

/**
 * How long a storage may take to answer. A medium that is slow, or asked for a lot at once, needs seconds; whoever waits
 * longer than this would wait for ever. It is counted in ticks, because a sleep of the page, however long, is one of them.
 */
const answerTicksMax = 6
const tickMs = 10_000

/** The answer of a storage, or STORAGE_LOST when none comes. */
async function answered(asking: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setInterval> | undefined
  const silence = new Promise<never>((_, reject) => {
    let ticks = 0
    timer = setInterval(() => {
      if (++ticks < answerTicksMax) return
      const text = 'The storage gives no answer; whether it was written is known after opening again.'
      reject(new RevkvError('STORAGE_LOST', text))
    }, tickMs)
  })
  try {
    await Promise.race([asking, silence])
  } finally {
    clearInterval(timer)
  }
}

/** Resolves when the storage has taken the batch. */
export async function write(handle: StorageHandle, { ready, durability }: Batch): Promise<void> {
  const { epoch, put, delete: gone } = ready
  try {
    await answered(handle.write({ epoch, put, delete: gone }, durability))
  } catch (e) {
    throw storageError(e)
  }
}

/** Lets go of the storage, which has no say in it. */
export async function release(handle: StorageHandle): Promise<void> {
  try {
    await answered(handle.close())
  } catch {
    // Everything that could be lost by it has been written before, or told.
  }
}

export interface PersistEvents {
  durable(revision: number): void
  failed(error: RevkvError): void
}

/**
 * Invariants:
 * - at most one `write` is under way, and it has taken everything the engine had ready when it began;
 * - a waiter is settled by the first batch taken after it came, or by the failure;
 * - a failure of the storage, or its silence, ends the writing;
 * - after a failure nothing is written and nothing is acknowledged: what the medium holds is known only by reading it again.
 */
export class Persist {
  readonly #core: Core
  readonly #handle: StorageHandle | undefined
  readonly #events: PersistEvents
  #waiting: Waiter[] = []
  /** One of the waiting asked for "strict", whether or not it still waits. */
  #strict = false
  /** Something has been written since the last "strict" batch. */
  #unflushed = false
  #running = false
  /** Settles when the loop has last come to rest. */
  #loop: Promise<void> = Promise.resolve()
  /** What has been told as durable. */
  #told = 0
  #failure: RevkvError | undefined
  /** The failure took with it what had been applied. */
  #lost = false

  constructor(core: Core, handle: StorageHandle | undefined, events: PersistEvents) {
    this.#core = core
    this.#handle = handle
    this.#events = events
  }

  /** Throws when the storage has failed, before a write that could not be kept. */
  check(): void {
    if (!this.#failure) return
    const text = 'The storage has failed, so nothing more is written; close the store and open it again.'
    throw new RevkvError('STORAGE_LOST', text, { cause: this.#failure })
  }

  /** Sets the loop going. */
  start(): void {
    if (!this.#handle || this.#running || this.#failure) return
    this.#running = true
    // A microtask later, so that everything written in this turn shares the batch.
    const handle = this.#handle
    this.#loop = Promise.resolve().then(() => this.#run(handle))
  }

  /** Resolves when everything applied so far is in the storage. */
  written(durability: 'relaxed' | 'strict'): Promise<void> {
    if (!this.#handle) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.check()
      this.#waiting.push({ resolve, reject })
      if (durability === 'strict') this.#strict = true
      this.start()
    })
  }

  /** Stops writing for good and tells whoever waits. */
  fail(error: RevkvError): void {
    if (this.#failure) return
    this.#failure = error
    for (const waiter of this.#takeWaiting()) waiter.reject(error)
    this.#events.failed(error)
  }

  /** Writes what is left and lets go of the storage. Rejects with the failure when it left something unwritten. */
  async close(): Promise<void> {
    if (!this.#handle) return
    try {
      await this.written('strict').catch(() => {})
      await this.#loop
      if (this.#failure && (this.#lost || this.#core.call((engine) => engine.takeReady()))) throw this.#failure
    } finally {
      await release(this.#handle)
    }
  }

  async #run(handle: StorageHandle): Promise<void> {
    let group: Waiter[] = []
    try {
      for (;;) {
        if (this.#failure) break
        const batch = this.#gather()
        group = this.#takeWaiting()
        if (batch) await write(handle, batch)
        // The lock may have been lost during the write; then nobody is told that it is written.
        if (this.#failure) throw this.#failure
        if (batch) this.#confirm(batch)
        for (const waiter of group) waiter.resolve()
        if (!batch) break
        this.#tellDurable()
      }
    } catch (e) {
      this.#lost = true
      const error = storageError(e)
      for (const waiter of group) waiter.reject(error)
      this.fail(error)
    }
    // No await since the last look at what is ready, so a write in between cannot have been missed.
    this.#running = false
  }

  /** What there is to write. A flush of what went out "relaxed" is a batch of its own, without blobs. */
  #gather(): Batch | undefined {
    const packed = this.#core.call((engine) => engine.takeReady())
    const durability = this.#strict ? 'strict' : 'relaxed'
    this.#strict = false
    if (packed) return { ready: readReady(packed), durability }
    if (durability === 'relaxed' || !this.#unflushed) return undefined
    return { ready: { through: 0, epoch: this.#core.call((engine) => engine.epoch), put: [], delete: [] }, durability }
  }

  #confirm({ ready, durability }: Batch): void {
    this.#unflushed = durability === 'relaxed'
    if (ready.through > 0) this.#core.call((engine) => engine.persisted(ready.through))
  }

  #tellDurable(): void {
    const revision = this.#core.call((engine) => engine.durableRevision)
    if (revision <= this.#told) return
    this.#told = revision
    this.#events.durable(revision)
  }

  #takeWaiting(): Waiter[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}
