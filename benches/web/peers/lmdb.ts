import type { RootDatabase } from 'lmdb'
import type { Database, Durability, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory, noWatch } from './reasons.js'

export const lmdb: Peer = {
  name: 'lmdb',
  packages: ['lmdb'],
  medium: 'file',
  places: ['node'],
  plain: 'bytes',
  strict: true,
  cannot: { ...noHistory, ...noWatch },
  how: 'Bulk in one transaction; flushed: waits for db.flushed too.',
  async open(name, form, folder) {
    const { open } = await import('lmdb')
    const encoding = form === 'plain' ? 'binary' : 'json'
    return new LmdbDatabase(open<Value, string>({ path: `${folder}/${name}`, encoding }))
  },
}

class LmdbDatabase implements Database {
  readonly #db: RootDatabase<Value, string>

  constructor(db: RootDatabase<Value, string>) {
    this.#db = db
  }

  load(entries: readonly Entry[]): Promise<unknown> {
    return this.#db.transaction(() => {
      for (const { key, value } of entries) this.#db.put(key, value)
    })
  }

  async put(key: string, value: Value, durability: Durability): Promise<void> {
    await this.#db.put(key, value)
    if (durability === 'strict') await this.#db.flushed
  }

  get(key: string): Value | undefined {
    return this.#db.get(key)
  }

  getMany(keys: readonly string[]): PromiseLike<(Value | undefined)[]> {
    return this.#db.getMany([...keys])
  }

  range(start: string, limit: number, visit: Visit): void {
    for (const { key, value } of this.#db.getRange({ start, limit })) visit(key, value)
  }

  count(prefix: string): number {
    return this.#db.getKeysCount({ start: prefix, end: `${prefix}\uffff` })
  }

  readAll(): number {
    const all = new Map<string, Value>()
    for (const { key, value } of this.#db.getRange()) all.set(key, value)
    return all.size
  }

  snapshot(): void {
    this.#db.useReadTransaction().done()
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
