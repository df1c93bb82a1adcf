// A store at one revision, for as long as it is held.

import * as args from './arguments.js'
import { dispose } from './dispose.js'
import { RevkvError } from './errors.js'
import type { Entry, Key, ListOptions, ListResult, Range, ReadView, Snapshot } from './types.js'

/** What a snapshot needs of its store. */
export interface Pinned<V> {
  view: ReadView<V>
  release(revision: number): void
}

export class StoreSnapshot<V> implements Snapshot<V> {
  readonly revision: number
  readonly #store: Pinned<V>
  #released = false

  constructor(store: Pinned<V>, revision: number) {
    this.#store = store
    this.revision = revision
  }

  get(key: Key): V | undefined {
    return this.#view().get(key, this.#at())
  }

  entry(key: Key): Entry<V> | undefined {
    return this.#view().entry(key, this.#at())
  }

  getMany(keys: Iterable<Key>): (V | undefined)[] {
    return this.#view().getMany(keys, this.#at())
  }

  list(range?: Range, options?: Omit<ListOptions, 'revision'>): ListResult<V> {
    return this.#view().list(range, { ...args.options(options, listOptions, 'list'), ...this.#at() })
  }

  count(range?: Range): number {
    return this.#view().count(range, this.#at())
  }

  [dispose](): void {
    if (this.#released) return
    this.#released = true
    this.#store.release(this.revision)
  }

  #at(): { revision: number } {
    return { revision: this.revision }
  }

  #view(): ReadView<V> {
    if (this.#released) throw new RevkvError('CLOSED', 'The snapshot is released.')
    return this.#store.view
  }
}

const listOptions = [
  'limit',
  'reverse',
  'keysOnly',
  'sortBy',
  'minModRevision',
  'maxModRevision',
  'minCreateRevision',
  'maxCreateRevision',
]
