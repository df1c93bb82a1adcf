import { Doc, type YMapEvent } from 'yjs'
import type { Database, Entry, Peer, Value, Visit } from '../peer.js'
import { noSnapshot } from './reasons.js'
import { SortedKeys } from './sorted.js'

export const yjs: Peer = {
  name: 'yjs Y.Map',
  packages: ['yjs'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot: {
    'get-old': 'rebuilds the document for it',
    'range-old': 'rebuilds the document for it',
    history: 'has no order of events to read',
    ...noSnapshot,
  },
  how: 'One Y.Map, bulk in one transaction, an observer for each watcher. Its keys are kept in order by hand.',
  open: async () => new YjsDatabase(),
}

class YjsDatabase implements Database {
  readonly #doc = new Doc()
  readonly #map = this.#doc.getMap<Value>('kv')
  readonly #sorted = new SortedKeys()

  load(entries: readonly Entry[]): void {
    this.#doc.transact(() => {
      for (const { key, value } of entries) this.#map.set(key, value)
    })
    this.#sorted.add(entries.map(({ key }) => key))
  }

  put(key: string, value: Value): void {
    if (!this.#map.has(key)) this.#sorted.add([key])
    this.#map.set(key, value)
  }

  get(key: string): Value | undefined {
    return this.#map.get(key)
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.#map.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    for (const key of this.#sorted.from(start, limit)) visit(key, this.#map.get(key) as Value)
  }

  count(prefix: string): number {
    return this.#sorted.count(prefix)
  }

  watch(key: string, listener: () => void): void {
    this.#map.observe((event: YMapEvent<Value>) => {
      if (event.keysChanged.has(key)) listener()
    })
  }

  close(): void {
    this.#doc.destroy()
  }
}
