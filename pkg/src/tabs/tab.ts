// This tab among those that have the same database open: it leads, with the storage in its hands, or follows whoever does.
//
// What tabs say to each other the engine decides (`src/replica/message.rs` draws it). Here are the things it does not have:
// the lock, the channel, the clock, and the promises of those who wait for an answer.

import { claim } from '../claim.js'
import { isBytes } from '../codecs.js'
import { detachable } from '../detachable.js'
import type { Engine } from '../engine.js'
import { RevkvError } from '../errors.js'
import { Medium, newCore } from '../medium.js'
import { Sentinel } from '../sentinel.js'
import type { StorageAdapter, Transport, TransportChannel } from '../types.js'
import type { Core } from '../wasm.js'
import { Reader, requestBytesMax } from '../wire.js'
import { Election } from './election.js'
import type { Asked, Came, Outgoing, TabStats } from './messages.js'
import { onPageLife } from './page.js'

/** The store that this tab shows. */
export interface Shown {
  /** From now on it writes to the storage, which the engine has claimed. */
  lead(medium: Medium, sentinel: Sentinel | undefined): void
  /** From now on it writes no more. Resolves when it has let go of the storage. */
  follow(): Promise<void>
  /** Resolves when what was written here is on its way to the storage, or waits for what is. */
  sent(): Promise<void>
  /** Resolves when all that was applied is in the storage. */
  written(durability: 'relaxed' | 'strict'): Promise<void>
  /** Others may have changed the content, or asked for something that has to be stored. */
  told(durability?: 'relaxed' | 'strict'): void
  /** The engine had stopped, and another has taken its place. */
  replaced(trap: RevkvError): void
  /** Nothing is written any more. */
  failed(error: RevkvError): void
  report(error: unknown): void
}

export interface TabParts {
  core: Core
  name: string
  storage: StorageAdapter
  transport: Transport
  maxBytes: number
}

interface Pending extends Asked {
  isStrict: boolean
  promise: Promise<Reader>
  resolve(answer: Reader): void
  reject(reason: unknown): void
}

/** What a message begins with. The engine's own are to be stored as whoever sends them asks for. */
const kinds = { relaxed: 0, strict: 1, ask: 2, alive: 3 }
/** No tab says more at once than one may write at once, and a little around it. */
const messageBytesMax = requestBytesMax + (1 << 16)
/** What is lost is asked for again as often as this. */
const tickMs = 1000
/** So many requests are with the leader at a time: `REQUESTS_MAX`. */
const submittedMax = 64
/** How long, and how often, a storage is waited for that whoever led has not let go of. */
const retryMs = 500
const retriesMax = 8
/** A tab that is closed waits so long for what it has asked for. */
const closeMsMax = 10_000

/**
 * Invariants:
 * - numbers of requests ascend from 1; those from `#submitting` on are not with the engine yet;
 * - a request is settled once; while it is not, whoever leads is asked again, or applies it by `applyOnce`;
 * - `#core` is the store's own, but while a follower's engine has stopped: then the one that is to replace it.
 */
export class Tab {
  readonly #id = randomTabId()
  readonly #name: string
  readonly #storage: StorageAdapter
  readonly #transport: Transport
  readonly #maxBytes: number
  readonly #sentinel: Sentinel | undefined
  readonly #election: Election
  readonly #own: Core
  #core: Core
  #trap: RevkvError | undefined
  #shown: Shown | undefined
  #channel: TransportChannel | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #unhear = () => {}
  #leads = false
  #isReady = false
  #ended = false
  /** Why this tab has no part in it any more. */
  #failure: RevkvError | undefined
  readonly #opened = newDeferred<void>()
  /** Those who wait for the next time that this tab begins to lead, or cannot. */
  #leading: (() => void)[] = []
  readonly #pending = new Map<number, Pending>()
  /** So many of them are to be flushed. */
  #strict = 0
  #next = 1
  #submitting = 1
  #dropped = 0
  /** Leaving and coming back, one after the other. */
  #life: Promise<void> = Promise.resolve()

  constructor({ core, name, storage, transport, maxBytes }: TabParts) {
    this.#own = core
    this.#core = core
    this.#name = name
    this.#storage = storage
    this.#transport = transport
    this.#maxBytes = maxBytes
    this.#sentinel = Sentinel.of(storage, name)
    this.#election = new Election(`revkv:${storage.name}:${name}`, {
      elected: () => {
        // Before the storage is read, or whoever else has heard nothing takes the lock away again.
        this.#channel?.send(Uint8Array.of(kinds.alive))
        this.#takeLead()
      },
      deposed: () => this.#deposed(),
      ask: () => this.#channel?.send(Uint8Array.of(kinds.ask)),
      failed: (error) => this.fail(error),
    })
    this.#opened.promise.catch(() => {})
  }

  get leads(): boolean {
    return this.#leads
  }

  start(shown: Shown): void {
    this.#shown = shown
    this.#follow()
    this.#arrive()
    const timer: unknown = setInterval(() => this.#tick(), tickMs)
    this.#timer = timer as ReturnType<typeof setInterval>
    ;(timer as { unref?(): void }).unref?.()
    this.#unhear = onPageLife(
      () => this.#then(() => this.#leave()),
      () => this.#then(() => this.#arrive()),
    )
  }

  /** Resolves when it leads, or has everything that whoever leads has stored. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    return detachable(this.#opened.promise, signal)
  }

  /** Asks whoever leads for a write; the reader stands behind the answer's kind. */
  ask(request: Uint8Array, isStrict: boolean): Promise<Reader> {
    if (this.#ended) return Promise.reject(new RevkvError('CLOSED', 'The store is closed.'))
    if (this.#failure) {
      const text = 'The storage has failed, so nothing more is written; close the store and open it again.'
      return Promise.reject(new RevkvError('STORAGE_LOST', text, { cause: this.#failure }))
    }
    const number = this.#next++
    const pending: Pending = { number, request: request.slice(), isStrict, ...newDeferred<Reader>() }
    this.#pending.set(number, pending)
    if (isStrict) this.#strict++
    this.#submit()
    return pending.promise
  }

  /** Makes this tab the one that leads, whoever does. */
  async lead(): Promise<void> {
    while (!this.#leads && !this.#ended) {
      this.#election.seize()
      await new Promise<void>((resolve) => this.#leading.push(resolve))
    }
  }

  /** More is stored: whoever follows is told. */
  stored(): void {
    if (this.#leads) this.#send((engine) => engine.advanceTabs())
  }

  /** The engine had stopped, and another has read the storage. */
  rebuilt(): void {
    if (this.#leads) this.#send((engine) => engine.lead(this.#id))
  }

  /** Another tab writes to the storage, though the lock is here still. */
  lost(): void {
    if (!this.#leads) return
    this.#then(() => this.#election.resign()).then(() => this.#ended || this.#election.stand())
    this.#deposed()
  }

  /** Resolves when all that was asked for so far is settled. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#pending.values()].map(({ promise }) => promise))
  }

  stats(): TabStats {
    const stats = this.#core.call((engine) => engine.tabStats())
    return { ...stats, dropped: stats.dropped + this.#dropped }
  }

  /** What whoever follows has asked for is brought to its end; then others may lead. The store has closed the storage. */
  async close(): Promise<void> {
    this.#ended = true
    this.#unhear()
    clearInterval(this.#timer)
    this.#channel?.close()
    this.#channel = undefined
    const error = new RevkvError('CLOSED', 'The store was closed; whether this was written is not known.')
    this.#opened.reject(error)
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
    await this.#election.resign()
  }

  /** Resolves when everything asked for is settled, or after a while. */
  async asked(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeMsMax)
    })
    await Promise.race([this.settled(), late])
    clearTimeout(timer)
  }

  // Coming and going.

  #then(work: () => Promise<void> | void): Promise<void> {
    this.#life = this.#life.then(work).catch((e: unknown) => this.#shown?.report(e))
    return this.#life
  }

  #arrive(): void {
    if (this.#ended || this.#failure || this.#channel) return
    this.#channel = this.#transport.join(`${this.#storage.name}:${this.#name}`, String(this.#id), (message) =>
      this.#receive(message),
    )
    this.#election.stand()
    this.#tick()
  }

  /**
   * The page is put aside, where it must not hold up others: not with the lock, nor with a channel, for which it would be
   * thrown away by the first message.
   */
  async #leave(): Promise<void> {
    if (!this.#channel) return
    // Nothing that takes the storage's answer: a frozen page gets none, though it still gets messages.
    if (this.#leads) await this.#shown?.sent()
    const stepped = this.#leads ? this.#stepDown() : undefined
    this.#channel?.close()
    this.#channel = undefined
    await this.#election.resign()
    await stepped
  }

  #tick(): void {
    if (!this.#channel) return
    this.#send((engine) => engine.tickTabs(Date.now()))
    if (this.#leads) this.#shown?.told()
  }

  // Leading and following.

  #follow(): void {
    this.#leads = false
    const asked = [...this.#pending.values()].slice(0, submittedMax)
    this.#submitting = asked.length > 0 ? (asked.at(-1) as Pending).number + 1 : this.#next
    this.#core.call((engine) => engine.follow(asked, this.#id, this.#submitting))
    this.#core.onTrap = (trap) => this.#trapped(trap)
  }

  async #stepDown(): Promise<void> {
    this.#follow()
    await this.#shown?.follow()
  }

  #deposed(): void {
    if (!this.#leads) return
    const stepped = this.#stepDown()
    this.#then(() => stepped)
    this.#tick()
  }

  async #takeLead(): Promise<void> {
    for (let tries = 0; this.#election.isElected && !this.#ended; tries++) {
      try {
        // What it wrote when it led before comes first.
        await this.#life
        await this.#claim()
        return
      } catch (e) {
        // What fails after the lock was taken away is for whoever has it.
        if (!this.#election.isElected) return
        if (!this.#isWorthAnother(e, tries)) return this.fail(e)
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
  }

  #isWorthAnother(e: unknown, tries: number): boolean {
    if (!RevkvError.is(e)) return false
    // Whoever led may take any time to let go of its files: it may be frozen.
    if (e.code === 'STORAGE_BLOCKED' && this.#isReady) return true
    const codes = this.#isReady ? ['NOT_LEADER', 'ENGINE_FAILED'] : ['NOT_LEADER', 'STORAGE_BLOCKED']
    return codes.includes(e.code) && tries < retriesMax
  }

  async #claim(): Promise<void> {
    const medium = await Medium.open(this.#storage, this.#name, this.#maxBytes)
    try {
      const found = await claim(medium, this.#sentinel, {
        beside: this.#core,
        accept: (found) => this.#checkKept(found),
      })
      if (!this.#election.isElected || this.#ended) {
        found.free()
        return await medium.close()
      }
      this.#core.adopt(found, (engine, found) => engine.takeLead(found))
    } catch (e) {
      await medium.close()
      throw e
    }
    this.#leads = true
    this.#revived()
    this.#shown?.lead(medium, this.#sentinel)
    this.#shown?.told('relaxed')
    this.#send((engine) => engine.lead(this.#id))
    for (const pending of [...this.#pending.values()]) this.#applyOwn(pending)
    this.#arrived()
  }

  #arrived(): void {
    for (const resolve of this.#leading.splice(0)) resolve()
    this.#isReady = true
    this.#opened.resolve()
  }

  /** A database that holds nothing, where this tab has seen something, was thrown away, or is another's to begin anew. */
  #checkKept(found: Core): void {
    const [here, there] = [this.#own, found].map((core) => (core.trap ? 1 : core.call((engine) => engine.revision)))
    if (!this.#isReady || here === 1 || there !== 1) return
    throw new RevkvError('EVICTED', 'The database was deleted while it was open; what it held is in memory only.')
  }

  /** Nothing more is written here; another tab may do better. */
  fail(e: unknown): void {
    if (this.#failure || this.#ended) return
    const error = RevkvError.is(e)
      ? e
      : new RevkvError('STORAGE_LOST', 'The storage cannot be taken over.', { cause: e })
    this.#failure = error
    if (this.#leads) this.#then(() => this.#stepDown())
    this.#then(() => this.#election.resign())
    this.#channel?.close()
    this.#channel = undefined
    for (const resolve of this.#leading.splice(0)) resolve()
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
    if (this.#isReady) this.#shown?.failed(error)
    else this.#opened.reject(error)
  }

  /** The engine of a follower has stopped: another begins with nothing, and takes its place when it has everything. */
  #trapped(trap: RevkvError): void {
    this.#trap = trap
    this.#core = newCore(0, 0).start()
    this.#follow()
    this.#tick()
  }

  /** Goes on with the engine that has everything now. */
  #revived(): void {
    const trap = this.#trap
    if (!trap) return
    this.#own.replace(this.#core, true)
    this.#core = this.#own
    this.#trap = undefined
    this.#shown?.replaced(trap)
  }

  // Requests.

  #submit(): void {
    while (!this.#leads && this.#channel && this.#submitting < this.#next) {
      const pending = this.#pending.get(this.#submitting)
      if (pending) {
        const outgoing = this.#core.call((engine) => engine.submit(pending.request))
        if (!outgoing) return
        this.#post(outgoing)
      }
      this.#submitting++
    }
  }

  /** A request that was asked of others, and may have been applied by one of them. */
  async #applyOwn(pending: Pending): Promise<void> {
    try {
      const came = this.#core.call((engine) => engine.applyOnce(pending, this.#id, Date.now()))
      this.#shown?.told('relaxed')
      await this.#shown?.written(pending.isStrict ? 'strict' : 'relaxed')
      this.#settle(pending, came)
    } catch (e) {
      // What was taken over before it was stored is asked of whoever has.
      if (RevkvError.is(e) && e.code === 'NOT_LEADER') return
      if (this.#done(pending)) pending.reject(e)
    }
  }

  #settle(pending: Pending, came: Came): void {
    if (!this.#done(pending)) return
    if (came === 'answered-before') {
      const text = 'It was written, but the tab that led is gone, and its answer with it.'
      pending.reject(new RevkvError('NOT_LEADER', text, { retryable: false }))
    } else if ('code' in came) {
      pending.reject(new RevkvError(came.code as RevkvError['code'], came.message))
    } else {
      const reader = new Reader(came.response)
      reader.u32()
      pending.resolve(reader)
    }
  }

  /** `false`: it was settled before. */
  #done(pending: Pending): boolean {
    const isPending = this.#pending.delete(pending.number)
    if (isPending && pending.isStrict) this.#strict--
    return isPending
  }

  // Messages.

  #receive(message: Uint8Array): void {
    if (this.#ended) return
    if (!isBytes(message) || message.length === 0 || message.length > messageBytesMax) {
      this.#dropped++
      return
    }
    switch (message[0]) {
      case kinds.ask:
        if (this.#election.isElected) this.#channel?.send(Uint8Array.of(kinds.alive))
        return
      case kinds.alive:
        return this.#election.heard()
      case kinds.relaxed:
        return this.#handle(message.subarray(1), 'relaxed')
      case kinds.strict:
        return this.#handle(message.subarray(1), 'strict')
      default:
        this.#dropped++
    }
  }

  #handle(message: Uint8Array, durability: 'relaxed' | 'strict'): void {
    try {
      const outgoing = this.#core.call((engine) => engine.handleMessage(message, Date.now()))
      this.#post(outgoing)
      if (this.#leads) return this.#shown?.told(durability)
      this.#heard()
    } catch (e) {
      if (RevkvError.is(e) && e.code === 'NOT_LEADER') this.lost()
      // That it has stopped is told by itself.
      else if (!this.#core.trap && !this.#trap) this.#shown?.report(e)
    }
  }

  /** As a follower, after each message. */
  #heard(): void {
    const { isInSync } = this.#core.call((engine) => engine.tabStats())
    if (isInSync) this.#revived()
    if (!this.#trap) this.#shown?.told()
    const done = this.#pending.size > 0 ? this.#core.call((engine) => engine.takeDone()) : []
    for (const { number, came } of done) {
      const pending = this.#pending.get(number)
      if (pending) this.#settle(pending, came)
    }
    this.#submit()
    if (isInSync && !this.#isReady) this.#arrived()
  }

  #send(what: (engine: Engine) => Outgoing[]): void {
    try {
      this.#post(this.#core.call(what))
    } catch (e) {
      if (!this.#core.trap) throw e
    }
  }

  #post(outgoing: readonly Outgoing[]): void {
    const isStrict = !this.#leads && this.#strict > 0
    for (const { to, bytes } of outgoing) {
      const message = new Uint8Array(1 + bytes.length)
      message[0] = isStrict ? kinds.strict : kinds.relaxed
      message.set(bytes, 1)
      this.#channel?.send(message, to === 0 ? undefined : String(to))
    }
  }
}

/** As large as a number can be exactly, and not 0, which is all tabs. */
function randomTabId(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number]
  return (high & 0x1fffff) * 2 ** 32 + low || 1
}

function newDeferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((res, rej) => {
    resolve = res
    reject = rej
  })
  return { promise, resolve, reject }
}
