// A folder in memory that remembers every call, so that one can ask what a disk may hold if the machine stops at any of
// them: what was flushed, and of what was not any part, in sectors of 512 bytes, some of them garbage.

import type { Random } from '../../src/conformance/random.js'
import type { LogFile, LogFolder } from '../../src/log/folder.js'

export type Contents = Map<string, Uint8Array>

export type Op =
  | { op: 'create'; file: string }
  | { op: 'remove'; file: string }
  | { op: 'write'; file: string; at: number; bytes: Uint8Array }
  | { op: 'truncate'; file: string; length: number }
  | { op: 'flush'; file: string }

const sectorBytes = 512

export class Disk implements LogFolder {
  readonly trace: Op[] = []
  readonly files: Contents
  /** Files open now, and at most so far. */
  handles = { now: 0, most: 0 }
  /** What a call does before it is done: throws, or for a write how many bytes it takes. */
  fault: (op: Op) => number | undefined = () => undefined

  constructor(files: Contents = new Map()) {
    this.files = new Map([...files].map(([name, bytes]) => [name, bytes.slice()]))
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()]
  }

  async open(name: string, create: boolean): Promise<LogFile> {
    if (create) this.#do({ op: 'create', file: name })
    if (!this.files.has(name)) throw new Error(`there is no ${name}`)
    this.handles.now++
    this.handles.most = Math.max(this.handles.most, this.handles.now)
    return new DiskFile(this, name, (op) => this.#do(op))
  }

  async remove(name: string): Promise<void> {
    this.#do({ op: 'remove', file: name })
  }

  async isOurs(): Promise<boolean> {
    return true
  }

  async isKept(_sequence: number): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {}

  #do(op: Op): number {
    const taken = this.fault(op)
    const done = op.op === 'write' && taken !== undefined ? { ...op, bytes: op.bytes.subarray(0, taken) } : op
    this.trace.push(done)
    apply(this.files, done)
    return done.op === 'write' ? done.bytes.length : 0
  }
}

class DiskFile implements LogFile {
  readonly #disk: Disk
  readonly #name: string
  readonly #do: (op: Op) => number

  constructor(disk: Disk, name: string, run: (op: Op) => number) {
    this.#disk = disk
    this.#name = name
    this.#do = run
  }

  async size(): Promise<number> {
    return this.#bytes.length
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    return this.#bytes.slice(at, at + length)
  }

  async write(at: number, bytes: Uint8Array): Promise<number> {
    return this.#do({ op: 'write', file: this.#name, at, bytes: bytes.slice() })
  }

  async truncate(length: number): Promise<void> {
    this.#do({ op: 'truncate', file: this.#name, length })
  }

  async flush(): Promise<void> {
    this.#do({ op: 'flush', file: this.#name })
  }

  async close(): Promise<void> {
    this.#disk.handles.now--
  }

  get #bytes(): Uint8Array {
    return this.#disk.files.get(this.#name) ?? new Uint8Array()
  }
}

function apply(files: Contents, op: Op): void {
  const bytes = files.get(op.file) ?? new Uint8Array()
  if (op.op === 'create') files.set(op.file, new Uint8Array())
  if (op.op === 'remove') files.delete(op.file)
  if (op.op === 'truncate') files.set(op.file, resized(bytes, op.length))
  if (op.op === 'write') {
    const grown = op.at + op.bytes.length > bytes.length ? resized(bytes, op.at + op.bytes.length) : bytes
    grown.set(op.bytes, op.at)
    files.set(op.file, grown)
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const other = new Uint8Array(length)
  other.set(bytes.subarray(0, length))
  return other
}

/** What survives a stop while the last of `ops` was under way, on a disk that held `before`. */
export class Crash {
  readonly #durable: Contents
  /** Not flushed, in order. */
  readonly #pending: Op[] = []

  constructor(before: Contents) {
    this.#durable = new Map([...before].map(([name, bytes]) => [name, bytes.slice()]))
  }

  /** One more call is done. */
  done(op: Op): void {
    if (op.op === 'write' || op.op === 'truncate') {
      this.#pending.push(op)
      return
    }
    // A folder keeps what is in it when the call is done; what the file holds is another matter.
    if (op.op === 'create' || op.op === 'remove') {
      this.#forget(op.file)
      apply(this.#durable, op)
      return
    }
    for (const pending of this.#forget(op.file)) apply(this.#durable, pending)
  }

  /** One of the states the disk may be in, with `next` begun but not done. */
  image(next: Op | undefined, random: Random): Contents {
    const files: Contents = new Map([...this.#durable].map(([name, bytes]) => [name, bytes.slice()]))
    const mood = random.below(4)
    const survives = () => (mood === 0 ? true : mood === 1 ? false : random.below(mood) === 0)
    for (const op of next && next.op !== 'flush' ? [...this.#pending, next] : this.#pending) {
      if (op.op !== 'write') {
        if (survives()) apply(files, op)
        continue
      }
      for (const piece of sectors(op)) {
        if (!survives()) continue
        const garbage = mood > 1 && random.below(12) === 0
        apply(files, garbage ? { ...piece, bytes: random.bytes(piece.bytes.length) } : piece)
      }
    }
    return files
  }

  #forget(file: string): Op[] {
    const mine = this.#pending.filter((op) => op.file === file)
    const others = this.#pending.filter((op) => op.file !== file)
    this.#pending.splice(0, this.#pending.length, ...others)
    return mine
  }
}

function sectors(op: Op & { op: 'write' }): (Op & { op: 'write' })[] {
  const pieces = []
  for (let from = 0; from < op.bytes.length; ) {
    const to = Math.min(op.bytes.length, from + sectorBytes - ((op.at + from) % sectorBytes))
    pieces.push({ ...op, at: op.at + from, bytes: op.bytes.subarray(from, to) })
    from = to
  }
  return pieces
}
