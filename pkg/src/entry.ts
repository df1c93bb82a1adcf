// Entries, lists and changes: views over the engine's packed answers, decoded when they are touched.

import { decodeText, decodeValue } from './codecs.js'
import type { Change, Codec, Difference, Entry, ListResult, WatchBatch } from './types.js'
import { keyValueFields as fields, i64At, type Reader, u64At, valueAt } from './wire.js'

/** How a store shows what is stored. */
export interface Form<V> {
  readonly values: Codec<V>
  readonly keys: 'utf8' | 'bytes'
}

/** A key as the store shows it. Typed as text; it is bytes when the store was opened so. */
export function showKey(form: Form<unknown>, source: Uint8Array, start: number, end: number): string {
  if (form.keys === 'bytes') return source.slice(start, end) as unknown as string
  return decodeText(source, start, end, false)
}

/** The value of a packed KeyValue, for a read that wants nothing else of it. */
export function readValue<V>(source: Uint8Array, start: number, form: Form<V>): V {
  return decodeValue(form.values, valueAt(source, start))
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

  get key(): string {
    return (this.#key ??= showKey(this.#form, this.#source, this.#start + 8, this.#keyEnd))
  }

  get value(): V {
    // A list with `keysOnly` carries no values, which is not the same as empty ones.
    if (this.#valueless) return undefined as V
    return (this.#value ??= { decoded: readValue(this.#source, this.#start, this.#form) }).decoded
  }

  get bytes(): Uint8Array {
    return valueAt(this.#source, this.#start).slice()
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

class PackedList<V> implements ListResult<V> {
  readonly revision: number
  readonly count: number
  readonly more: boolean
  readonly #entries: Entry<V>[]

  constructor(reader: Reader, form: Form<V>, keysOnly: boolean) {
    this.revision = reader.u64()
    this.count = reader.u64()
    this.more = reader.bool()
    this.#entries = reader.list(() => readEntry(reader, form, keysOnly))
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

export function readList<V>(reader: Reader, form: Form<V>, keysOnly: boolean): ListResult<V> {
  return new PackedList(reader, form, keysOnly)
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
