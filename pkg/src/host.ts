// One engine and what goes on around it, whoever looks at it: its storage, its watches, the timers of leases and of
// retention. Stores and namespaces are views of one; they check what they are given and show what comes out.

import { RevkvError } from './errors.js'
import { ExpiryTimer, type Leases } from './lease.js'
import type { Lock } from './lock.js'
import { type Medium, newIncarnation } from './medium.js'
import { newOperations } from './operations.js'
import { Persist } from './persist.js'
import { Retainer } from './retention.js'
import type { Sentinel } from './sentinel.js'
import type { Durability, Retention, StoreEventMap } from './types.js'
import type { Core } from './wasm.js'
import { Watchers } from './watch.js'
import * as wire from './wire.js'

/** What `open` has put together. */
export interface Parts {
  name: string
  /** Recovered and started. */
  core: Core
  durability: Durability
  retention?: Retention
  medium?: Medium
  /** Keeps others from opening the database. */
  lock?: Lock | undefined
  sentinel?: Sentinel | undefined
}

/** What a write asks of the engine: one request, whole or not at all, and what its answer is to whoever asked. */
export interface Write<R> {
  /** Good until the next one is packed. */
  request: Uint8Array
  /** It needs room in the storage. */
  grows: boolean
  /** The reader stands behind the answer's kind. */
  read(reader: wire.Reader): R
}

/** Who is told what happens. */
export interface Hearer {
  emit<T extends keyof StoreEventMap>(type: T, detail: StoreEventMap[T]['detail']): void
  /** A failure that no call can throw. */
  report(error: unknown): void
}

/** A slice of background work between two turns of the event loop: under half a frame, so that a page stays smooth. */
const sliceMs = 5

export class Host {
  readonly name: string
  readonly durability: Durability
  readonly core: Core
  readonly watchers: Watchers
  readonly operations = newOperations()
  /** Counts whatever may have changed what is read; what was read at the same count is the newest. */
  changes = 0
  /** Counts the contents there were: in another, a revision may stand for something else. */
  life = 0
  readonly leases: Leases
  readonly #hearer: Hearer
  readonly #persist: Persist
  readonly #medium: Medium | undefined
  readonly #expiry = new ExpiryTimer(() => this.#expire())
  readonly #retainer: Retainer
  readonly #lock: Lock | undefined
  readonly #sentinel: Sentinel | undefined
  /** Compactions under way; closing waits for them. */
  readonly #compacting = new Set<Promise<void>>()
  #closing: Promise<void> | undefined
  /** -1: not known. */
  #storageBytes: number
  #isMeasuring = false

  constructor(parts: Parts, hearer: Hearer) {
    const { name, core, durability, retention = {}, medium, lock, sentinel } = parts
    this.name = name
    this.core = core
    this.durability = durability
    this.#hearer = hearer
    this.#medium = medium
    this.#storageBytes = medium ? -1 : 0
    this.#lock = lock
    this.#sentinel = sentinel
    this.leases = {
      info: (id) => this.#leaseInfo(id),
      write: (write) => {
        this.checkOpen()
        return this.write(write, durability)
      },
    }
    this.watchers = new Watchers(core, (error) => hearer.report(error))
    this.#persist = new Persist(core, medium, {
      durable: (revision) => {
        sentinel?.note(core)
        hearer.emit('durable', { revision })
        this.watchers.wake()
      },
      healed: (error) => hearer.emit('healed', { error }),
      rewound: () => this.#replaced(),
      full: (error) => {
        this.#armExpiry()
        this.watchers.wake()
        hearer.emit('quota', { error })
      },
      rebuilt: (error, revision) => {
        this.#replaced()
        this.watchers.reopen(revision)
        this.#resume()
        hearer.emit('healed', { error })
      },
      evicted: () => {
        sentinel?.accept()
        hearer.emit('evicted', {})
      },
      failed: (error) => {
        this.#expiry.stop()
        this.#retainer.stop()
        hearer.report(error)
        if (!core.trap) return
        // Of a store that nothing else holds, nothing is left.
        this.watchers.end(error)
        this.close().catch(() => {})
      },
    })
    this.#retainer = new Retainer(retention, {
      revision: () => core.call((engine) => engine.revision),
      compactRevision: () => core.call((engine) => engine.compactRevision),
      bytes: () => core.call((engine) => engine.stats()).bytes,
      compact: (revision) => this.compact(revision),
      report: (error) => this.#report(error),
    })
    lock?.lost.then((error) => this.#persist.fail(error))
    this.#resume()
  }

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  checkOpen(): void {
    if (this.isClosing) throw new RevkvError('CLOSED', 'The store is closed.')
  }

  /**
   * Resolves with the answer when it is as durable as asked; with the signal's reason when that comes first. What it does is
   * done at the call.
   */
  async write<R>({ request, grows, read }: Write<R>, durability: Durability, signal?: AbortSignal): Promise<R> {
    const result = read(this.apply(request, grows))
    // Not to wait for nothing: it would be a promise more for each write.
    if (durability !== 'memory' || signal) await this.written(durability, signal)
    return result
  }

  /** One request to the engine. The reader stands behind the answer's kind, which is that of the request. */
  apply(request: Uint8Array, grows = false): wire.Reader {
    this.#persist.check(grows)
    const reader = new wire.Reader(this.core.call((engine) => engine.apply(request, Date.now())))
    reader.u32()
    this.#changed()
    return reader
  }

  /** Resolves when everything applied so far is in the storage; with the signal's reason when that comes first. */
  async written(durability: Durability, signal: AbortSignal | undefined): Promise<void> {
    // Code of the user's may have run since it was last looked at.
    signal?.throwIfAborted()
    if (durability !== 'memory') await detachable(this.#persist.written(durability), signal)
  }

  pin(revision: number): number {
    return this.core.call((engine) => engine.snapshot(revision))
  }

  /** What releases the revision again. What only that kept is removed in the background. */
  unpinning(revision: number): () => void {
    const { life } = this
    return () => {
      // The pins of a content end with it, or with the engine; one of the same number would be somebody else's.
      if (this.#closing || this.core.trap || life !== this.life) return
      if (this.core.call((engine) => engine.releaseSnapshot(revision))) this.#compactInBackground()
    }
  }

  /** Whether ranges hold what they held at `revision`. `false` too where that cannot be known any more. */
  isUnchanged(revision: number, reads: wire.KeyRange[]): boolean {
    const request = wire.packIsUnchanged(revision, reads)
    try {
      return this.core.call((engine) => engine.isUnchanged(request))
    } catch (e) {
      if (RevkvError.is(e) && e.code === 'COMPACTED') return false
      throw e
    }
  }

  /** Nothing that was read holds removal up any more. */
  ended(): void {
    if (!this.#closing) this.#compactInBackground()
  }

  compact(revision: number): Promise<void> {
    return this.#background(this.#compact(revision))
  }

  /** Gives the revision. */
  async applyChanges(bytes: Uint8Array): Promise<number> {
    this.#persist.check(true)
    const compacted = this.core.call((engine) => engine.compactRevision)
    const revision = this.core.call((engine) => engine.applyChanges(bytes))
    this.#changed()
    const compactRevision = this.core.call((engine) => engine.compactRevision)
    if (compactRevision > compacted) {
      this.#hearer.emit('compacted', { revision: compactRevision })
      this.#compactInBackground()
    }
    await this.written(this.durability, undefined)
    return revision
  }

  async restore(bytes: Uint8Array): Promise<void> {
    await this.#persist.settled()
    this.#persist.check(false)
    this.core.call((engine) => engine.restore(bytes, newIncarnation()))
    this.#persist.restored()
    this.#replaced()
    this.#changed()
    await this.written(this.durability, undefined)
    this.#sentinel?.note(this.core, true)
  }

  stats(): wire.Stats & { wasmBytes: number; storageBytes: number } {
    const stats = this.core.call((engine) => engine.stats())
    this.#measureStorage()
    return { ...stats, storageBytes: this.#storageBytes }
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    this.#expiry.stop()
    this.#retainer.stop()
    await Promise.allSettled(this.#compacting)
    try {
      await this.#persist.close()
    } finally {
      await this.#letGo()
    }
  }

  async #letGo(): Promise<void> {
    try {
      // Listeners hear of the last durable revision too.
      await this.watchers.settled()
      this.#sentinel?.note(this.core, true)
      this.watchers.end()
      this.core.free()
      // No value that was read may be taken for one that can be read.
      this.changes++
    } finally {
      await this.#lock?.release()
      this.#hearer.emit('closed', {})
    }
  }

  #changed(): void {
    this.changes++
    this.#persist.changed()
    this.watchers.wake()
    this.#retainer.changed()
    this.#armExpiry()
  }

  /** What was known of the content is not any more. */
  #replaced(): void {
    this.changes++
    this.life++
  }

  #leaseInfo(id: bigint): wire.LeaseInfo | undefined {
    const packed = this.core.call((engine) => engine.lease(id, Date.now()))
    return packed && wire.readLease(packed)
  }

  #armExpiry(): void {
    this.#expiry.set(this.core.call((engine) => engine.nextDeadline()))
  }

  #expire(): void {
    try {
      const before = this.core.call((engine) => engine.revision)
      this.core.call((engine) => engine.tick(Date.now()))
      // A lease without keys leaves nothing that could be missed.
      if (this.core.call((engine) => engine.revision) > before) this.#changed()
      else this.#persist.start()
      this.#armExpiry()
    } catch (e) {
      this.#report(e)
    }
  }

  /** What expired while the database was closed, and a compaction that was cut short. */
  #resume(): void {
    this.#expire()
    this.#compactInBackground()
  }

  #background(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.#compacting.delete(tracked))
    this.#compacting.add(tracked)
    return tracked
  }

  async #compact(revision: number): Promise<void> {
    const { durableRevision, newest } = this.core.call((engine) => ({
      durableRevision: engine.durableRevision,
      newest: engine.revision,
    }))
    // A listener that only hears of durable revisions must not be overtaken by forgetting others.
    if (revision > durableRevision && revision <= newest) await this.#persist.written('relaxed')
    await this.watchers.settled()
    this.apply(wire.packCompact(revision))
    // Waited for from here on: a storage that fails before the removal is done may take it back.
    const noted = this.#persist.written('relaxed')
    noted.catch(() => {})
    if (revision > 0) this.#hearer.emit('compacted', { revision })
    await this.#compactPhysically()
    await noted
    await this.#persist.written(this.durability === 'memory' ? 'relaxed' : this.durability)
  }

  #compactInBackground(): void {
    this.#background(this.#compactPhysically()).catch((e: unknown) => this.#report(e))
  }

  /** What failed in the background, unless the engine has stopped: that is told by itself, and all goes on in the next. */
  #report(error: unknown): void {
    if (!this.core.trap) this.#hearer.report(error)
  }

  /** The removal itself, in slices, so that a large one does not hold up anything else. */
  async #compactPhysically(): Promise<void> {
    let sliceEnd = Date.now() + sliceMs
    while (this.core.call((engine) => engine.compactStep())) {
      if (Date.now() < sliceEnd) continue
      await new Promise((resolve) => setTimeout(resolve, 0))
      sliceEnd = Date.now() + sliceMs
    }
    this.#persist.start()
  }

  /** Asks the storage in the background; what it says is told the next time. */
  async #measureStorage(): Promise<void> {
    if (!this.#medium || this.#isMeasuring || this.#closing) return
    this.#isMeasuring = true
    this.#storageBytes = (await this.#medium.bytesUsed()) ?? this.#storageBytes
    this.#isMeasuring = false
  }
}

/** The promise, or the signal's reason when that comes first. */
export function detachable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const detach = () => reject(signal.reason)
    signal.addEventListener('abort', detach, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', detach))
  })
}
