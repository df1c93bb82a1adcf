import { createStore, type Store } from 'tinybase'
import type { Database, Document, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot } from './reasons.js'
import { SortedKeys } from './sorted.js'

const table = 'kv'

export const tinybase: Peer = {
  name: 'tinybase',
  packages: ['tinybase'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'text',
  strict: false,
  cannot: { ...noHistory, ...noSnapshot },
  how: 'A row for each entry, its cells the fields; bulk in one transaction. Its keys are kept in order by hand, since it would sort all of them at each read.',
  open: async () => new TinybaseDatabase(),
}

class TinybaseDatabase implements Database {
  readonly #store: Store = createStore()
  readonly #sorted = new SortedKeys()

  load(entries: readonly Entry[]): void {
    this.#store.transaction(() => {
      for (const { key, value } of entries) this.#store.setRow(table, key, rowOf(value))
    })
    this.#sorted.add(entries.map(({ key }) => key))
  }

  put(key: string, value: Value): void {
    if (!this.#store.hasRow(table, key)) this.#sorted.add([key])
    this.#store.setRow(table, key, rowOf(value))
  }

  get(key: string): Value | undefined {
    const row = this.#store.getRow(table, key)
    return (row.value ?? row) as unknown as Value
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    for (const key of this.#sorted.from(start, limit)) visit(key, this.get(key) as Value)
  }

  count(prefix: string): number {
    return this.#sorted.count(prefix)
  }

  watch(key: string, listener: () => void): void {
    this.#store.addRowListener(table, key, listener)
  }

  close(): void {
    this.#store.delTables()
  }
}

function rowOf(value: Value): Record<string, string | number> {
  return typeof value === 'string' ? { value } : { ...(value as Document) }
}
