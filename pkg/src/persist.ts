// The group commit: one batch to the storage at a time; what is written meanwhile is the next batch. And what follows
// when a batch fails.
//
// A batch that failed is not written again on the same handle, because nobody knows what that would do. The storage is
// opened anew and read, which settles what it holds; then
// - what is missing is in memory still, and everything is written again: nobody has noticed but for the time it took;
// - or there is no room for it, and memory goes back to what is stored.
//
// An engine that has stopped on an error of its own is replaced by one that reads the storage. What was with the storage
// by then is settled as always; what had not got there is gone, and whoever waits for it is told.

import { RevkvError, storageError } from './errors.js'
import { isSilence, type Medium } from './medium.js'
import type { StorageBatch } from './types.js'
import type { Core } from './wasm.js'
import { readReady } from './wire.js'

interface Waiter {
  resolve(): void
  reject(reason: RevkvError): void
}

interface Batch {
  batch: StorageBatch
  through: number
  durability: 'relaxed' | 'strict'
  /** It holds something that was applied, and not only what was written in another form before. */
  isChanged: boolean
}

export interface PersistEvents {
  /** A batch is with the storage. */
  stored(): void
  durable(revision: number): void
  /** The storage had failed and holds everything again. */
  healed(error: RevkvError): void
  /** Memory has gone back to what is stored; said at that moment, before anything else can look. */
  rewound(): void
  /** There was no room: what the storage has not taken is gone from memory too. */
  full(error: RevkvError): void
  /** The engine had stopped, and another has read what the storage holds, which reaches to `revision`. */
  rebuilt(error: RevkvError, revision: number): void
  /** The database was found deleted while it was open; then it has failed too. */
  evicted(): void
  /** Nothing is written any more. */
  failed(error: RevkvError): void
}

/** A failed storage is opened again at once, and then after each of these; a handle that heals does so soon or not at all. */
const healDelaysMs = [0, 200, 1000]
/** Writing goes on for so long before others may speak; the wait is a few milliseconds at most. */
const turnMs = 100
/** So often is an engine replaced that does nothing before it stops again. */
const rebuildsMax = 3
/** While there is no room, puts are refused without asking the storage, but for one so often. */
const fullMs = 1000

/**
 * Invariants:
 * - at most one `write` is under way, and it has taken everything the engine had ready when it began;
 * - a waiter is settled by the first batch taken after it came, or by the failure;
 * - nothing is acknowledged that the storage has not taken;
 * - once nothing is written any more, nothing is applied either.
 */
export class Persist {
  readonly #core: Core
  readonly #medium: Medium | undefined
  readonly #events: PersistEvents
  #waiting: Waiter[] = []
  /** One of the waiting asked for "strict", whether or not it still waits. */
  #strict = false
  /** Something has been written since the last "strict" batch: at first by the opening, or by whoever had it open before. */
  #unflushed = true
  #running = false
  /** Something was applied since the last batch was gathered. */
  #isChanged = false
  /** Why the last of what was applied was taken back. */
  #takenBack: RevkvError | undefined
  /** Settles when the loop has last come to rest. */
  #loop: Promise<void> = Promise.resolve()
  /** What has been told as durable. */
  #told = 0
  #failure: RevkvError | undefined
  /** Until when puts are refused, and why. */
  #full: { error: RevkvError; until: number } | undefined
  /** Another writes to the storage, which is no failure of it. */
  #resigned = false
  /** The failure took with it what had been applied. */
  #lost = false
  /** Of the last batch. */
  #epoch: number
  #rebuilds = 0
  /** When the event loop was last let go round. */
  #turnMs = Date.now()

  constructor(core: Core, medium: Medium | undefined, events: PersistEvents) {
    this.#core = core
    this.#medium = medium
    this.#events = events
    this.#epoch = core.call((engine) => engine.epoch)
    core.onTrap = (error) => this.#trapped(error)
  }

  /** The loop replaces the engine, once the batch under way is done. */
  #trapped(error: RevkvError): void {
    for (const waiter of this.#takeWaiting()) waiter.reject(error)
    if (this.#medium) this.start()
    else this.fail(error)
  }

  /** Throws when the storage has failed, before a write that could not be kept. `grows`: it needs room. */
  check(grows: boolean): void {
    if (this.#failure) {
      if (this.#resigned) throw this.#failure
      const text = 'The storage has failed, so nothing more is written; close the store and open it again.'
      throw new RevkvError('STORAGE_LOST', text, { cause: this.#failure })
    }
    if (!grows || !this.#full) return
    if (Date.now() < this.#full.until) throw this.#full.error
    // This one finds out whether there is room again.
    this.#full.until = Date.now() + fullMs
  }

  /** Something was applied. */
  changed(): void {
    this.#isChanged = true
    this.start()
  }

  /** Sets the loop going. */
  start(): void {
    if (!this.#medium || this.#running || this.#failure) return
    this.#running = true
    // A microtask later, so that everything written in this turn shares the batch.
    const medium = this.#medium
    this.#loop = Promise.resolve().then(() => this.#run(medium))
  }

  /** Resolves when the storage has been given everything applied so far, or has not answered for what it was given before. */
  async sent(): Promise<void> {
    this.start()
    // The loop has begun by then, and has come to where it waits.
    await Promise.resolve()
  }

  /** Resolves when everything applied so far is in the storage. */
  written(durability: 'relaxed' | 'strict'): Promise<void> {
    if (!this.#medium) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.check(false)
      this.#waiting.push({ resolve, reject })
      if (durability === 'strict') this.#strict = true
      this.start()
    })
  }

  /** The content is another, of which nothing is stored yet. */
  restored(): void {
    this.#told = 0
  }

  /** Resolves when no batch is under way. */
  async settled(): Promise<void> {
    while (this.#running) await this.#loop
  }

  /** Stops writing for good and tells whoever waits. */
  fail(error: RevkvError): void {
    if (this.#failure) return
    this.#failure = error
    for (const waiter of this.#takeWaiting()) waiter.reject(error)
    this.#events.failed(error)
  }

  /**
   * Writes no more, for another does, or is to. A batch that is under way may still be taken; of what is not, those who wait
   * are told that it is not written.
   */
  resign(error: RevkvError): void {
    this.#resigned = true
    this.#failure ??= error
    for (const waiter of this.#takeWaiting()) waiter.reject(error)
  }

  /** Writes what is left and lets go of the storage. Rejects with the failure when it left something unwritten. */
  async close(): Promise<void> {
    if (!this.#medium) return
    this.#takenBack = undefined
    try {
      await this.written('strict').catch(() => {})
      await this.#loop
      if (this.#takenBack) throw this.#takenBack
      if (this.#failure && (this.#lost || this.#core.call((engine) => engine.takeReady()))) throw this.#failure
    } finally {
      await this.#medium.close()
    }
  }

  async #run(medium: Medium): Promise<void> {
    let group: Waiter[] = []
    for (;;) {
      try {
        if (this.#failure) break
        if (this.#core.trap) await this.#rebuild(medium, this.#core.trap)
        const batch = this.#gather()
        group = this.#takeWaiting()
        if (batch && !(await this.#write(medium, batch, group))) {
          // The storage is asked again for the next who waits, not for its own sake: it would say the same.
          if (this.#waiting.length > 0) continue
          break
        }
        for (const waiter of group) waiter.resolve()
        if (!batch || this.#failure) break
        if (this.#core.trap) continue
        this.#events.stored()
        this.#tellDurable()
        await this.#letOthersSpeak()
      } catch (e) {
        const error = storageError(e)
        for (const waiter of group) waiter.reject(error)
        if (this.#resigned) break
        // An engine that has stopped is replaced, whoever met it: one that was read beside it, too, which tells nobody.
        if (error === this.#core.trap) {
          this.#trapped(error)
          continue
        }
        this.#lost = true
        this.fail(error)
        break
      }
    }
    // No await since the last look at what is ready, so a write in between cannot have been missed.
    this.#running = false
  }

  /**
   * A storage that answers within the same turn of the event loop, such as OPFS, would let whoever writes one after the other
   * hear no message and no timer for as long as that goes on.
   */
  async #letOthersSpeak(): Promise<void> {
    const nowMs = Date.now()
    if (Math.abs(nowMs - this.#turnMs) < turnMs) return
    this.#turnMs = nowMs
    await aTurn()
  }

  /** Writes a batch, on a storage opened anew where it fails. `false`: it is not written, as those who waited are told. */
  async #write(medium: Medium, batch: Batch, group: Waiter[]): Promise<boolean> {
    try {
      this.#epoch = batch.batch.epoch
      await medium.write(batch.batch, batch.durability)
      if (!this.#core.trap && !this.#failure) this.#confirm(batch)
      this.#full = undefined
      return true
    } catch (e) {
      const error = storageError(e)
      if (this.#failure || error.code === 'NOT_LEADER') throw error
      if (this.#core.trap) return this.#settle(medium, batch, group, error)
      if (error.code !== 'QUOTA_EXCEEDED') return this.#heal(medium, group, error)
      // With the moment of going back, so that no write between two moments is taken for one that is gone.
      await this.#reopened(medium, (engine, found) => {
        engine.rewind(found)
        this.#events.rewound()
        this.#full = { error, until: Date.now() + fullMs }
        if (batch.isChanged || this.#isChanged) this.#takenBack = error
        this.#isChanged = false
        for (const waiter of [...group, ...this.#takeWaiting()]) waiter.reject(error)
      })
      this.#events.full(error)
      return false
    }
  }

  async #heal(medium: Medium, group: Waiter[], error: RevkvError): Promise<true> {
    for (const [tries, delayMs] of healDelaysMs.entries()) {
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
      try {
        if (this.#failure) throw this.#failure
        await this.#reopened(medium, (engine, found) => engine.heal(found))
        const batch = this.#gather()
        if (batch) {
          this.#epoch = batch.batch.epoch
          await medium.write(batch.batch, 'strict')
          if (this.#failure) throw this.#failure
          this.#confirm({ ...batch, durability: 'strict' })
        }
        break
      } catch (e) {
        const again = storageError(e)
        // Whether the batch was taken the first time, before another wrote or there was no more room, nobody can tell.
        if (again.code !== 'STORAGE_LOST') for (const waiter of group) waiter.reject(error)
        if (this.#failure || again.code !== 'STORAGE_LOST' || isSilence(again)) throw again
        if (tries === healDelaysMs.length - 1) throw error
      }
    }
    this.#events.healed(error)
    return true
  }

  /**
   * Of a batch that failed while the engine had stopped, what the storage holds tells whether it is written: its last blob.
   * (Not the revision, which a batch of leases or of another content does not move.)
   */
  async #settle(medium: Medium, { batch }: Batch, group: Waiter[], error: RevkvError): Promise<boolean> {
    try {
      await this.#rebuild(medium, this.#core.trap ?? error)
    } catch (e) {
      for (const waiter of group) waiter.reject(error)
      throw e
    }
    const last = batch.put.at(-1)
    if (last && last.id <= medium.lastId) return true
    for (const waiter of group) waiter.reject(error)
    return false
  }

  /** Reads what the storage holds into an engine that replaces the one that has stopped. */
  async #rebuild(medium: Medium, trap: RevkvError): Promise<void> {
    // One that stops again and again, with nothing done in between, will not do better the next time.
    if (this.#rebuilds++ === rebuildsMax) throw new RevkvError('ENGINE_FAILED', trap.message, { cause: trap })
    await medium.reopen()
    const found = (await medium.recover()).start()
    const { epoch, revision } = found.call(({ epoch, revision }) => ({ epoch, revision }))
    // What it starts is one above what is stored.
    if (epoch > this.#epoch + 1) {
      found.free()
      throw new RevkvError('NOT_LEADER', 'Another store has written to the storage since: open it again.')
    }
    if (revision === 1 && this.#told > 1) this.#gone(found, 'what it held is gone.')
    this.#core.replace(found)
    this.#unflushed = true
    this.#events.rebuilt(trap, revision)
  }

  async #reopened(medium: Medium, adopt: Parameters<Core['adopt']>[1]): Promise<void> {
    await medium.reopen()
    const found = (await medium.recover({ beside: this.#core })).start()
    if (found.call((engine) => engine.revision) === 1 && this.#core.call((engine) => engine.durableRevision) > 1) {
      this.#gone(found, 'what it held is in memory only.')
    }
    this.#core.adopt(found, adopt)
  }

  /** The database is a new one: by somebody who wanted the old one gone, perhaps; so that is not made again. */
  #gone(found: Core, what: string): never {
    found.free()
    this.#events.evicted()
    throw new RevkvError('STORAGE_LOST', `The database was deleted while it was open; ${what}`)
  }

  /** What there is to write. A flush of what went out "relaxed" is a batch of its own, without blobs. */
  #gather(): Batch | undefined {
    const packed = this.#core.call((engine) => engine.takeReady())
    const durability = this.#strict ? 'strict' : 'relaxed'
    this.#strict = false
    const isChanged = this.#isChanged
    this.#isChanged = false
    if (packed) {
      const { through, ...batch } = readReady(packed)
      return { batch, through, durability, isChanged }
    }
    if (durability === 'relaxed' || !this.#unflushed) return undefined
    const flush = { epoch: this.#core.call((engine) => engine.epoch), put: [], delete: [] }
    return { batch: flush, through: 0, durability, isChanged }
  }

  #confirm({ through, durability }: Batch): void {
    this.#rebuilds = 0
    this.#unflushed = durability === 'relaxed'
    if (through > 0) this.#core.call((engine) => engine.persisted(through))
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

/** Resolves when the event loop has gone round once; no timer, of which a browser delays every one behind another. */
function aTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof MessageChannel !== 'function') return void setTimeout(resolve, 0)
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(0)
  })
}
