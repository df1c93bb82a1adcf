// idb, the thin promises over IndexedDB.
import { type IDBPDatabase, openDB, unwrap } from 'idb'
import type { Database, Durability, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory } from './reasons.js'

export const idb: Peer = {
  name: 'idb',
  packages: ['idb'],
  medium: 'IndexedDB',
  places: ['page'],
  plain: 'bytes',
  strict: true,
  cannot: {
    ...noHistory,
    watchers: 'tells nobody of changes',
    latency: 'tells nobody of changes',
    snapshot: 'has none',
  },
  how: 'Bulk in one transaction, getMany in one transaction, a range by getAllKeys and getAll.',
  async open(name) {
    return new IdbDatabase(await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('kv') }))
  },
}

class IdbDatabase implements Database {
  readonly #db: IDBPDatabase

  constructor(db: IDBPDatabase) {
    this.#db = db
  }

  async load(entries: readonly Entry[]): Promise<void> {
    const tx = this.#db.transaction('kv', 'readwrite', { durability: 'relaxed' })
    // Plain requests: a promise for each would only cost.
    const store = unwrap(tx.store)
    for (const { key, value } of entries) store.put(value, key)
    tx.commit()
    await tx.done
  }

  async put(key: string, value: Value, durability: Durability): Promise<void> {
    const tx = this.#db.transaction('kv', 'readwrite', { durability: durability === 'strict' ? 'strict' : 'relaxed' })
    unwrap(tx.store).put(value, key)
    tx.commit()
    await tx.done
  }

  get(key: string): Promise<Value | undefined> {
    return this.#db.get('kv', key)
  }

  getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    const { store } = this.#db.transaction('kv')
    return Promise.all(keys.map((key) => store.get(key)))
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    const { store } = this.#db.transaction('kv')
    const range = IDBKeyRange.lowerBound(start)
    const [keys, values] = await Promise.all([store.getAllKeys(range, limit), store.getAll(range, limit)])
    for (const [i, key] of keys.entries()) visit(key as string, values[i])
  }

  count(prefix: string): Promise<number> {
    return this.#db.count('kv', IDBKeyRange.bound(prefix, `${prefix}\uffff`))
  }

  async readAll(): Promise<number> {
    const { store } = this.#db.transaction('kv')
    const [keys, values] = await Promise.all([store.getAllKeys(), store.getAll()])
    const all = new Map<string, Value>()
    for (const [i, key] of keys.entries()) all.set(key as string, values[i])
    return all.size
  }

  close(): void {
    this.#db.close()
  }
}
