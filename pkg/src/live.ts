// Live queries: the value of a function of the store, run again when something it has read has changed.
//
// What a run has read, and at which revision, says whether its value still holds; the engine answers that for any revision
// it can still read. So a live query that nobody subscribes to holds nothing in the engine: it asks when it is read. For
// subscribers, watchers of the engine say when to ask.

import * as args from './arguments.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { Host } from './host.js'
import { KeySet, spanOf } from './keyspace.js'
import type { Scope } from './scope.js'
import { TrackedView } from './snapshot.js'
import type { Live, ReadOptions, ReadView, Unsubscribe } from './types.js'
import type { Horizon, Subscriber } from './watch.js'
import type { KeyRange } from './wire.js'

/** More ranges than this are watched as one that spans them: a change between them costs a question, no run. */
const watchersMax = 16

/** Reads at the revision of the run, from among the newest values while nothing has been written since it began. */
class QueryView<V> extends TrackedView<V> {
  readonly #host: Host
  readonly #changes: number

  constructor(store: ReadView<V>, host: Host, scope: Scope<V>, reads: KeySet) {
    const revision = host.core.call((engine) => engine.revision)
    super(store, host, revision, 'run of the query', scope.form.space, (keys) => reads.add(keys))
    this.#host = host
    this.#changes = host.changes
  }

  protected override at(): ReadOptions {
    return this.#host.changes === this.#changes ? {} : super.at()
  }
}

/** What a run came to. Another object is another value. */
type Outcome<T> = { value: T } | { error: unknown }

/** The last run, and up to where it is known to hold. */
interface Run<T> {
  outcome: Outcome<T>
  reads: KeySet
  revision: number
  /** The host's counts when that was asked. */
  changes: number
  life: number
}

/**
 * Invariants: with subscribers, every range that the last run has read is watched from the revision on up to which it is
 * known to hold; without, nothing is watched.
 */
export class LiveQuery<V, T> implements Live<T>, Subscriber {
  readonly scope: Scope<V>
  readonly wantsProgress = false
  readonly #store: ReadView<V>
  readonly #host: Host
  readonly #query: (view: ReadView<V>) => T
  readonly #subscribers = new Set<{ onChange: () => void }>()
  /** The engine's watchers, by the name of what they watch. */
  readonly #watchers = new Map<string, number>()
  #run: Run<T> | undefined
  /** What the subscribers know of. */
  #told: Outcome<T> | undefined
  #isRunning = false

  constructor(store: ReadView<V>, host: Host, scope: Scope<V>, query: (view: ReadView<V>) => T) {
    args.callback(query, 'query')
    this.#store = store
    this.#host = host
    this.scope = scope
    this.#query = query
  }

  get value(): T {
    const { outcome } = this.#fresh()
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  subscribe(onChange: () => void): Unsubscribe {
    args.callback(onChange, 'onChange')
    // What has changed since it was last read is news to whoever subscribes because of what was read.
    const seen = this.#run?.outcome
    const { outcome } = this.#fresh()
    const subscriber = { onChange }
    this.#subscribers.add(subscriber)
    if (this.#subscribers.size === 1) {
      this.#told = seen ?? outcome
      if (this.#told !== outcome) this.#tellSoon()
    }
    this.#follow()
    return () => {
      this.#subscribers.delete(subscriber)
      if (this.#subscribers.size === 0) this.#unfollow()
    }
  }

  deliver(_horizon: Horizon, failures: unknown[], id: number): void {
    try {
      this.#host.watchers.skip(id)
    } catch (e) {
      if (!RevkvError.is(e) || e.code !== 'RESTORED') throw e
      // The watchers are gone with the content they watched.
      this.#unfollow()
    }
    this.#fresh()
    this.#follow()
    this.#tell(failures)
  }

  reopen(): void {
    // They are gone with the engine they were in.
    this.#watchers.clear()
    this.#fresh()
    this.#follow()
    this.#tellSoon()
  }

  end(): void {
    this.#subscribers.clear()
    this.#unfollow()
  }

  /** The last run, if it still holds, or a new one. */
  #fresh(): Run<T> {
    if (this.scope.closed) throw new RevkvError('CLOSED', 'The store is closed.')
    const last = this.#run
    const { changes, life } = this.#host
    if (last?.changes === changes) return last
    if (last?.life === life && this.#host.isUnchanged(last.revision, last.reads.toArray())) {
      last.revision = this.#host.core.call((engine) => engine.revision)
      last.changes = changes
      return last
    }
    const run = this.#runQuery()
    this.#run = run
    this.#follow()
    // A run that reads something else has left the watchers that would have woken its subscribers.
    if (this.#subscribers.size > 0 && run.outcome !== this.#told) this.#tellSoon()
    return run
  }

  #runQuery(): Run<T> {
    if (this.#isRunning) throw invalidArgument('query: reads its own value.')
    const { changes, life } = this.#host
    const reads = new KeySet()
    const view = new QueryView(this.#store, this.#host, this.scope, reads)
    this.#isRunning = true
    let outcome: Outcome<T>
    try {
      outcome = { value: this.#query(view) }
    } catch (error) {
      outcome = { error }
    } finally {
      view.end()
      this.#isRunning = false
    }
    const last = this.#run?.outcome
    return { outcome: last && isSame(last, outcome) ? last : outcome, reads, revision: view.revision, changes, life }
  }

  /** Watches what the last run has read, for as long as somebody subscribes. */
  #follow(): void {
    const run = this.#run
    if (!run || this.#subscribers.size === 0) return
    const wanted = watched(run.reads)
    for (const [name, id] of this.#watchers) {
      if (wanted.has(name)) continue
      this.#watchers.delete(name)
      this.#host.watchers.leave(id)
    }
    for (const [name, keys] of wanted) {
      if (this.#watchers.has(name)) continue
      this.#watchers.set(name, this.#host.watchers.follow(keys, run.revision + 1, this))
    }
  }

  #unfollow(): void {
    for (const id of this.#watchers.values()) this.#host.watchers.leave(id)
    this.#watchers.clear()
  }

  #tellSoon(): void {
    this.#host.watchers.later((failures) => this.#tell(failures))
  }

  /** Nothing, where they know already. */
  #tell(failures: unknown[]): void {
    if (this.#told === this.#run?.outcome) return
    this.#told = this.#run?.outcome
    for (const subscriber of [...this.#subscribers]) {
      // One before it may have unsubscribed it.
      if (!this.#subscribers.has(subscriber)) continue
      try {
        subscriber.onChange()
      } catch (e) {
        failures.push(e)
      }
    }
  }
}

function isSame<T>(a: Outcome<T>, b: Outcome<T>): boolean {
  if ('error' in a) return 'error' in b && Object.is(a.error, b.error)
  return 'value' in b && Object.is(a.value, b.value)
}

/** What to watch for these reads, by name. */
function watched(reads: KeySet): Map<string, KeyRange> {
  if (reads.size <= watchersMax) return new Map(reads.entries())
  const span = new KeySet()
  span.add(spanOf(reads.toArray()))
  return new Map(span.entries())
}
