// What is compared: the one interface that revkv and its peers are measured through.

/** Where a database keeps what it holds; those of one medium are compared with the revkv of that medium. */
export type Medium = 'memory' | 'IndexedDB' | 'OPFS' | 'file'
/** Where it runs. OPFS is fast in a dedicated worker only. */
export type Place = 'page' | 'worker' | 'node'
export type Environment = 'web' | 'node'

/** When a write counts as done: applied, taken by the medium, or flushed by it. */
export type Durability = 'memory' | 'relaxed' | 'strict'

/** What a database holds: values that nobody decodes, or documents. */
export type Form = 'plain' | 'document'

export interface Document {
  readonly n: number
  readonly text: string
}

/** Bytes, or text for those that cannot keep bytes. */
export type Plain = Uint8Array | string
export type Value = Plain | Document

export interface Entry {
  readonly key: string
  readonly value: Value
}

/** Answered at once, or by a promise. */
export type Maybe<T> = T | PromiseLike<T>

/** One store and the way its documentation recommends for each work. A missing method is a work that it cannot do. */
export interface Peer {
  /** As in the tables. */
  readonly name: string
  /** The npm packages whose versions are shown. */
  readonly packages: readonly string[]
  readonly medium: Medium
  readonly places: readonly Place[]
  /** What its plain values are. */
  readonly plain: 'bytes' | 'text'
  /** Writes can be asked to be flushed. */
  readonly strict: boolean
  /** Why a work of this name is not done. */
  readonly cannot?: Readonly<Record<string, string>>
  /** It keeps history, which has to be forgotten as time goes on. */
  readonly historic?: boolean
  /** How it is used, where that is no matter of course. */
  readonly how?: string
  /** Opens the database of this name, new or as it was left. `folder` is where files go, in Node. */
  open(name: string, form: Form, folder: string): Promise<Database>
}

export interface Database {
  /** Writes all of them in as few commits as it can, "relaxed" where there is a medium. */
  load(entries: readonly Entry[]): Maybe<unknown>
  put(key: string, value: Value, durability: Durability): Maybe<unknown>
  get(key: string): Maybe<Value | undefined>
  /** Aligned with the keys. */
  getMany(keys: readonly string[]): Maybe<readonly (Value | undefined)[]>
  /** Shows `limit` entries from `start` on, in key order, decoded. */
  range(start: string, limit: number, visit: Visit): Maybe<unknown>
  count(prefix: string): Maybe<number>
  close(): Maybe<unknown>

  /** Hears of every put of this key until the database is closed. */
  watch?(key: string, listener: () => void): Maybe<unknown>
  /** Brings every entry into memory, as whoever wants synchronous reads has to; gives how many there are. */
  readAll?(): Maybe<number>
  /** Where it stands now, for reads of the past. */
  revision?(): Revision
  getAt?(key: string, revision: Revision): Maybe<Value | undefined>
  rangeAt?(start: string, limit: number, revision: Revision, visit: Visit): Maybe<unknown>
  /** Shows the last `limit` changes, oldest first. */
  history?(limit: number, visit: Visit): Maybe<unknown>
  /** Takes a snapshot and lets go of it. */
  snapshot?(): Maybe<unknown>
  /** Forgets the history but for the last `revisions` changes, and frees what can be freed. */
  compact?(revisions: number): Maybe<unknown>
}

export type Visit = (key: string, value: Value) => void
export type Revision = number | object
