// A store at one revision, for as long as it may be looked at.

import * as args from './arguments.js'
import { dispose } from './dispose.js'
import { RevkvError } from './errors.js'
import type { Keyspace } from './keyspace.js'
import { listOptionsAt } from './txn.js'
import type { Entry, Key, ListOptions, ListResult, Range, ReadOptions, ReadView, Snapshot } from './types.js'
import type { KeyRange } from './wire.js'

/** Reads of a store at one revision, each noted first. */
export class FixedView<V> implements ReadView<V> {
  readonly revision: number
  readonly #store: ReadView<V>
  readonly #whatItIs: string
  #ended = false

  constructor(store: ReadView<V>, revision: number, whatItIs: string) {
    this.#store = store
    this.revision = revision
    this.#whatItIs = whatItIs
  }

  get(key: Key): V | undefined {
    const store = this.store
    this.noteKey(key)
    return store.get(key, this.at())
  }

  entry(key: Key): Entry<V> | undefined {
    const store = this.store
    this.noteKey(key)
    return store.entry(key, this.at())
  }

  getMany(keys: Iterable<Key>): (V | undefined)[] {
    const store = this.store
    const wanted = args.iterable(keys, 'keys') as Key[]
    for (const key of wanted) this.noteKey(key)
    return store.getMany(wanted, this.at())
  }

  list(range: Range = {}, options?: Omit<ListOptions, 'revision'>): ListResult<V> {
    const store = this.store
    const given = args.options(options, listOptionsAt, 'list')
    this.noteRange(range)
    return store.list(range, { ...given, ...this.at() })
  }

  count(range: Range = {}): number {
    const store = this.store
    this.noteRange(range)
    return store.count(range, this.at())
  }

  /** From now on nothing is read through it. */
  end(): void {
    this.#ended = true
  }

  protected checkEnded(): void {
    if (this.#ended) throw new RevkvError('CLOSED', `The ${this.#whatItIs} has ended.`)
  }

  protected get store(): ReadView<V> {
    this.checkEnded()
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

  constructor(store: ReadView<V>, revision: number, whatItIs: string, space: Keyspace, note: (keys: KeyRange) => void) {
    super(store, revision, whatItIs)
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
  #release: ((revision: number) => void) | undefined

  constructor(store: ReadView<V>, revision: number, release: (revision: number) => void) {
    super(store, revision, 'snapshot')
    this.#release = release
  }

  [dispose](): void {
    this.end()
    this.#release?.(this.revision)
    this.#release = undefined
  }
}
