import type { RxCollection, RxJsonSchema } from 'rxdb/plugins/core'
import type { Database, Document, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot } from './reasons.js'

interface Row {
  key: string
  value?: string
  n?: number
  text?: string
}

const schema: RxJsonSchema<Row> = {
  version: 0,
  primaryKey: 'key',
  type: 'object',
  properties: {
    key: { type: 'string', maxLength: 20 },
    value: { type: 'string' },
    n: { type: 'number' },
    text: { type: 'string' },
  },
  required: ['key'],
}

export const rxdb: Peer = {
  name: 'rxdb',
  packages: ['rxdb', 'rxjs'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'text',
  strict: false,
  cannot: { ...noHistory, ...noSnapshot },
  how: 'Its memory storage, bulkUpsert, findByIds, an observable document for each watcher.',
  async open(name) {
    const { createRxDatabase } = await import('rxdb/plugins/core')
    const { getRxStorageMemory } = await import('rxdb/plugins/storage-memory')
    const db = await createRxDatabase({
      name: `${name}${opened++}`,
      storage: getRxStorageMemory(),
      multiInstance: false,
    })
    const { kv } = await db.addCollections({ kv: { schema } })
    return new RxdbDatabase(kv as RxCollection<Row>, () => db.close())
  },
}

let opened = 0

class RxdbDatabase implements Database {
  readonly #kv: RxCollection<Row>
  readonly close: () => Promise<unknown>

  constructor(kv: RxCollection<Row>, close: () => Promise<unknown>) {
    this.#kv = kv
    this.close = close
  }

  load(entries: readonly Entry[]): Promise<unknown> {
    return this.#kv.bulkUpsert(entries.map(({ key, value }) => rowOf(key, value)))
  }

  put(key: string, value: Value): Promise<unknown> {
    return this.#kv.incrementalUpsert(rowOf(key, value))
  }

  async get(key: string): Promise<Value | undefined> {
    const found = await this.#kv.findOne(key).exec()
    return found ? valueIn(found.toJSON()) : undefined
  }

  async getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    const found = await this.#kv.findByIds([...keys]).exec()
    return keys.map((key) => {
      const row = found.get(key)
      return row && valueIn(row.toJSON())
    })
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    const query = this.#kv.find({ selector: { key: { $gte: start } }, sort: [{ key: 'asc' }], limit })
    for (const row of await query.exec()) visit(row.key, valueIn(row.toJSON()))
  }

  count(prefix: string): Promise<number> {
    return this.#kv.count({ selector: { key: { $gte: prefix, $lt: `${prefix}\uffff` } } }).exec()
  }

  /** An observable document tells at once how it is: then it watches. */
  async watch(key: string, listener: () => void): Promise<void> {
    const found = await this.#kv.findOne(key).exec()
    let first = true
    found?.$.subscribe(() => {
      if (first) first = false
      else listener()
    })
  }
}

function rowOf(key: string, value: Value): Row {
  return typeof value === 'string' ? { key, value } : { key, ...(value as Document) }
}

function valueIn({ value, n, text }: Readonly<Row>): Value {
  return value ?? ({ n, text } as Document)
}
