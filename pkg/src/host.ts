// One engine and what goes on around it, whoever looks at it: its storage, its watches, the timers of leases and of
// retention. Stores and namespaces are views of one; they check what they are given and show what comes out.

import { detachable } from './detachable.js'
import { RevkvError } from './errors.js'
import { ExpiryTimer, type Leases } from './lease.js'
import { type Medium, newIncarnation } from './medium.js'
import { isMirror, packRecords } from './mirrored.js'
import { newOperations } from './operations.js'
import { Persist } from './persist.js'
import { Retainer } from './retention.js'
import type { Sentinel } from './sentinel.js'
import { notLeader } from './tabs/election.js'
import type { Shown, Tab } from './tabs/tab.js'
import type { Durability, Retention, StoreEventMap, StoreStats } from './types.js'
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
  /** What it is stored on; or this tab, which is told that when it leads. */
  medium?: Medium
  sentinel?: Sentinel | undefined
  tab?: Tab
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

/** Whoever answers writes: after the store has what they did. */
export interface Elsewhere {
  ask(request: Uint8Array): Promise<wire.Reader>
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
  /** A mirror keeps it. */
  mirrors = false
  /** Answers writes in this engine's place, where the store mirrors a cluster that takes them. */
  elsewhere: Elsewhere | undefined
  /** Counts the contents there were: in another, a revision may stand for something else. */
  life = 0
  readonly leases: Leases
  readonly #hearer: Hearer
  readonly #tab: Tab | undefined
  /** None while another tab leads. */
  #persist: Persist | undefined
  #medium: Medium | undefined
  #sentinel: Sentinel | undefined
  readonly #expiry = new ExpiryTimer(() => this.#expire())
  readonly #retainer: Retainer
  /** Compactions under way; closing waits for them. */
  readonly #compacting = new Set<Promise<void>>()
  #closing: Promise<void> | undefined
  /** Why something that was applied here is not written, nor will be. */
  #unwritten: RevkvError | undefined
  /** -1: not known. */
  #storageBytes: number
  #isMeasuring = false
  /** Others give it its revisions: it takes no writes of its own. */
  #isMirror = false
  /** Those who wait for a change. */
  readonly #awaiting: (() => void)[] = []
  /** What was last noticed of the engine. */
  #seen = { revision: 1, compactRevision: 0, replaced: 0 }

  constructor(parts: Parts, hearer: Hearer) {
    const { name, core, durability, retention = {}, medium, sentinel, tab } = parts
    this.name = name
    this.core = core
    this.durability = durability
    this.#hearer = hearer
    this.#tab = tab
    this.#storageBytes = medium || tab ? -1 : 0
    this.leases = {
      info: (id) => this.#leaseInfo(id),
      write: (write) => {
        this.checkOpen()
        return this.write(write, durability)
      },
    }
    this.watchers = new Watchers(core, (error) => hearer.report(error))
    this.#retainer = new Retainer(retention, {
      // Whoever leads forgets for all.
      revision: () => (this.#persist ? core.call((engine) => engine.revision) : 0),
      compactRevision: () => core.call((engine) => engine.compactRevision),
      bytes: () => (this.#persist ? core.call((engine) => engine.stats()).bytes : 0),
      compact: (revision) => this.compact(revision),
      report: (error) => this.#report(error),
    })
    if (tab) tab.start(this.#shown())
    else this.#keep(medium, sentinel)
  }

  get role(): 'leader' | 'follower' | 'alone' {
    if (!this.#tab) return 'alone'
    return this.#tab.leads ? 'leader' : 'follower'
  }

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  checkOpen(): void {
    if (this.isClosing) throw new RevkvError('CLOSED', 'The store is closed.')
  }

  /**
   * Resolves with the answer when it is as durable as asked; with the signal's reason when that comes first. Where this
   * engine is the one that is stored, what it does is done at the call.
   */
  async write<R>({ request, grows, read }: Write<R>, durability: Durability, signal?: AbortSignal): Promise<R> {
    if (this.#isMirror) return read(await detachable(this.#askElsewhere(request), signal))
    const [tab, persist] = [this.#tab, this.#persist]
    if (!persist) return read(await detachable((tab as Tab).ask(request, durability === 'strict'), signal))
    // Another tab may take over before it is stored, and be asked for it then.
    const kept = tab && durability !== 'memory' ? request.slice() : undefined
    const result = read(this.apply(request, grows))
    // Code of the user's may have run since it was last looked at.
    signal?.throwIfAborted()
    // Not to wait for nothing: it would be a promise more for each write.
    if (durability === 'memory') return result
    try {
      await detachable(persist.written(durability), signal)
      return result
    } catch (e) {
      if (!kept || !isNotLeader(e)) throw e
      return this.write({ request: kept, grows, read }, durability, signal)
    }
  }

  get revision(): number {
    return this.core.call((engine) => engine.revision)
  }

  /** Resolves when something may have changed: what is read, or who leads. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve))
  }

  /** Resolves when this engine is the one that is stored. */
  async leads(signal: AbortSignal): Promise<void> {
    while (!this.#persist) {
      this.checkOpen()
      await detachable(this.change(), signal)
    }
    this.checkOpen()
  }

  /** The keys of a range at a revision. */
  keysOf(keys: wire.KeyRange, revision: number): wire.KeyValue[] {
    const request = wire.packRange({ ...wire.everything, keys, revision })
    const reader = new wire.Reader(this.core.call((engine) => engine.range(request)))
    reader.at += 8 + 8 + 1
    return wire.readColumns(reader)
  }

  hashOf(revision: number): { hash: number; revision: number; compactRevision: number } {
    const reader = new wire.Reader(this.core.call((engine) => engine.hash(revision)))
    return { hash: reader.u32(), revision: reader.u64(), compactRevision: reader.u64() }
  }

  /** Whether it mirrors the life of this name. */
  isMirrorOf(incarnation: Uint8Array): boolean {
    const own = this.core.call((engine) => engine.incarnation)
    return own.every((byte, place) => byte === incarnation[place])
  }

  /** Replaces everything by what another store holds at a revision. */
  async mirror(incarnation: Uint8Array, revision: number, kvs: readonly wire.KeyValue[]): Promise<void> {
    await this.#persist?.settled()
    this.#checkKept()
    this.core.call((engine) => engine.mirror(incarnation, revision, packRecords(kvs)))
    this.#persist?.restored()
    this.#noticeContent()
    this.#changed()
    this.#noticeCompaction()
    await this.written(this.durability, undefined)
    this.#sentinel?.note(this.core, true)
  }

  /** Takes over what happened in the other store, up to a revision. Throws what cannot be, and resolves when it is stored. */
  mirrorChanges(to: number, kvs: readonly wire.KeyValue[]): Promise<void> {
    this.#checkKept()
    this.core.call((engine) => engine.mirrorChanges(to, packRecords(kvs)))
    this.#changed()
    // What a crash of the machine takes back, the other store has still.
    return this.written(this.durability === 'strict' ? 'relaxed' : this.durability, undefined)
  }

  /** One request to the engine. The reader stands behind the answer's kind, which is that of the request. */
  apply(request: Uint8Array, grows = false): wire.Reader {
    this.#persist?.check(grows)
    const reader = new wire.Reader(this.core.call((engine) => engine.apply(request, Date.now())))
    reader.u32()
    this.#changed()
    return reader
  }

  /** Resolves when everything written so far is in the storage; with the signal's reason when that comes first. */
  async written(durability: Durability, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (durability !== 'memory') await detachable(this.#written(durability), signal)
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
    if (this.#isMirror) throw new RevkvError('DIVERGED', 'The store mirrors a cluster, which alone gives it revisions.')
    await this.#tab?.lead()
    this.#persist?.check(true)
    const revision = this.core.call((engine) => engine.applyChanges(bytes))
    this.#changed()
    if (this.#noticeCompaction()) this.#compactInBackground()
    await this.written(this.durability, undefined)
    return revision
  }

  async restore(bytes: Uint8Array): Promise<void> {
    if (this.mirrors) throw new RevkvError('INVALID_ARGUMENT', 'The store is a mirror: close that first.')
    await this.#tab?.lead()
    await this.#persist?.settled()
    this.#persist?.check(false)
    this.core.call((engine) => engine.restore(bytes, newIncarnation()))
    this.#persist?.restored()
    this.#noticeContent()
    this.#changed()
    await this.written(this.durability, undefined)
    this.#sentinel?.note(this.core, true)
  }

  stats(): Omit<StoreStats, 'operations'> {
    const stats = this.core.call((engine) => engine.stats())
    this.#measureStorage()
    const { followers, lag, dropped } = this.#tab?.stats() ?? noTabs
    return { ...stats, storageBytes: this.#storageBytes, followers, lag, dropped }
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
      await this.#persist?.close()
    } catch (e) {
      if (!this.#tab || !isNotLeader(e)) throw e
    } finally {
      await this.#letGo()
    }
    if (this.#unwritten) throw this.#unwritten
  }

  async #letGo(): Promise<void> {
    // What has been asked of another tab, and what that did not take over in time.
    if (!this.#tab?.leads) await this.#tab?.asked()
    const left = this.#tab?.close()
    try {
      // Listeners hear of the last durable revision too.
      await this.watchers.settled()
      this.#sentinel?.note(this.core, true)
      this.watchers.end()
      this.core.free()
      // No value that was read may be taken for one that can be read.
      this.changes++
      this.#wake()
    } finally {
      await left
      this.#hearer.emit('closed', {})
    }
  }

  /** What this store is to its tab. */
  #shown(): Shown {
    return {
      lead: (medium, sentinel) => {
        this.#keep(medium, sentinel)
        this.#hearer.emit('role', { role: 'leader' })
      },
      follow: () => this.#unkeep(),
      sent: async () => this.#persist?.sent(),
      written: (durability) => this.#written(durability),
      told: (durability) => this.#told(durability),
      replaced: (trap) => this.#rebuilt(trap),
      failed: (error) => {
        if (error.code === 'EVICTED') this.#hearer.emit('evicted', {})
        this.#failed(error)
      },
      report: (error) => this.#report(error),
    }
  }

  /** From now on this engine is the one that is stored. */
  #keep(medium: Medium | undefined, sentinel: Sentinel | undefined): void {
    const { core } = this
    this.#medium = medium
    this.#sentinel = sentinel
    this.#noticeContent()
    this.#persist = new Persist(core, medium, {
      stored: () => this.#tab?.stored(),
      durable: (revision) => {
        sentinel?.note(core)
        this.#hearer.emit('durable', { revision })
        this.watchers.wake()
      },
      healed: (error) => this.#hearer.emit('healed', { error }),
      rewound: () => this.#noticeContent(),
      full: (error) => {
        this.#armExpiry()
        this.watchers.wake()
        this.#tab?.stored()
        this.#hearer.emit('quota', { error })
      },
      rebuilt: (error) => {
        this.#tab?.rebuilt()
        this.#rebuilt(error)
        this.#resume()
      },
      evicted: () => {
        sentinel?.accept()
        this.#hearer.emit('evicted', {})
      },
      failed: (error) => {
        if (!this.#tab) this.#failed(error)
        else if (error.code === 'NOT_LEADER') this.#tab.lost()
        else {
          this.#unwritten = error
          this.#tab.fail(error)
        }
      },
    })
    this.#resume()
    this.#wake()
  }

  /** Another engine is. Resolves when nothing here holds the storage any more. */
  async #unkeep(): Promise<void> {
    const [persist, medium] = [this.#persist, this.#medium]
    this.#expiry.stop()
    this.#persist = undefined
    this.#medium = undefined
    if (!persist) return
    persist.resign(notLeader())
    this.#hearer.emit('role', { role: 'follower' })
    await persist.settled()
    await medium?.close()
  }

  /** Nothing is written any more. */
  #failed(error: RevkvError): void {
    this.#expiry.stop()
    this.#retainer.stop()
    this.#hearer.report(error)
    if (!this.core.trap) return
    // Of a store that nothing else holds, nothing is left.
    this.watchers.end(error)
    this.close().catch(() => {})
  }

  /** The engine had stopped, and another is in its place. */
  #rebuilt(trap: RevkvError): void {
    this.#noticeContent(true)
    this.watchers.reopen(this.core.call((engine) => engine.durableRevision))
    this.#hearer.emit('healed', { error: trap })
  }

  /** Another tab has said something, or asked for it; then `durability` says how it is to be stored. */
  #told(durability: 'relaxed' | 'strict' | undefined): void {
    const { revision, durableRevision } = this.watchers.horizon()
    this.#noticeContent()
    this.changes++
    this.#wake()
    this.watchers.wake()
    if (this.#noticeCompaction()) this.#compactInBackground()
    const isNew = revision > this.#seen.revision
    this.#seen.revision = revision
    if (!this.#persist) {
      if (isNew) this.#hearer.emit('durable', { revision: durableRevision })
    } else if (durability) {
      this.#changed()
      this.#persist.written(durability).catch(() => {})
    } else {
      // It may be that nobody is given everything any more, for which removal has waited.
      this.#compactInBackground()
    }
  }

  async #written(durability: 'relaxed' | 'strict'): Promise<void> {
    try {
      if (this.#persist) return await this.#persist.written(durability)
    } catch (e) {
      if (!this.#tab || !isNotLeader(e)) throw e
    }
    await this.#tab?.settled()
  }

  /** Only whoever stores it takes over what another store says. */
  #checkKept(): void {
    if (!this.#persist) throw notLeader()
    this.#persist.check(true)
  }

  #wake(): void {
    if (this.#awaiting.length > 0) for (const resolve of this.#awaiting.splice(0)) resolve()
  }

  #changed(): void {
    this.changes++
    this.#wake()
    this.#persist?.changed()
    this.watchers.wake()
    this.#retainer.changed()
    this.#armExpiry()
  }

  async #askElsewhere(request: Uint8Array): Promise<wire.Reader> {
    if (this.elsewhere) return this.elsewhere.ask(request.slice())
    const text = 'The store mirrors a cluster, which alone gives it revisions: write by a mirror with `write: true`.'
    throw new RevkvError('NOT_LEADER', text)
  }

  /** What was known of the content is not any more, if it is another. */
  #noticeContent(isOther = false): void {
    this.#isMirror = isMirror(this.core.call((engine) => engine.incarnation))
    const replaced = this.core.call((engine) => engine.replaced)
    if (replaced === this.#seen.replaced && !isOther) return
    this.#seen.replaced = replaced
    this.changes++
    this.life++
  }

  #noticeCompaction(): boolean {
    const compactRevision = this.core.call((engine) => engine.compactRevision)
    const isNew = compactRevision > this.#seen.compactRevision
    this.#seen.compactRevision = compactRevision
    if (isNew) this.#hearer.emit('compacted', { revision: compactRevision })
    return isNew
  }

  #leaseInfo(id: bigint): wire.LeaseInfo | undefined {
    const packed = this.core.call((engine) => engine.lease(id, Date.now()))
    return packed && wire.readLease(packed)
  }

  /** Whoever leads ends the leases. */
  #armExpiry(): void {
    if (this.#persist) this.#expiry.set(this.core.call((engine) => engine.nextDeadline()))
  }

  #expire(): void {
    try {
      const before = this.core.call((engine) => engine.revision)
      this.core.call((engine) => engine.tick(Date.now()))
      // A lease without keys leaves nothing that could be missed.
      if (this.core.call((engine) => engine.revision) > before) this.#changed()
      else this.#persist?.start()
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
    try {
      if (this.#persist) return await this.#compactStored(revision, this.#persist)
    } catch (e) {
      if (!this.#tab || !isNotLeader(e)) throw e
    }
    await this.#tab?.ask(wire.packCompact(revision), this.durability === 'strict')
  }

  async #compactStored(revision: number, persist: Persist): Promise<void> {
    const { durableRevision, newest } = this.core.call((engine) => ({
      durableRevision: engine.durableRevision,
      newest: engine.revision,
    }))
    // A listener that only hears of durable revisions must not be overtaken by forgetting others.
    if (revision > durableRevision && revision <= newest) await persist.written('relaxed')
    await this.watchers.settled()
    this.apply(wire.packCompact(revision))
    // Waited for from here on: a storage that fails before the removal is done may take it back.
    const noted = persist.written('relaxed')
    noted.catch(() => {})
    this.#noticeCompaction()
    await this.#compactPhysically()
    await noted
    await persist.written(this.durability === 'memory' ? 'relaxed' : this.durability)
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
    this.#persist?.start()
  }

  /** Asks the storage in the background; what it says is told the next time. */
  async #measureStorage(): Promise<void> {
    if (!this.#medium || this.#isMeasuring || this.#closing) return
    this.#isMeasuring = true
    this.#storageBytes = (await this.#medium.bytesUsed()) ?? this.#storageBytes
    this.#isMeasuring = false
  }
}

const hosts = new WeakMap<object, Host>()

/** The host that a store is a view of. */
export function hostOf(store: unknown): Host | undefined {
  return typeof store === 'object' && store !== null ? hosts.get(store) : undefined
}

/** Lets `hostOf` find it. */
export function noteHost(store: object, host: Host): void {
  hosts.set(store, host)
}

const noTabs = { followers: 0, lag: 0, dropped: 0 }

function isNotLeader(e: unknown): boolean {
  return RevkvError.is(e) && e.code === 'NOT_LEADER'
}
