// The floor: a Map and a sorted array. No history, no copies, nothing kept.
import type { Database, Entry, Peer, Value, Visit } from '../peer.js'
import { SortedKeys } from './sorted.js'

export const plainMap: Peer = {
  name: 'JS Map',
  packages: [],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot: {
    'get-old': 'keeps no history',
    'range-old': 'keeps no history',
    history: 'keeps no history',
    snapshot: 'would have to copy all of it',
  },
  how: 'The floor: a Map and a sorted array of its keys. Values are handed out as they were put in, not copied.',
  open: async () => new MapDatabase(),
}

class MapDatabase implements Database {
  readonly #values = new Map<string, Value>()
  readonly #sorted = new SortedKeys()
  readonly #listeners = new Map<string, (() => void)[]>()

  load(entries: readonly Entry[]): void {
    for (const { key, value } of entries) this.#values.set(key, value)
    this.#sorted.add(entries.map(({ key }) => key))
  }

  put(key: string, value: Value): void {
    const { size } = this.#values
    this.#values.set(key, value)
    if (this.#values.size !== size) this.#sorted.add([key])
    for (const listener of this.#listeners.get(key) ?? []) listener()
  }

  get(key: string): Value | undefined {
    return this.#values.get(key)
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.#values.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    for (const key of this.#sorted.from(start, limit)) visit(key, this.#values.get(key) as Value)
  }

  count(prefix: string): number {
    return this.#sorted.count(prefix)
  }

  watch(key: string, listener: () => void): void {
    this.#listeners.set(key, [...(this.#listeners.get(key) ?? []), listener])
  }

  close(): void {
    this.#values.clear()
  }
}
