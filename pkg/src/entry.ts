// Entries, lists and changes: views over the engine's packed answers, decoded when they are touched.

import { decodeText, decodeValue, TextRun } from './codecs.js'
import type { Keyspace } from './keyspace.js'
import type { Change, Codec, Difference, Entry, ListResult, WatchBatch } from './types.js'
import {
  columnWordBytes,
  keyValueFields as fields,
  i64At,
  type Reader,
  u32At,
  u64At,
  valueLength,
  valueStart,
} from './wire.js'

/** How a store shows what is stored. */
export interface Form<V> {
  readonly values: Codec<V>
  readonly keys: 'utf8' | 'bytes'
  /** Which of the engine's keys are its. */
  readonly space: Keyspace
}

/** A key as the store shows it, without its prefix. Typed as text; it is bytes when the store was opened so. */
export function showKey(form: Form<unknown>, source: Uint8Array, from: number, end: number, run?: TextRun): string {
  const start = from + form.space.prefix.length
  if (form.keys === 'bytes') return source.slice(start, end) as unknown as string
  return run?.text(start, end) ?? decodeText(source, start, end, false)
}

/** The value of a packed KeyValue, for a read that wants nothing else of it. */
export function readValue<V>(source: Uint8Array, start: number, form: Form<V>): V {
  const from = valueStart(source, start)
  return decodeValue(form.values, source, from, from + valueLength(source, from))
}

/** What entries have in common that came in one answer: its buffer, so that reading a list copies nothing up front. */
class Page<V> {
  readonly form: Form<V>
  readonly source: Uint8Array
  readonly keys: TextRun | undefined
  readonly values: TextRun | undefined

  constructor(form: Form<V>, source: Uint8Array, keys?: TextRun, values?: TextRun) {
    this.form = form
    this.source = source
    this.keys = keys
    this.values = values
  }
}

const unread = Symbol('not decoded yet')

/** One key and value of an answer, and where in it they lie. */
class PackedEntry<V> implements Entry<V> {
  readonly #page: Page<V>
  readonly #keyStart: number
  readonly #keyEnd: number
  readonly #numbers: number
  readonly #valueStart: number
  /** -1: it has no value, as in a list with `keysOnly`; which is not the same as an empty one. */
  readonly #valueEnd: number
  #key: string | undefined
  #value: V | typeof unread = unread

  constructor(page: Page<V>, keyStart: number, keyEnd: number, numbers: number, valueStart: number, valueEnd: number) {
    this.#page = page
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
    this.#numbers = numbers
    this.#valueStart = valueStart
    this.#valueEnd = valueEnd
  }

  /** The key as the engine knows it, not copied. */
  static storedKey(entry: PackedEntry<unknown>): Uint8Array {
    return entry.#page.source.subarray(entry.#keyStart, entry.#keyEnd)
  }

  /** As in a list with `keysOnly`. */
  static withoutValue<V>(entry: PackedEntry<V>): Entry<V> {
    return new PackedEntry(entry.#page, entry.#keyStart, entry.#keyEnd, entry.#numbers, 0, -1)
  }

  get key(): string {
    const { form, source, keys } = this.#page
    return (this.#key ??= showKey(form, source, this.#keyStart, this.#keyEnd, keys))
  }

  get value(): V {
    if (this.#valueEnd < 0) return undefined as V
    if (this.#value === unread) {
      const { form, source, values } = this.#page
      this.#value = decodeValue(form.values, source, this.#valueStart, this.#valueEnd, values)
    }
    return this.#value as V
  }

  get bytes(): Uint8Array {
    return this.#valueEnd < 0 ? new Uint8Array(0) : this.#page.source.slice(this.#valueStart, this.#valueEnd)
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
    return i64At(this.#page.source, this.#numbers + fields.lease)
  }

  toJSON(): object {
    const { key, value, createRevision, modRevision, version, lease } = this
    return { key, value, createRevision, modRevision, version, lease: String(lease) }
  }

  #number(field: number): number {
    return u64At(this.#page.source, this.#numbers + field)
  }
}

export function readEntry<V>(reader: Reader, form: Form<V>, page: Page<V> = new Page(form, reader.source)): Entry<V> {
  const { source, at } = reader
  const keyStart = at + 8
  const keyEnd = keyStart + u64At(source, at)
  const start = keyEnd + fields.value
  reader.at = start + valueLength(source, start)
  return new PackedEntry(page, keyStart, keyEnd, keyEnd, start, reader.at)
}

export function readOptionalEntry<V>(reader: Reader, form: Form<V>, page?: Page<V>): Entry<V> | undefined {
  return reader.bool() ? readEntry(reader, form, page) : undefined
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
  const entries = readColumns(reader, form, keysOnly)
  const isUncounted = recount !== undefined && more && count === entries.length + 1
  return new EntryList(revision, isUncounted ? () => recount(revision) : count, more, entries)
}

/** Where among the words of an entry its numbers begin. */
const numbersAt = 16

/** The entries of a list, which come in columns: words, keys, values. */
function readColumns<V>(reader: Reader, form: Form<V>, keysOnly: boolean): Entry<V>[] {
  const { source } = reader
  const [length, keyBytes, valueBytes] = [reader.u64(), reader.u64(), reader.u64()]
  let words = reader.at
  let keyStart = words + length * columnWordBytes
  let valueStart = keyStart + keyBytes
  reader.at = valueStart + valueBytes
  let keys: TextRun | undefined
  let values: TextRun | undefined
  let page: Page<V> | undefined
  const entries: Entry<V>[] = []
  for (let i = 0; i < length; i++, words += columnWordBytes) {
    const keyEnd = keyStart + u32At(source, words)
    const valueEnd = valueStart + u32At(source, words + 8)
    if (!page || !keys?.takes(keyEnd) || !values?.takes(valueEnd)) {
      keys = new TextRun(source, keyStart, keyEnd)
      values = new TextRun(source, valueStart, valueEnd)
      page = new Page(form, source, keys, values)
    }
    const numbers = words + numbersAt
    entries.push(new PackedEntry(page, keyStart, keyEnd, numbers, valueStart, keysOnly ? -1 : valueEnd))
    keyStart = keyEnd
    valueStart = valueEnd
  }
  return entries
}

function readChange<V>(reader: Reader, form: Form<V>, page: Page<V>): Change<V> {
  const deleted = reader.u32() === 1
  const entry = readEntry(reader, form, page)
  const prevEntry = readOptionalEntry(reader, form, page)
  const before = prevEntry && { prevEntry }
  if (deleted) return { type: 'delete', key: entry.key, modRevision: entry.modRevision, ...before }
  return { type: 'put', entry, ...before }
}

export function readChanges<V>(reader: Reader, form: Form<V>): Change<V>[] {
  const page = new Page(form, reader.source)
  return reader.list(() => readChange(reader, form, page))
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
