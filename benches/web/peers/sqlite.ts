// SQLite as WebAssembly: the official build and sql.js. One table, prepared statements.
import type { Database, Document, Entry, Form, Peer, Value, Visit } from '../peer.js'
import { noHistory, noSnapshot, noWatch } from './reasons.js'

const cannot = { ...noHistory, ...noSnapshot, ...noWatch }

/** The statements of all, in the order of their use. Keys without a rowid beside them: the table is the index. */
const sql = {
  create: 'CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID',
  put: 'INSERT INTO kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  get: 'SELECT value FROM kv WHERE key = ?',
  range: 'SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?',
  count: 'SELECT count(*) FROM kv WHERE key >= ? AND key < ?',
  all: 'SELECT key, value FROM kv',
}

type Cell = string | number | Uint8Array | null

/** What the two builds have in common. */
interface Statements {
  exec(sql: string): void
  /** The first column of the first row. */
  one(statement: Name, parameters: Cell[]): Cell | undefined
  rows(statement: Name, parameters: Cell[], see: (key: string, value: Cell) => void): void
  run(statement: Name, parameters: Cell[]): void
  close(): void
}

type Name = Exclude<keyof typeof sql, 'create'>
const names = ['put', 'get', 'range', 'count', 'all'] as const satisfies readonly Name[]

class SqliteDatabase implements Database {
  readonly #db: Statements
  readonly #form: Form

  constructor(db: Statements, form: Form) {
    this.#db = db
    this.#form = form
  }

  load(entries: readonly Entry[]): void {
    this.#db.exec('BEGIN')
    for (const { key, value } of entries) this.put(key, value)
    this.#db.exec('COMMIT')
  }

  put(key: string, value: Value): void {
    this.#db.run('put', [key, this.#form === 'plain' ? (value as Uint8Array) : JSON.stringify(value)])
  }

  get(key: string): Value | undefined {
    const cell = this.#db.one('get', [key])
    return cell === undefined ? undefined : this.#decode(cell)
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  range(start: string, limit: number, visit: Visit): void {
    this.#db.rows('range', [start, limit], (key, cell) => visit(key, this.#decode(cell)))
  }

  count(prefix: string): number {
    return this.#db.one('count', [prefix, `${prefix}\uffff`]) as number
  }

  readAll(): number {
    const all = new Map<string, Value>()
    this.#db.rows('all', [], (key, cell) => all.set(key, this.#decode(cell)))
    return all.size
  }

  compact(): void {
    this.#db.exec('VACUUM')
  }

  close(): void {
    this.#db.close()
  }

  #decode(cell: Cell): Value {
    return this.#form === 'plain' ? (cell as Uint8Array) : (JSON.parse(cell as string) as Document)
  }
}

export const sqlJs: Peer = {
  name: 'sql.js',
  packages: ['sql.js'],
  medium: 'memory',
  places: ['page', 'node'],
  plain: 'bytes',
  strict: false,
  cannot,
  how: 'Prepared statements, a table WITHOUT ROWID, bulk in one transaction.',
  async open(_, form) {
    const { default: init } = await import('sql.js')
    const inPage = typeof process === 'undefined'
    const { Database } = await init(inPage ? { locateFile: (file) => `/modules/sql.js/dist/${file}` } : {})
    const db = new Database()
    db.run(sql.create)
    const made = Object.fromEntries(names.map((name) => [name, db.prepare(sql[name])]))
    const of = (name: Name) => made[name] as ReturnType<typeof db.prepare>
    return new SqliteDatabase(
      {
        exec: (text) => void db.run(text),
        one(name, parameters) {
          const statement = of(name)
          statement.bind(parameters)
          const found = statement.step() ? (statement.get()[0] as Cell) : undefined
          statement.reset()
          return found
        },
        rows(name, parameters, see) {
          const statement = of(name)
          statement.bind(parameters)
          while (statement.step()) {
            const [key, value] = statement.get()
            see(key as string, value as Cell)
          }
          statement.reset()
        },
        run: (name, parameters) => of(name).run(parameters),
        close: () => db.close(),
      },
      form,
    )
  },
}

export const sqliteMemory = sqliteWasm('memory')
export const sqliteOpfs = sqliteWasm('OPFS')

function sqliteWasm(medium: 'memory' | 'OPFS'): Peer {
  return {
    name: medium === 'OPFS' ? 'sqlite-wasm OPFS' : 'sqlite-wasm',
    packages: ['@sqlite.org/sqlite-wasm'],
    medium,
    places: [medium === 'OPFS' ? 'worker' : 'page'],
    plain: 'bytes',
    strict: medium === 'OPFS',
    cannot,
    how:
      medium === 'OPFS'
        ? 'As sql.js, on the SAH pool, with a write-ahead log; not flushed is synchronous=OFF, flushed synchronous=FULL.'
        : 'Prepared statements, a table WITHOUT ROWID, bulk in one transaction.',
    async open(database, form) {
      const { default: init } = await import('@sqlite.org/sqlite-wasm')
      const sqlite3 = await (loading ??= init())
      const db =
        medium === 'memory'
          ? new sqlite3.oo1.DB(':memory:')
          : new (await (pool ??= sqlite3.installOpfsSAHPoolVfs({ initialCapacity: 16 }))).OpfsSAHPoolDb(`/${database}`)
      // A write-ahead log without shared memory, which its page says is the way to have one here.
      if (medium === 'OPFS') db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL')
      db.exec(sql.create)
      const made = Object.fromEntries(names.map((name) => [name, db.prepare(sql[name])]))
      const of = (name: Name) => made[name] as ReturnType<typeof db.prepare>
      const statements: Statements = {
        exec: (text) => void db.exec(text),
        one(name, parameters) {
          const statement = of(name)
          if (parameters.length > 0) statement.bind(parameters)
          const found = statement.step() ? (statement.get(0) as Cell) : undefined
          statement.reset()
          return found
        },
        rows(name, parameters, see) {
          const statement = of(name)
          if (parameters.length > 0) statement.bind(parameters)
          while (statement.step()) see(statement.get(0) as string, statement.get(1) as Cell)
          statement.reset()
        },
        run: (name, parameters) => of(name).bind(parameters).stepReset(),
        close() {
          for (const statement of Object.values(made)) statement.finalize()
          db.close()
        },
      }
      return medium === 'memory' ? new SqliteDatabase(statements, form) : new FlushingDatabase(statements, form)
    },
  }
}

type Sqlite = Awaited<ReturnType<typeof import('@sqlite.org/sqlite-wasm')['default']>>
let loading: Promise<Sqlite> | undefined
let pool: ReturnType<Sqlite['installOpfsSAHPoolVfs']> | undefined

/** Each put is a transaction of its own, flushed as it asks. */
class FlushingDatabase extends SqliteDatabase {
  readonly #statements: Statements
  #flushes: boolean | undefined

  constructor(statements: Statements, form: Form) {
    super(statements, form)
    this.#statements = statements
    this.#flush(false)
  }

  override put(key: string, value: Value, durability?: 'memory' | 'relaxed' | 'strict'): void {
    if (durability !== undefined) this.#flush(durability === 'strict')
    super.put(key, value)
  }

  #flush(flushes: boolean): void {
    if (this.#flushes === flushes) return
    this.#flushes = flushes
    this.#statements.exec(`PRAGMA synchronous = ${flushes ? 'FULL' : 'OFF'}`)
  }
}
