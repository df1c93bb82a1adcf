import type { PGlite } from '@electric-sql/pglite'
import type { LiveNamespace } from '@electric-sql/pglite/live'
import type { Database, Document, Entry, Form, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot } from './reasons.js'

/** As many rows as a statement has parameters for, by two. */
const rowsMax = 10_000

export const pglite: Peer = {
  name: 'pglite',
  packages: ['@electric-sql/pglite'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot: { ...noHistory, ...noSnapshot, watchers: 'a live query for each of 1,000 took longer than two minutes' },
  how: 'In memory. A live query for each watcher. Bulk as rows of 10,000 in one transaction; json columns for documents.',
  async open(_, form) {
    const { PGlite } = await import('@electric-sql/pglite')
    const { live } = await import('@electric-sql/pglite/live')
    const db = await PGlite.create({ extensions: { live } })
    const type = form === 'plain' ? 'bytea' : 'json'
    await db.exec(`CREATE TABLE kv (key text COLLATE "C" PRIMARY KEY, value ${type} NOT NULL)`)
    return new PgliteDatabase(db, form)
  },
}

class PgliteDatabase implements Database {
  readonly #db: PGlite & { live: LiveNamespace }
  readonly #form: Form

  constructor(db: PGlite & { live: LiveNamespace }, form: Form) {
    this.#db = db
    this.#form = form
  }

  async load(entries: readonly Entry[]): Promise<void> {
    const upsert = 'ON CONFLICT (key) DO UPDATE SET value = excluded.value'
    await this.#db.transaction(async (tx) => {
      for (let first = 0; first < entries.length; first += rowsMax) {
        const rows = entries.slice(first, first + rowsMax)
        const places = rows.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`).join(',')
        const parameters = rows.flatMap(({ key, value }) => [key, this.#parameter(value)])
        await tx.query(`INSERT INTO kv VALUES ${places} ${upsert}`, parameters)
      }
    })
  }

  put(key: string, value: Value): Promise<unknown> {
    const upsert = 'INSERT INTO kv VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
    return this.#db.query(upsert, [key, this.#parameter(value)])
  }

  async get(key: string): Promise<Value | undefined> {
    const { rows } = await this.#db.query<{ value: Value }>('SELECT value FROM kv WHERE key = $1', [key])
    return rows[0]?.value
  }

  async getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    const { rows } = await this.#db.query<Entry>('SELECT key, value FROM kv WHERE key = ANY($1)', [keys])
    const found = new Map(rows.map(({ key, value }) => [key, value]))
    return keys.map((key) => found.get(key))
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    const select = 'SELECT key, value FROM kv WHERE key >= $1 ORDER BY key LIMIT $2'
    const { rows } = await this.#db.query<Entry>(select, [start, limit])
    for (const { key, value } of rows) visit(key, value)
  }

  async count(prefix: string): Promise<number> {
    const select = 'SELECT count(*)::int AS count FROM kv WHERE key >= $1 AND key < $2'
    const { rows } = await this.#db.query<{ count: number }>(select, [prefix, `${prefix}\uffff`])
    return rows[0]?.count ?? 0
  }

  /** A live query answers once at first: then it watches. */
  async watch(key: string, listener: () => void): Promise<void> {
    let first = true
    await this.#db.live.query('SELECT value FROM kv WHERE key = $1', [key], () => {
      if (first) first = false
      else listener()
    })
  }

  close(): Promise<void> {
    return this.#db.close()
  }

  #parameter(value: Value): Uint8Array | string {
    return this.#form === 'plain' ? (value as Uint8Array) : JSON.stringify(value as Document)
  }
}
