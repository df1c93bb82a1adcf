import { Map as ImmutableMap } from 'immutable'
import type { Database, Entry, Peer, Revision, Value, Visit } from '../peer.js'
import { noWatch } from './reasons.js'
import { SortedKeys } from './sorted.js'

type Root = ImmutableMap<string, Value>

export const immutable: Peer = {
  name: 'immutable Map',
  packages: ['immutable'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot: { ...noWatch, history: 'keeps maps, not events' },
  how: 'Bulk by withMutations; an old revision is an old map that was kept. Its keys are kept in order by hand.',
  open: async () => new ImmutableDatabase(),
}

class ImmutableDatabase implements Database {
  #root: Root = ImmutableMap()
  readonly #sorted = new SortedKeys()

  load(entries: readonly Entry[]): void {
    this.#root = this.#root.withMutations((root) => {
      for (const { key, value } of entries) root.set(key, value)
    })
    this.#sorted.add(entries.map(({ key }) => key))
  }

  put(key: string, value: Value): void {
    const { size } = this.#root
    this.#root = this.#root.set(key, value)
    if (this.#root.size !== size) this.#sorted.add([key])
  }

  get(key: string): Value | undefined {
    return this.#root.get(key)
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.#root.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    this.rangeAt(start, limit, this.#root, visit)
  }

  count(prefix: string): number {
    return this.#sorted.count(prefix)
  }

  revision(): Root {
    return this.#root
  }

  getAt(key: string, root: Revision): Value | undefined {
    return (root as Root).get(key)
  }

  rangeAt(start: string, limit: number, root: Revision, visit: Visit): void {
    for (const key of this.#sorted.from(start, limit)) visit(key, (root as Root).get(key) as Value)
  }

  snapshot(): Root {
    return this.#root
  }

  close(): void {
    this.#root = ImmutableMap()
  }
}
