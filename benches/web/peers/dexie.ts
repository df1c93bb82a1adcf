import { Dexie, liveQuery, type Table } from 'dexie'
import type { Database, Durability, Entry, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot } from './reasons.js'

interface Row {
  key: string
  value: Value
}

export const dexie: Peer = {
  name: 'dexie',
  packages: ['dexie'],
  medium: 'IndexedDB',
  places: ['page'],
  plain: 'bytes',
  strict: true,
  cannot: { ...noHistory, ...noSnapshot },
  how: 'bulkPut and bulkGet, keys inside the objects, a liveQuery for each watcher; a second connection for flushed puts.',
  open: async (name) => new DexieDatabase(await connect(name, 'relaxed'), await connect(name, 'strict')),
}

async function connect(name: string, durability: 'relaxed' | 'strict'): Promise<Dexie> {
  const db = new Dexie(name, { chromeTransactionDurability: durability })
  db.version(1).stores({ kv: 'key' })
  return db.open()
}

class DexieDatabase implements Database {
  readonly #db: Dexie
  readonly #strict: Dexie
  readonly #kv: Table<Row, string>
  readonly #strictKv: Table<Row, string>

  constructor(db: Dexie, strict: Dexie) {
    this.#db = db
    this.#strict = strict
    this.#kv = db.table('kv')
    this.#strictKv = strict.table('kv')
  }

  load(entries: readonly Entry[]): PromiseLike<unknown> {
    return this.#kv.bulkPut([...entries])
  }

  put(key: string, value: Value, durability: Durability): PromiseLike<unknown> {
    return (durability === 'strict' ? this.#strictKv : this.#kv).put({ key, value })
  }

  get(key: string): PromiseLike<Value | undefined> {
    return this.#kv.get(key).then((row) => row?.value)
  }

  async getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return (await this.#kv.bulkGet([...keys])).map((row) => row?.value)
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    for (const { key, value } of await this.#kv.where('key').aboveOrEqual(start).limit(limit).toArray()) {
      visit(key, value)
    }
  }

  count(prefix: string): PromiseLike<number> {
    return this.#kv.where('key').startsWith(prefix).count()
  }

  /** A live query answers once at first: then it watches. */
  watch(key: string, listener: () => void): Promise<void> {
    return new Promise((resolve) => {
      let first = true
      liveQuery(() => this.#kv.get(key)).subscribe(() => {
        if (!first) return listener()
        first = false
        resolve()
      })
    })
  }

  async readAll(): Promise<number> {
    return new Map((await this.#kv.toArray()).map(({ key, value }) => [key, value])).size
  }

  close(): void {
    this.#db.close()
    this.#strict.close()
  }
}
