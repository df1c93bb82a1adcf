import Loki from 'lokijs'
import type { Database, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot } from './reasons.js'

interface Row {
  key: string
  value: Value
}

export const loki: Peer = {
  name: 'lokijs',
  packages: ['lokijs'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot: { ...noHistory, ...noSnapshot },
  how: 'A collection with a unique and a binary index of the key, built once behind a bulk; an update listener for each watcher.',
  open: async () => new LokiDatabase(),
}

class LokiDatabase implements Database {
  readonly #rows: Collection<Row>

  constructor() {
    this.#rows = new Loki('bench').addCollection<Row>('kv', {
      unique: ['key'],
      indices: ['key'],
      disableMeta: true,
    })
  }

  load(entries: readonly Entry[]): void {
    // The index is built once, behind them all; the types do not know of the second argument.
    const insert: (rows: Row[], overrideAdaptiveIndices: boolean) => unknown = this.#rows.insert.bind(this.#rows)
    if (this.#rows.count() === 0)
      insert(
        entries.map(({ key, value }) => ({ key, value })),
        true,
      )
    else for (const { key, value } of entries) this.put(key, value)
  }

  put(key: string, value: Value): void {
    const row = this.#rows.by('key', key)
    if (row) this.#rows.update(Object.assign(row, { value }))
    else this.#rows.insert({ key, value })
  }

  get(key: string): Value | undefined {
    return this.#rows.by('key', key)?.value
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    const rows = this.#rows
      .chain()
      .find({ key: { $gte: start } })
      .limit(limit)
      .data()
    for (const { key, value } of rows) visit(key, value)
  }

  count(prefix: string): number {
    return this.#rows
      .chain()
      .find({ key: { $between: [prefix, `${prefix}\uffff`] } })
      .count()
  }

  watch(key: string, listener: () => void): void {
    this.#rows.on('update', (row: Row) => {
      if (row.key === key) listener()
    })
  }

  close(): void {
    this.#rows.clear()
  }
}
