// One peer at work: its databases, filled once and checked, and chance.
import { entriesOf, isEqual, keyOf, numberOf, prefixOf, Random, valueAt } from './data.js'
import type { Database, Durability, Entry, Form, Peer, Revision, Value } from './peer.js'

/** What one process or page is asked for. */
export interface Turn {
  readonly peer: string
  readonly works: readonly string[]
  readonly entries: number
  /** So many times each key was written. 1 if nothing is said. */
  readonly versions?: number
  /** How long a work may take, with the filling before it. */
  readonly secondsMax?: number
  /** How many updates the work "written" makes. */
  readonly updates: number
  readonly seed: number
  /** Where files go, in Node. */
  readonly folder: string
}

interface Past {
  readonly database: Database
  readonly revision: Revision
  /** Of all its values. */
  readonly version: number
}

/** That are asked for in turn. */
const keysMax = 1 << 18

/** Updates that are made at once where there are many versions, so that not all of them are in memory. */
const updatesMax = 10_000

export class Bench {
  readonly peer: Peer
  readonly turn: Turn
  readonly random: Random
  readonly #open = new Map<string, Database>()
  readonly #filled = new Map<Form, Promise<Database>>()

  readonly #past = new Map<Form, Promise<Past>>()

  constructor(peer: Peer, turn: Turn) {
    this.peer = peer
    this.turn = turn
    this.random = new Random(turn.seed)
  }

  get entries(): number {
    return this.turn.entries
  }

  get versions(): number {
    return this.turn.versions ?? 1
  }

  async open(name: string, form: Form): Promise<Database> {
    const database = await this.peer.open(name, form, this.turn.folder)
    this.#open.set(name, database)
    return database
  }

  async close(name: string): Promise<void> {
    await this.#open.get(name)?.close()
    this.#open.delete(name)
  }

  async closeAll(): Promise<void> {
    for (const name of this.#open.keys()) await this.close(name)
    this.#filled.clear()
    this.#past.clear()
  }

  /** The database with all entries of this form, checked. */
  filled(form: Form): Promise<Database> {
    let filled = this.#filled.get(form)
    if (!filled) {
      filled = this.#fill(form)
      this.#filled.set(form, filled)
    }
    return filled
  }

  async #fill(form: Form): Promise<Database> {
    const database = this.#open.get(form) ?? (await this.open(form, form))
    await database.load(this.all(form))
    await this.check(database, form)
    const { versions } = this
    for (let version = 1; version < versions; version++) {
      if (version === Math.ceil(versions / 2)) this.#past.set(form, Promise.resolve(pastOf(database, version - 1)))
      await this.#updateAll(database, form, version)
    }
    if (versions > 1) await this.check(database, form, versions - 1)
    return database
  }

  /** Another value of every key, in random order. */
  async #updateAll(database: Database, form: Form, version: number): Promise<void> {
    const numbers = this.random.shuffle(Array.from({ length: this.entries }, (_, n) => n))
    for (let first = 0; first < numbers.length; first += updatesMax) {
      const some = numbers.slice(first, first + updatesMax)
      await database.load(some.map((n) => ({ key: keyOf(n), value: this.value(form, n, version) })))
    }
  }

  /** A database in which every key is updated after this revision. */
  async past(form: Form): Promise<Past> {
    if (this.versions > 1) await this.filled(form)
    let past = this.#past.get(form)
    if (!past) {
      past = this.#age(form)
      this.#past.set(form, past)
    }
    return past
  }

  async #age(form: Form): Promise<Past> {
    const database = await this.open(`past-${form}`, form)
    const entries = this.all(form)
    await database.load(entries)
    const past = pastOf(database, 0)
    await database.load(entries.map(({ key }) => ({ key, value: this.newValue(form, key) })))
    return past
  }

  /** Takes a database that the work has filled itself. */
  async adopt(database: Database, form: Form): Promise<void> {
    await this.check(database, form)
    this.#filled.set(form, Promise.resolve(database))
  }

  all(form: Form): Entry[] {
    return entriesOf(this.peer, form, this.entries, this.turn.seed)
  }

  value(form: Form, n: number, version = 0): Value {
    return valueAt(this.peer, form, n, version)
  }

  /** What an update puts. */
  newValue(form: Form, key: string): Value {
    return this.value(form, numberOf(key), 1)
  }

  /** Two for each key, all of the first before the second, so that going round puts another value each time. */
  updatesOf(keys: readonly string[], form: Form): Entry[] {
    return [...keys, ...keys].map((key, i) => ({ key, value: this.value(form, numberOf(key), i + 1) }))
  }

  /** What a write asks for unless the work says otherwise. */
  get durability(): Durability {
    return this.peer.medium === 'memory' ? 'memory' : 'relaxed'
  }

  /** Numbers of keys at random, so many that a loop over them does not learn them; made before the time is taken. */
  numbers(count = 4096, bound = this.entries): number[] {
    return Array.from({ length: count }, () => this.random.below(bound))
  }

  /** As many as there are, so that no cache has all of them because they were asked for before. */
  many(most = keysMax): number {
    return Math.min(Math.max(4096, this.entries), most)
  }

  keys(count = this.many(), bound = this.entries): string[] {
    return this.numbers(count, bound).map(keyOf)
  }

  /** Whoever answers wrongly is not measured. */
  async check(database: Database, form: Form, version = 0): Promise<void> {
    const numbers = [0, this.entries - 1, ...this.numbers(20)]
    for (const n of numbers) this.expect(await database.get(keyOf(n)), form, n, version)
    const many = await database.getMany(numbers.map(keyOf))
    for (const [i, n] of numbers.entries()) this.expect(many[i], form, n, version)
    const start = this.random.below(this.entries - 100)
    let n = start
    await database.range(keyOf(start), 100, (key, value) => {
      if (key !== keyOf(n)) throw new Error(`${this.peer.name} has ${key} where ${keyOf(n)} should be`)
      this.expect(value, form, n++, version)
    })
    if (n !== start + 100) throw new Error(`${this.peer.name} has a range of ${n - start} instead of 100`)
    const count = await database.count(prefixOf(0))
    if (count !== Math.min(1000, this.entries)) throw new Error(`${this.peer.name} counts ${count}`)
  }

  expect(found: Value | undefined, form: Form, n: number, version = 0): void {
    if (isEqual(found, this.value(form, n, version))) return
    throw new Error(`${this.peer.name} has another value of ${keyOf(n)}: ${JSON.stringify(found)}`)
  }
}

function pastOf(database: Database, version: number): Past {
  return { database, version, revision: database.revision?.() ?? 0 }
}
