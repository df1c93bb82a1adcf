// A store at one revision, for as long as it may be looked at.

import * as args from './arguments.js'
import { dispose } from './dispose.js'
import { RevkvError } from './errors.js'
import type { Host } from './host.js'
import type { Keyspace } from './keyspace.js'
import { listOptionsAt } from './txn.js'
import type { Entry, Key, ListOptions, ListResult, Range, ReadOptions, ReadView, Snapshot } from './types.js'
import type { KeyRange } from './wire.js'

/** What a read takes that is at a revision already. */
const none: readonly string[] = []

/** Reads of a store at one revision, each noted first. */
export class FixedView<V> implements ReadView<V> {
  readonly revision: number
  readonly #store: ReadView<V>
  readonly #host: Host
  /** Whose content it is of: in another, the revision would be another. */
  readonly #life: number
  readonly #whatItIs: string
  #ended = false

  constructor(store: ReadView<V>, host: Host, revision: number, whatItIs: string) {
    this.#store = store
    this.#host = host
    this.#life = host.life
    this.revision = revision
    this.#whatItIs = whatItIs
  }

  get(key: Key, options?: ReadOptions): V | undefined {
    const store = this.checkAt(options)
    this.noteKey(key)
    return store.get(key, this.at())
  }

  entry(key: Key, options?: ReadOptions): Entry<V> | undefined {
    const store = this.checkAt(options)
    this.noteKey(key)
    return store.entry(key, this.at())
  }

  getMany(keys: Iterable<Key>, options?: ReadOptions): (V | undefined)[] {
    const store = this.checkAt(options)
    const wanted = args.iterable(keys, 'keys') as Key[]
    for (const key of wanted) this.noteKey(key)
    return store.getMany(wanted, this.at())
  }

  list(range: Range = {}, options?: Omit<ListOptions, 'revision'>): ListResult<V> {
    const store = this.checkAt(undefined)
    const given = args.options(options, listOptionsAt, 'list')
    this.noteRange(range)
    return store.list(range, { ...given, ...this.at() })
  }

  count(range: Range = {}, options?: ReadOptions): number {
    const store = this.checkAt(options)
    this.noteRange(range)
    return store.count(range, this.at())
  }

  /** From now on nothing is read through it. */
  end(): void {
    this.#ended = true
  }

  /** Whether the content has been replaced by another since. */
  get isOutlived(): boolean {
    return this.#host.life !== this.#life
  }

  /** The store, unless this has ended, or another revision is asked for than the one there is. */
  protected checkAt(options: ReadOptions | undefined): ReadView<V> {
    if (this.#ended) throw new RevkvError('CLOSED', `The ${this.#whatItIs} has ended.`)
    if (this.isOutlived) throw new RevkvError('RESTORED', "The store's content was replaced; what was there is gone.")
    args.options(options, none, this.#whatItIs)
    return this.#store
  }

  /** How the store is asked for what was at the revision. */
  protected at(): ReadOptions {
    return { revision: this.revision }
  }

  protected noteKey(_key: Key): void {}

  protected noteRange(_range: Range): void {}
}

/** What is read through it is noted, absent keys too. */
export class TrackedView<V> extends FixedView<V> {
  protected readonly space: Keyspace
  readonly #note: (keys: KeyRange) => void

  constructor(
    store: ReadView<V>,
    host: Host,
    revision: number,
    whatItIs: string,
    space: Keyspace,
    note: (keys: KeyRange) => void,
  ) {
    super(store, host, revision, whatItIs)
    this.space = space
    this.#note = note
  }

  protected override noteKey(key: Key): void {
    this.#note({ key: this.space.key(key) })
  }

  protected override noteRange(range: Range): void {
    this.#note(this.space.range(range))
  }
}

export class StoreSnapshot<V> extends FixedView<V> implements Snapshot<V> {
  #release: (() => void) | undefined

  constructor(store: ReadView<V>, host: Host, wanted: number) {
    const revision = host.pin(wanted)
    super(store, host, revision, 'snapshot')
    this.#release = host.unpinning(revision)
  }

  [dispose](): void {
    this.end()
    this.#release?.()
    this.#release = undefined
  }
}
