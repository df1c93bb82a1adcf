// Watches: who reads which of the engine's watchers, and when they are woken.
//
// A watcher in the engine is a place in the history, not a queue. A reader that is behind costs nothing more; it takes
// the next whole revisions when it asks. Why not push every batch to an iterator's buffer? Because a reader that stops
// reading would keep the whole history alive a second time.

import * as args from './arguments.js'
import { asyncDispose } from './dispose.js'
import { type Form, readTaken } from './entry.js'
import { RevkvError } from './errors.js'
import type { Keyspace } from './keyspace.js'
import type { Scope } from './scope.js'
import type { Key, Range, Unsubscribe, Watch, WatchBatch, WatchOptions } from './types.js'
import type { Core } from './wasm.js'
import { type KeyRange, packTakeMany, packWatch, Reader, type WatchRequest } from './wire.js'

/** Events crossed at once: one crossing costs little beside decoding a thousand, and a thousand are soon used. */
const eventsMax = 1000

const watchOptions = ['from', 'prevEntry', 'only', 'durable', 'progress', 'onCompacted', 'signal']

interface Wish {
  request: WatchRequest
  durable: boolean
  progress: boolean
  signal: AbortSignal | undefined
}

function checkWatch(space: Keyspace, target: unknown, given: args.Given): Wish {
  const only = args.oneOf(given.only, ['put', 'delete'], 'only')
  return {
    request: {
      keys: space.target(target),
      startRevision: args.natural(given.from, 'from'),
      prevKv: args.flag(given.prevEntry, 'prevEntry'),
      noPut: only === 'delete',
      noDelete: only === 'put',
      resync: args.oneOf(given.onCompacted, ['throw', 'resync'], 'onCompacted') === 'resync',
    },
    durable: args.flag(given.durable, 'durable'),
    progress: args.flag(given.progress, 'progress'),
    signal: args.abortSignal(given.signal),
  }
}

/** How far a turn of delivery goes: what is written while it runs belongs to the next one. */
export interface Horizon {
  revision: number
  durableRevision: number
}

/** One watcher of the engine, and how far its reader has come. */
class Cursor<V> {
  id: number
  readonly progress: boolean
  progressRequested = false
  readonly #core: Core
  readonly #form: Form<V>
  readonly #durable: boolean
  readonly #request: WatchRequest
  /** The last revision the reader has been told of. */
  #last: number
  /** Nothing up to this revision is left to be given. Never one that is not there yet. */
  #through: number

  constructor(core: Core, form: Form<V>, wish: Wish) {
    this.#core = core
    this.#form = form
    this.#durable = wish.durable
    this.progress = wish.progress
    const { startRevision } = wish.request
    this.#request = wish.request
    const newest = core.call((engine) => engine.revision)
    this.#last = startRevision > 0 ? startRevision - 1 : newest
    this.#through = Math.min(this.#last, newest)
    const request = packWatch(wish.request)
    this.id = core.call((engine) => engine.watch(request))
  }

  /** Goes on in another engine, which has what was up to revision `kept`. It has to have been told of no more. */
  reopen(kept: number): void {
    // The number it had may be another's in the new engine; none has 0.
    this.id = 0
    if (this.#through > kept) throw new RevkvError('RESTORED', 'What this watch was told of last is gone: read anew.')
    const startRevision = Math.max(this.#request.startRevision, this.#through + 1)
    const request = packWatch({ ...this.#request, startRevision })
    this.id = this.#core.call((engine) => engine.watch(request))
  }

  upTo(horizon: Horizon): number {
    return this.#durable ? horizon.durableRevision : horizon.revision
  }

  hasAll(horizon: Horizon): boolean {
    return this.#through >= this.upTo(horizon)
  }

  /**
   * The next batches up to the horizon; an empty one when progress is wanted and there is some. `ahead` is what the engine
   * has given for it already.
   */
  take(horizon: Horizon, ahead?: Uint8Array | RevkvError): WatchBatch<V>[] {
    if (RevkvError.is(ahead)) throw ahead
    const upTo = this.upTo(horizon)
    // Nothing is durable yet of a content that was restored; to the engine a 0 would be everything.
    if (upTo === 0) return []
    const taken = ahead ?? this.#core.call((engine) => engine.takeEvents(this.id, upTo, eventsMax))
    const { batches, through } = readTaken(new Reader(taken), this.#form)
    this.#through = Math.max(this.#through, through)
    const newest = batches.at(-1)
    if (newest) {
      this.#last = newest.revision
      return batches
    }
    const moved = this.progress && through > this.#last
    if (!moved && !(this.progressRequested && through >= this.#last)) return []
    this.progressRequested = false
    this.#last = through
    return [{ revision: through, changes: [] }]
  }
}

/** Who follows a watcher of the engine: an iterator, a listener or a live query. */
export interface Subscriber {
  readonly scope: Scope<unknown>
  /** Hands on what its watcher `id` has up to the horizon; what user code throws is added to `failures`. */
  deliver(horizon: Horizon, failures: unknown[], id: number, ahead?: Uint8Array | RevkvError): void
  /** Up to which revision all it has not seen is handed on in a turn; absent where it takes only what is asked of it. */
  takesUpTo?(horizon: Horizon): number
  /** Opens its watchers in another engine, which has what was up to revision `kept`; what it throws ends it. */
  reopen(kept: number): void
  /** The store is closing, or with an error, the watch cannot go on. */
  end(error?: unknown): void
  readonly wantsProgress: boolean
}

/** All watches of one engine. */
export class Watchers {
  readonly #core: Core
  readonly #report: (error: unknown) => void
  /** By the engine's number for the watcher, which grows: so this is also the order of delivery. */
  readonly #subscribers = new Map<number, Subscriber>()
  /** Those that want to hear of progress too, whether or not something of theirs has changed. */
  readonly #progress = new Set<number>()
  #turn: Promise<void> | undefined

  constructor(core: Core, report: (error: unknown) => void) {
    this.#core = core
    this.#report = report
  }

  watch<V>(scope: Scope<V>, target: Key | Range, options: WatchOptions | undefined): Watch<V> {
    const wish = checkWatch(scope.form.space, target, args.options(options, watchOptions, 'watch'))
    return new WatchIterator(this, scope, wish)
  }

  on<V>(scope: Scope<V>, target: Key | Range, listener: (batch: WatchBatch<V>) => void, options: unknown): Unsubscribe {
    const given = args.options(options, [...watchOptions, 'onError'], 'on')
    const wish = checkWatch(scope.form.space, target, given)
    args.callback(listener, 'listener')
    if (given.onError !== undefined) args.callback(given.onError, 'onError')
    const onError = (given.onError as ((error: unknown) => void) | undefined) ?? this.#report
    const started = new Listener(this, scope, wish, listener, onError)
    return () => started.end()
  }

  /** Opens a cursor now, so that where a watch starts is settled by the call. */
  open<V>(scope: Scope<V>, wish: Wish, subscriber: Subscriber): Cursor<V> {
    const cursor = new Cursor(this.#core, scope.form, wish)
    this.#subscribers.set(cursor.id, subscriber)
    if (wish.progress) this.#progress.add(cursor.id)
    // What a past `from` asks for is there already.
    this.wake()
    return cursor
  }

  /** Lets a subscriber know of changes from `revision` on. It looks for itself what they are. */
  follow(keys: KeyRange, revision: number, subscriber: Subscriber): number {
    const request = packWatch({ ...quiet, keys, startRevision: revision })
    const id = this.#core.call((engine) => engine.watch(request))
    this.#subscribers.set(id, subscriber)
    this.wake()
    return id
  }

  /** A follower knows of everything so far. */
  skip(id: number): void {
    this.#core.call((engine) => engine.skipEvents(id))
  }

  requestProgress(cursor: Cursor<unknown>): void {
    cursor.progressRequested = true
    this.#progress.add(cursor.id)
    this.wake()
  }

  leave(id: number): void {
    if (!this.#subscribers.delete(id)) return
    this.#progress.delete(id)
    try {
      this.#core.call((engine) => engine.cancelWatch(id))
    } catch (e) {
      // An engine that is gone has no watchers left to cancel.
      if (!RevkvError.is(e)) throw e
    }
  }

  /** The engine has stopped. The store has heard of it, and opens the watches in another, or ends them. */
  get isStopped(): boolean {
    return this.#core.trap !== undefined
  }

  horizon(): Horizon {
    return this.#core.call(({ revision, durableRevision }) => ({ revision, durableRevision }))
  }

  /** Delivers in a microtask, when the engine has returned and the caller's own turn is over. */
  wake(): void {
    if (this.#subscribers.size === 0) return
    this.#turn ??= Promise.resolve().then(() => {
      this.#turn = undefined
      this.#deliver()
    })
  }

  /** Resolves when the turn that is due, if any, is over. */
  async settled(): Promise<void> {
    await this.#turn
  }

  /** Runs something of the user's apart from the turn it belongs to. What it throws, or adds to `failures`, is reported. */
  later(work: (failures: unknown[]) => void): void {
    queueMicrotask(() => {
      const failures: unknown[] = []
      try {
        work(failures)
      } catch (e) {
        failures.push(e)
      }
      for (const failure of failures) this.#report(failure)
    })
  }

  end(error?: unknown): void {
    for (const subscriber of [...this.#subscribers.values()]) subscriber.end(error)
  }

  /** Goes on in another engine, which has what was up to revision `kept`: in the same order. */
  reopen(kept: number): void {
    const subscribers = new Set(this.#subscribers.values())
    this.#subscribers.clear()
    this.#progress.clear()
    for (const subscriber of subscribers) {
      try {
        subscriber.reopen(kept)
      } catch (e) {
        // Where this engine has stopped too they wait for the next, under numbers that no watcher has.
        if (this.isStopped) this.#subscribers.set(-1 - this.#subscribers.size, subscriber)
        else subscriber.end(e)
      }
    }
    this.wake()
  }

  /** The same for one cursor. */
  resume(cursor: Cursor<unknown>, subscriber: Subscriber, kept: number): void {
    cursor.reopen(kept)
    this.#subscribers.set(cursor.id, subscriber)
    if (subscriber.wantsProgress) this.#progress.add(cursor.id)
  }

  /** Ends those of a namespace that was closed. */
  endClosed(): void {
    for (const subscriber of [...this.#subscribers.values()]) if (subscriber.scope.closed) subscriber.end()
  }

  #deliver(): void {
    const failures: unknown[] = []
    try {
      const horizon = this.horizon()
      const due = [...this.#due()]
      const ahead = this.#takeAhead(due, horizon)
      for (const id of due) this.#subscribers.get(id)?.deliver(horizon, failures, id, ahead.get(id))
    } catch (e) {
      if (!this.isStopped) this.end(e)
    }
    for (const failure of failures) this.#report(failure)
  }

  /** What those who hand all on have to hand on, in one crossing for all of them. */
  #takeAhead(due: readonly number[], horizon: Horizon): Map<number, Uint8Array | RevkvError> {
    const wanted: { id: number; upTo: number }[] = []
    for (const id of due) {
      const upTo = this.#subscribers.get(id)?.takesUpTo?.(horizon)
      // 0 would be all there is.
      if (upTo) wanted.push({ id, upTo })
    }
    if (wanted.length < 2) return new Map()
    const taken = this.#core.call((engine) => engine.takeMany(packTakeMany(wanted), eventsMax))
    return new Map(taken.map((answer, i) => [(wanted[i] as { id: number }).id, answer]))
  }

  /** Watchers with something to take, and those that want to hear of progress, in the order they were opened. */
  #due(): Iterable<number> {
    const changed = this.#core.call((engine) => engine.pendingWatches())
    if (this.#progress.size === 0) return changed
    const due = [...new Set([...changed, ...this.#progress])].sort((a, b) => a - b)
    // A single request is served the next time its reader asks; then it is like any other.
    for (const id of this.#progress) if (!this.#subscribers.get(id)?.wantsProgress) this.#progress.delete(id)
    return due
  }
}

/** A watch that is not read. */
const quiet = { prevKv: false, noPut: false, noDelete: false, resync: true }

/** Ends `subscriber` with the signal's reason; gives what takes the signal off again. */
function follow(signal: AbortSignal | undefined, abort: (reason: unknown) => void): () => void {
  if (!signal) return () => {}
  const aborted = () => abort(signal.reason)
  signal.addEventListener('abort', aborted, { once: true })
  return () => signal.removeEventListener('abort', aborted)
}

type Next<V> = IteratorResult<WatchBatch<V>, undefined>

interface PendingNext<V> {
  resolve(next: Next<V>): void
  reject(reason: unknown): void
}

/** The pull form. It takes from the engine only while someone waits in `next`. */
class WatchIterator<V> implements Watch<V>, AsyncIterator<WatchBatch<V>, undefined>, Subscriber {
  readonly scope: Scope<V>
  readonly #watchers: Watchers
  #cursor: Cursor<V> | undefined
  #unfollow: () => void = () => {}
  /** What the last crossing brought and has not been handed out. */
  #taken: WatchBatch<V>[] = []
  #pending: PendingNext<V>[] = []
  #ended = false
  /** Told to the next reader, once. */
  #failure: { reason: unknown } | undefined

  constructor(watchers: Watchers, scope: Scope<V>, wish: Wish) {
    this.#watchers = watchers
    this.scope = scope
    if (wish.signal?.aborted) {
      this.#fail(wish.signal.reason)
      return
    }
    try {
      this.#cursor = watchers.open(scope, wish, this)
    } catch (e) {
      if (!RevkvError.is(e) || e.code !== 'COMPACTED') throw e
      this.end(e)
      return
    }
    this.#unfollow = follow(wish.signal, (reason) => this.#fail(reason))
  }

  reopen(kept: number): void {
    if (this.#cursor) this.#watchers.resume(this.#cursor, this, kept)
  }

  get wantsProgress(): boolean {
    return this.#cursor !== undefined && (this.#cursor.progress || this.#cursor.progressRequested)
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch<V>, undefined> {
    return this
  }

  next(): Promise<Next<V>> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        const { reason } = this.#failure
        this.#failure = undefined
        return reject(reason)
      }
      if (this.#ended) return resolve({ done: true, value: undefined })
      this.#pending.push({ resolve, reject })
      this.#serve()
    })
  }

  return(): Promise<Next<V>> {
    this.close()
    return Promise.resolve({ done: true, value: undefined })
  }

  close(): void {
    this.end()
    this.#failure = undefined
  }

  async [asyncDispose](): Promise<void> {
    this.close()
  }

  requestProgress(): void {
    if (this.#cursor) this.#watchers.requestProgress(this.#cursor)
  }

  deliver(): void {
    if (this.#pending.length > 0) this.#serve()
  }

  end(error?: unknown): void {
    if (error !== undefined) return this.#fail(error)
    this.#leave()
    for (const { resolve } of this.#takePending()) resolve({ done: true, value: undefined })
  }

  #fail(reason: unknown): void {
    if (this.#ended) return
    this.#leave()
    const [first, ...others] = this.#takePending()
    if (first) first.reject(reason)
    else this.#failure = { reason }
    for (const { resolve } of others) resolve({ done: true, value: undefined })
  }

  #leave(): void {
    this.#ended = true
    this.#taken = []
    this.#unfollow()
    if (this.#cursor) this.#watchers.leave(this.#cursor.id)
    this.#cursor = undefined
  }

  #takePending(): PendingNext<V>[] {
    const pending = this.#pending
    this.#pending = []
    return pending
  }

  /** Gives the waiting, first come first served, what there is. */
  #serve(): void {
    try {
      while (this.#pending.length > 0 && this.#cursor) {
        if (this.#taken.length === 0) this.#taken = this.#cursor.take(this.#watchers.horizon())
        const value = this.#taken.shift()
        if (!value) return
        this.#pending.shift()?.resolve({ done: false, value })
      }
    } catch (e) {
      // COMPACTED: history went on without this reader.
      if (!this.#watchers.isStopped) this.#fail(e)
    }
  }
}

/** The push form. */
class Listener<V> implements Subscriber {
  readonly scope: Scope<V>
  readonly #watchers: Watchers
  readonly #listener: (batch: WatchBatch<V>) => void
  readonly #onError: (error: unknown) => void
  #cursor: Cursor<V> | undefined
  #ended = false
  #unfollow: () => void = () => {}

  constructor(
    watchers: Watchers,
    scope: Scope<V>,
    wish: Wish,
    listener: (batch: WatchBatch<V>) => void,
    onError: (error: unknown) => void,
  ) {
    this.#watchers = watchers
    this.scope = scope
    this.#listener = listener
    this.#onError = onError
    if (wish.signal?.aborted) return
    try {
      this.#cursor = watchers.open(scope, wish, this)
    } catch (e) {
      if (!RevkvError.is(e) || e.code !== 'COMPACTED') throw e
      watchers.later(() => {
        if (!this.#ended) onError(e)
      })
      return
    }
    // Whoever aborts knows; a listener has no reader to be told.
    this.#unfollow = follow(wish.signal, () => this.end())
  }

  reopen(kept: number): void {
    if (this.#cursor) this.#watchers.resume(this.#cursor, this, kept)
  }

  get wantsProgress(): boolean {
    return this.#cursor?.progress === true
  }

  takesUpTo(horizon: Horizon): number {
    return this.#cursor?.upTo(horizon) ?? 0
  }

  deliver(horizon: Horizon, failures: unknown[], _id: number, ahead?: Uint8Array | RevkvError): void {
    for (let taken = ahead; ; taken = undefined) {
      const batches = this.#take(horizon, taken)
      if (batches.length === 0) return
      for (const batch of batches) {
        // The listener, or one before it, may have cancelled this watch or closed the store.
        if (!this.#cursor) return
        try {
          this.#listener(batch)
        } catch (e) {
          failures.push(e)
        }
      }
      if (!this.#cursor || this.#cursor.hasAll(horizon)) return
    }
  }

  end(error?: unknown): void {
    this.#ended = true
    const cursor = this.#cursor
    if (!cursor) return
    this.#cursor = undefined
    this.#unfollow()
    this.#watchers.leave(cursor.id)
    if (error !== undefined) this.#watchers.later(() => this.#onError(error))
  }

  #take(horizon: Horizon, ahead: Uint8Array | RevkvError | undefined): WatchBatch<V>[] {
    try {
      return this.#cursor?.take(horizon, ahead) ?? []
    } catch (e) {
      if (!this.#watchers.isStopped) this.end(e)
      return []
    }
  }
}
