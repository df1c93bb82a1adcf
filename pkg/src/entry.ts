// Entries, lists and changes: views over the engine's packed answers, decoded when they are touched.

import { decodeText, decodeValue } from './codecs.js'
import type { Keyspace } from './keyspace.js'
import type { Change, Codec, Difference, Entry, ListResult, WatchBatch } from './types.js'
import { keyValueFields as fields, i64At, type Reader, u64At, valueLength, valueStart } from './wire.js'

/** How a store shows what is stored. */
export interface Form<V> {
  readonly values: Codec<V>
  readonly keys: 'utf8' | 'bytes'
  /** Which of the engine's keys are its. */
  readonly space: Keyspace
}

/** A key as the store shows it, without its prefix. Typed as text; it is bytes when the store was opened so. */
export function showKey(form: Form<unknown>, source: Uint8Array, from: number, end: number): string {
  const start = from + form.space.prefix.length
  if (form.keys === 'bytes') return source.slice(start, end) as unknown as string
  return decodeText(source, start, end, false)
}

/** The value of a packed KeyValue, for a read that wants nothing else of it. */
export function readValue<V>(source: Uint8Array, start: number, form: Form<V>): V {
  const from = valueStart(source, start)
  return decodeValue(form.values, source, from, from + valueLength(source, from))
}

/** One packed KeyValue of an answer. It keeps the answer's buffer, so that reading a list copies nothing up front. */
class PackedEntry<V> implements Entry<V> {
  readonly #form: Form<V>
  readonly #source: Uint8Array
  readonly #start: number
  readonly #keyEnd: number
  readonly #valueless: boolean
  #key: string | undefined
  #value: { decoded: V } | undefined

  constructor(form: Form<V>, source: Uint8Array, start: number, valueless: boolean) {
    this.#form = form
    this.#source = source
    this.#start = start
    this.#keyEnd = start + 8 + u64At(source, start)
    this.#valueless = valueless
  }

  /** The key as the engine knows it, not copied. */
  static storedKey(entry: PackedEntry<unknown>): Uint8Array {
    return entry.#source.subarray(entry.#start + 8, entry.#keyEnd)
  }

  /** As in a list with `keysOnly`. */
  static withoutValue<V>(entry: PackedEntry<V>): Entry<V> {
    return new PackedEntry(entry.#form, entry.#source, entry.#start, true)
  }

  get key(): string {
    return (this.#key ??= showKey(this.#form, this.#source, this.#start + 8, this.#keyEnd))
  }

  get value(): V {
    // A list with `keysOnly` carries no values, which is not the same as empty ones.
    if (this.#valueless) return undefined as V
    return (this.#value ??= { decoded: readValue(this.#source, this.#start, this.#form) }).decoded
  }

  get bytes(): Uint8Array {
    if (this.#valueless) return new Uint8Array(0)
    const from = this.#keyEnd + fields.value
    return this.#source.slice(from, from + valueLength(this.#source, from))
  }

  get createRevision(): number {
    return this.#number(fields.createRevision)
  }

  get modRevision(): number {
    return this.#number(fields.modRevision)
  }

  get version(): number {
    return this.#number(fields.version)
  }

  get lease(): bigint {
    return i64At(this.#source, this.#keyEnd + fields.lease)
  }

  toJSON(): object {
    const { key, value, createRevision, modRevision, version, lease } = this
    return { key, value, createRevision, modRevision, version, lease: String(lease) }
  }

  #number(field: number): number {
    return u64At(this.#source, this.#keyEnd + field)
  }
}

export function readEntry<V>(reader: Reader, form: Form<V>, valueless = false): Entry<V> {
  return new PackedEntry(form, reader.source, reader.keyValue(), valueless)
}

export function readOptionalEntry<V>(reader: Reader, form: Form<V>): Entry<V> | undefined {
  return reader.bool() ? readEntry(reader, form) : undefined
}

/** Every entry there is came from a packed one. */
export function storedKey(entry: Entry<unknown>): Uint8Array {
  return PackedEntry.storedKey(entry as PackedEntry<unknown>)
}

export function withoutValue<V>(entry: Entry<V>): Entry<V> {
  return PackedEntry.withoutValue(entry as PackedEntry<V>)
}

export class EntryList<V> implements ListResult<V> {
  readonly revision: number
  readonly more: boolean
  readonly #entries: Entry<V>[]
  #count: number | (() => number)

  /** `count` may be counted when it is asked for. */
  constructor(revision: number, count: number | (() => number), more: boolean, entries: Entry<V>[]) {
    this.revision = revision
    this.#count = count
    this.more = more
    this.#entries = entries
  }

  get count(): number {
    if (typeof this.#count === 'function') this.#count = this.#count()
    return this.#count
  }

  get length(): number {
    return this.#entries.length
  }

  at(index: number): Entry<V> | undefined {
    return this.#entries.at(index)
  }

  toArray(): Entry<V>[] {
    return this.#entries.slice()
  }

  [Symbol.iterator](): Iterator<Entry<V>> {
    return this.#entries.values()
  }
}

/** `recount` counts what an uncounted answer has left out, at the store's revision when it was read. */
export function readList<V>(
  reader: Reader,
  form: Form<V>,
  keysOnly: boolean,
  recount?: (revision: number) => number,
): ListResult<V> {
  const revision = reader.u64()
  const count = reader.u64()
  const more = reader.bool()
  const entries = reader.list(() => readEntry(reader, form, keysOnly))
  const isUncounted = recount !== undefined && more && count === entries.length + 1
  return new EntryList(revision, isUncounted ? () => recount(revision) : count, more, entries)
}

function readChange<V>(reader: Reader, form: Form<V>): Change<V> {
  const deleted = reader.u32() === 1
  const entry = readEntry(reader, form)
  const prevEntry = readOptionalEntry(reader, form)
  const before = prevEntry && { prevEntry }
  if (deleted) return { type: 'delete', key: entry.key, modRevision: entry.modRevision, ...before }
  return { type: 'put', entry, ...before }
}

export function readChanges<V>(reader: Reader, form: Form<V>): Change<V>[] {
  return reader.list(() => readChange(reader, form))
}

/** What differs between two revisions. */
export function readDifferences<V>(reader: Reader, form: Form<V>): Difference<V>[] {
  return reader.list(() => {
    const before = readOptionalEntry(reader, form)
    const after = readOptionalEntry(reader, form)
    const { key } = (before ?? after) as Entry<V>
    return { key, ...(before && { before }), ...(after && { after }) }
  })
}

/** What a watcher has to take, and how far it has come by that. */
export interface Taken<V> {
  batches: WatchBatch<V>[]
  through: number
}

export function readTaken<V>(reader: Reader, form: Form<V>): Taken<V> {
  const batches = reader.list((): WatchBatch<V> => {
    const revision = reader.u64()
    const resync = reader.bool()
    const changes = readChanges(reader, form)
    return resync ? { revision, changes, resync } : { revision, changes }
  })
  return { batches, through: reader.u64() }
}
