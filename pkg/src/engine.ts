// The engine, its requests and answers in the memory of a wasm instance. This is the only file that imports generated
// code.
//
// A call writes what it is about into the engine's area and reads the answer where the engine left it: one crossing, and
// nothing is allocated on the other side. What the engine's memory holds is only good until the next call, and a view of
// it only until the memory grows; so answers are copied out, or decoded before
// anything else is asked, and the views are made anew when they are found detached.

import { type Engine as Binding, instantiate } from '../wasm/revkv.js'
import { decodeText, decodeValue } from './codecs.js'
import { RevkvError } from './errors.js'
import {
  type Asked,
  type Came,
  type Outgoing,
  packAsked,
  readDone,
  readOnce,
  readOutgoing,
  readTabStats,
  type TabStats,
} from './tabs/messages.js'
import type { Codec, ErrorCode } from './types.js'
import { Reader, readStats, type Stats, u32At } from './wire.js'

/** A wasm instance: the memory in which engines live. */
export class Instance {
  readonly Binding: typeof Binding
  /** The first trap: the memory may be half changed from then on, so that no call may reach it again. */
  trap: RevkvError | undefined
  readonly #memory: WebAssembly.Memory
  #bytes = new Uint8Array(0)
  #numbers = new Float64Array(0)

  constructor(module: WebAssembly.Module) {
    const { Engine, memory } = instantiate(module)
    this.Binding = Engine
    this.#memory = memory
  }

  /** All of the memory; a view that has been detached by growth is empty. */
  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#memory.buffer)
    return this.#bytes
  }

  get numbers(): Float64Array {
    if (this.#numbers.length === 0) this.#numbers = new Float64Array(this.#memory.buffer)
    return this.#numbers
  }
}

/** What the engine's answers begin with. */
const kinds = { nothing: 0, given: 1, refused: 2 }
const headBytes = 8
/** The area as it is at first, and the size from which on it is given back after use. */
const areaBytes = 64 << 10
const areaKeptBytesMax = 1 << 20
/** Says that a key has to be encoded first. */
export const notAscii = Symbol('not ASCII')
/** Places on the board. */
const slots = {
  revision: 0,
  compactRevision: 1,
  durableRevision: 2,
  nextDeadline: 3,
  hasPendingWatches: 4,
  replaced: 5,
}

/** One engine. What it refuses is thrown as a RevkvError; anything else that is thrown is a trap. */
export class Engine {
  readonly #instance: Instance
  readonly #binding: Binding
  readonly #board: number
  #area: number
  #areaBytes = areaBytes

  constructor(instance: Instance, incarnation: Uint8Array, maxBlobBytes: number, maxBytes: number) {
    this.#instance = instance
    this.#binding = new instance.Binding(maxBlobBytes, maxBytes)
    this.#board = this.#binding.board() / Float64Array.BYTES_PER_ELEMENT
    this.#area = this.#binding.area(areaBytes)
    this.#take(this.#binding.name(this.#put(incarnation)))
  }

  get revision(): number {
    return this.#slot(slots.revision)
  }

  get compactRevision(): number {
    return this.#slot(slots.compactRevision)
  }

  get durableRevision(): number {
    return this.#slot(slots.durableRevision)
  }

  /** Counts the contents that another was put in the place of, other than to go on from them. */
  get replaced(): number {
    return this.#slot(slots.replaced)
  }

  /** When the next lease ends, in ms since the epoch; undefined when there is none. */
  nextDeadline(): number | undefined {
    const deadline = this.#slot(slots.nextDeadline)
    return deadline < 0 ? undefined : deadline
  }

  get epoch(): number {
    return this.#binding.epoch
  }

  get incarnation(): Uint8Array {
    return this.#given(this.#binding.incarnation())
  }

  /** Takes one stored blob. */
  recover(id: string, bytes: Uint8Array): void {
    const name = new TextEncoder().encode(id)
    const length = 16 + name.length + bytes.length
    this.#room(length)
    const { bytes: memory } = this.#instance
    const view = new DataView(memory.buffer, this.#area, length)
    view.setUint32(0, name.length, true)
    view.setUint32(4, 0, true)
    memory.set(name, this.#area + 8)
    view.setUint32(8 + name.length, bytes.length, true)
    view.setUint32(12 + name.length, 0, true)
    memory.set(bytes, this.#area + 16 + name.length)
    this.#take(this.#binding.recover(length))
  }

  start(): void {
    this.#take(this.#binding.start())
  }

  get(key: Uint8Array, revision: number): Uint8Array | undefined {
    return this.#take(this.#binding.get(this.#put(key), revision))
  }

  /** The value of a key, as `codec` reads it. */
  value<V>(key: Uint8Array, revision: number, codec: Codec<V>): V | undefined {
    return this.#decoded(this.#binding.value(this.#put(key), revision), codec)
  }

  /** The same of a key that is `prefix` and text; `notAscii`, and nothing was asked, where that is more than ASCII. */
  textValue<V>(prefix: Uint8Array, text: string, revision: number, codec: Codec<V>): V | undefined | typeof notAscii {
    const length = this.#putText(prefix, text)
    return length < 0 ? notAscii : this.#decoded(this.#binding.value(length, revision), codec)
  }

  range(request: Uint8Array): Uint8Array {
    return this.#given(this.#binding.range(this.#put(request)))
  }

  history(request: Uint8Array): Uint8Array {
    return this.#given(this.#binding.history(this.#put(request)))
  }

  diff(request: Uint8Array): Uint8Array {
    return this.#given(this.#binding.diff(this.#put(request)))
  }

  hash(revision: number): Uint8Array {
    return this.#given(this.#binding.hash(revision))
  }

  isUnchanged(request: Uint8Array): boolean {
    return this.#given(this.#binding.isUnchanged(this.#put(request)))[0] === 1
  }

  /** 0: it is not there. */
  modRevision(key: Uint8Array): number {
    return this.#binding.modRevision(this.#put(key))
  }

  snapshot(revision: number): number {
    return new Reader(this.#given(this.#binding.snapshot(revision))).u64()
  }

  releaseSnapshot(revision: number): boolean {
    return this.#binding.releaseSnapshot(revision)
  }

  apply(request: Uint8Array, now: number): Uint8Array {
    return this.#given(this.#binding.apply(this.#put(request), now))
  }

  watch(request: Uint8Array): number {
    return new Reader(this.#given(this.#binding.watch(this.#put(request)))).u32()
  }

  cancelWatch(id: number): boolean {
    return this.#binding.cancelWatch(id)
  }

  /** The watchers that have something to take, in the order they were made. */
  pendingWatches(): number[] {
    if (this.#slot(slots.hasPendingWatches) === 0) return []
    const reader = new Reader(this.#given(this.#binding.pendingWatches()))
    return reader.list(() => reader.u32())
  }

  skipEvents(id: number): void {
    this.#take(this.#binding.skipEvents(id))
  }

  takeEvents(id: number, upTo: number, eventsMax: number): Uint8Array {
    return this.#given(this.#binding.takeEvents(id, upTo, eventsMax))
  }

  /** What `takeEvents` gives or throws for each of these watchers, up to its bound; for the first ones, if that is much. */
  takeMany(request: Uint8Array, eventsMax: number): (Uint8Array | RevkvError)[] {
    const packed = this.#given(this.#binding.takeMany(this.#put(request), eventsMax))
    const taken: (Uint8Array | RevkvError)[] = []
    for (let at = 0; at < packed.length; ) {
      const start = at + headBytes
      const end = start + u32At(packed, at + 4)
      taken.push(packed[at] === kinds.refused ? refusal(packed, start) : packed.subarray(start, end))
      at = end
    }
    return taken
  }

  lease(id: bigint, now: number): Uint8Array | undefined {
    return this.#take(this.#binding.lease(id, now))
  }

  leases(): bigint[] {
    const reader = new Reader(this.#given(this.#binding.leases()))
    return reader.list(() => reader.i64())
  }

  tick(now: number): void {
    this.#take(this.#binding.tick(now))
  }

  /** `true`: there is more to do. */
  compactStep(): boolean {
    return this.#binding.compactStep()
  }

  takeReady(): Uint8Array | undefined {
    return this.#take(this.#binding.takeReady())
  }

  persisted(through: number): void {
    this.#take(this.#binding.persisted(through))
  }

  beginBackup(revision: number, history: boolean): Uint8Array {
    return this.#given(this.#binding.beginBackup(revision, history))
  }

  /** The transactions after `from`, up to `upTo` (0: all) and `max` at most (0: any number), as a change set. */
  changes(from: number, upTo: number, max: number): Uint8Array {
    return this.#given(this.#binding.changes(from, upTo, max))
  }

  /** Gives the revision. */
  applyChanges(changes: Uint8Array): number {
    return new Reader(this.#given(this.#binding.applyChanges(this.#put(changes)))).u64()
  }

  /** The next portion; undefined at the end. */
  readBackup(id: number): Uint8Array | undefined {
    return this.#take(this.#binding.readBackup(id))
  }

  endBackup(id: number): boolean {
    return this.#binding.endBackup(id)
  }

  restore(backup: Uint8Array, incarnation: Uint8Array): void {
    const length = incarnation.length + backup.length
    this.#room(length)
    this.#instance.bytes.set(incarnation, this.#area)
    this.#instance.bytes.set(backup, this.#area + incarnation.length)
    this.#take(this.#binding.restore(length))
  }

  /** `found` is of the same instance, and gone afterwards. */
  heal(found: Engine): void {
    this.#take(this.#binding.heal(found.#binding))
  }

  /** `found` is of the same instance, and gone afterwards. */
  rewind(found: Engine): void {
    this.#take(this.#binding.rewind(found.#binding))
  }

  skipTo(revision: number): void {
    this.#take(this.#binding.skipTo(revision))
  }

  renew(incarnation: Uint8Array): void {
    this.#take(this.#binding.renew(this.#put(incarnation)))
  }

  salvage(): Uint8Array {
    return this.#given(this.#binding.salvage())
  }

  /** This tab, of this number, leads from now on. */
  lead(id: number): Outgoing[] {
    return readOutgoing(this.#given(this.#binding.lead(id)))
  }

  /** Takes what `found` has claimed in the place of what it has; `found` is of the same instance, and gone afterwards. */
  takeLead(found: Engine): void {
    this.#take(this.#binding.takeLead(found.#binding))
  }

  /** This tab, of this number, follows from now on, with requests that nobody has answered; its next one is `next`. */
  follow(asked: readonly Asked[], id: number, next: number): void {
    this.#take(this.#binding.follow(this.#put(packAsked(asked)), id, next))
  }

  handleMessage(message: Uint8Array, now: number): Outgoing[] {
    return readOutgoing(this.#given(this.#binding.handleMessage(this.#put(message), now)))
  }

  tickTabs(now: number): Outgoing[] {
    return readOutgoing(this.#given(this.#binding.tickTabs(now)))
  }

  /** What to tell others when more is stored. */
  advanceTabs(): Outgoing[] {
    return readOutgoing(this.#given(this.#binding.advanceTabs()))
  }

  /** Asks the leader for a write; undefined while too many are under way. */
  submit(request: Uint8Array): Outgoing[] | undefined {
    const outgoing = this.#take(this.#binding.submit(this.#put(request)))
    return outgoing && readOutgoing(outgoing)
  }

  takeDone(): { number: number; came: Came }[] {
    return readDone(this.#given(this.#binding.takeDone()))
  }

  /** Applies a request of this tab that others may have applied before. */
  applyOnce({ number, request }: Asked, id: number, now: number): Came {
    return readOnce(this.#given(this.#binding.applyOnce(this.#put(request), id, number, now)))
  }

  tabStats(): TabStats {
    return readTabStats(this.#given(this.#binding.tabStats()))
  }

  /** Replaces everything by what another store holds: packed records. */
  mirror(incarnation: Uint8Array, revision: number, records: Uint8Array): void {
    const length = incarnation.length + records.length
    this.#room(length)
    this.#instance.bytes.set(incarnation, this.#area)
    this.#instance.bytes.set(records, this.#area + incarnation.length)
    this.#take(this.#binding.mirror(length, revision))
  }

  /** Takes over changes of another store, packed records, up to a revision. */
  mirrorChanges(to: number, records: Uint8Array): void {
    this.#take(this.#binding.mirrorChanges(this.#put(records), to))
  }

  /** With the bytes of memory that its instance has taken. */
  stats(): Stats & { wasmBytes: number } {
    return { ...readStats(this.#given(this.#binding.stats())), wasmBytes: this.#instance.bytes.length }
  }

  free(): void {
    this.#binding.free()
  }

  #slot(slot: number): number {
    return this.#instance.numbers[this.#board + slot] as number
  }

  /** Puts a request into the area; gives its length. */
  #put(bytes: Uint8Array): number {
    this.#room(bytes.length)
    this.#instance.bytes.set(bytes, this.#area)
    return bytes.length
  }

  /** Puts `prefix` and text into the area, if it is ASCII: without a call into a coder, or an array in between. */
  #putText(prefix: Uint8Array, text: string): number {
    const length = prefix.length + text.length
    if (text === '' || length > areaBytes) return -1
    const { bytes } = this.#instance
    if (prefix.length > 0) bytes.set(prefix, this.#area)
    const at = this.#area + prefix.length
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) return -1
      bytes[at + i] = unit
    }
    return length
  }

  #room(bytes: number): void {
    const isTooLarge = this.#areaBytes > areaKeptBytesMax && bytes <= areaBytes
    if (bytes <= this.#areaBytes && !isTooLarge) return
    this.#area = this.#binding.area(bytes)
    this.#areaBytes = Math.max(bytes, areaBytes)
  }

  #given(at: number): Uint8Array {
    return this.#take(at) as Uint8Array
  }

  /** Decodes an answer that is a value, where it lies. */
  #decoded<V>(at: number, codec: Codec<V>): V | undefined {
    const { bytes } = this.#instance
    const kind = bytes[at]
    if (kind === kinds.nothing) return undefined
    const start = at + headBytes
    if (kind === kinds.refused) throw refusal(bytes, start)
    return decodeValue(codec, bytes, start, start + u32At(bytes, at + 4))
  }

  /** Copies an answer out. */
  #take(at: number): Uint8Array | undefined {
    const { bytes } = this.#instance
    const kind = bytes[at]
    if (kind === kinds.nothing) return undefined
    const start = at + headBytes
    if (kind === kinds.refused) throw refusal(bytes, start)
    return bytes.slice(start, start + u32At(bytes, at + 4))
  }
}

function refusal(bytes: Uint8Array, at: number): RevkvError {
  const reader = new Reader(bytes)
  reader.at = at
  const text = () => {
    const length = reader.u64()
    reader.at += length
    return decodeText(bytes, reader.at - length, reader.at, false)
  }
  const [code, message, revision, compactRevision] = [text() as ErrorCode, text(), reader.u64(), reader.u64()]
  if (code === 'COMPACTED') return new RevkvError(code, message, { revision, compactRevision })
  return new RevkvError(code, message, revision > 0 ? { revision } : {})
}
