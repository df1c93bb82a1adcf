// The databases of Level, which share one interface.
import type { AbstractBatchOperation, AbstractLevel, AbstractPutOptions } from 'abstract-level'
import type { Database, Durability, Entry, Medium, Peer, Place, Value, Visit } from '../peer.js'
import { noHistory } from './reasons.js'

type Level = AbstractLevel<string | Uint8Array | Buffer, string, Value>
type Operation = AbstractBatchOperation<Level, string, Value>

export interface Options {
  readonly keyEncoding: 'utf8'
  readonly valueEncoding: string
}

const how = 'Bulk as one batch, ranges by iterator.all(), watchers by its write event.'

export function level(
  name: string,
  medium: Medium,
  places: readonly Place[],
  make: (location: string, options: Options) => unknown,
): Peer {
  const strict = name === 'classic-level'
  return {
    name,
    packages: [name],
    medium,
    places,
    plain: 'bytes',
    strict,
    cannot: { ...noHistory, ...(name === 'browser-level' ? { snapshot: 'has none' } : {}) },
    how: strict ? `${how} Flushed: sync: true.` : how,
    async open(database, form, folder) {
      const options = { keyEncoding: 'utf8', valueEncoding: form === 'plain' ? 'view' : 'json' } as const
      const db = make(folder ? `${folder}/${database}` : database, options) as Level
      await db.open()
      return new LevelDatabase(db)
    },
  }
}

class LevelDatabase implements Database {
  readonly #db: Level

  constructor(db: Level) {
    this.#db = db
  }

  load(entries: readonly Entry[]): Promise<void> {
    return this.#db.batch(entries.map(({ key, value }): Operation => ({ type: 'put', key, value })))
  }

  put(key: string, value: Value, durability: Durability): Promise<void> {
    if (durability !== 'strict') return this.#db.put(key, value)
    // An option of classic-level, which the interface they share does not know.
    return this.#db.put(key, value, { sync: true } as AbstractPutOptions<string, Value>)
  }

  get(key: string): Promise<Value | undefined> {
    return this.#db.get(key)
  }

  getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return this.#db.getMany([...keys])
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    for (const [key, value] of await this.#db.iterator({ gte: start, limit }).all()) visit(key, value)
  }

  async count(prefix: string): Promise<number> {
    return (await this.#db.keys({ gte: prefix, lt: `${prefix}\uffff` }).all()).length
  }

  /** One listener of the database for each watcher, as independent parts of a program would have. */
  watch(key: string, listener: () => void): void {
    this.#db.setMaxListeners?.(0)
    this.#db.on('write', (operations: Operation[]) => {
      for (const operation of operations) if (operation.key === key) listener()
    })
  }

  async readAll(): Promise<number> {
    return new Map(await this.#db.iterator().all()).size
  }

  async snapshot(): Promise<void> {
    await this.#db.snapshot().close()
  }

  async compact(): Promise<void> {
    const { compactRange } = this.#db as { compactRange?: (start: string, end: string) => Promise<void> }
    await compactRange?.call(this.#db, '', '\uffff')
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
