// Opening a log: every frame is read, what belongs to a write that never ended is cut off, and damage is named.
//
// A segment that is not the last was flushed before its successor was made, so a bad frame in it is damage. In the last
// one a bad frame is the torn tail of the writes that nobody was told are durable, unless its sequence is known to be: by
// the mark, or by a frame behind it that was written when it was durable already. What lies behind a torn frame goes with
// it, because unflushed writes reach the disk in any order.

import { RevkvError } from '../errors.js'
import type { LogFile, LogFolder } from './folder.js'
import {
  checksum,
  type Directory,
  decodeDirectory,
  decodeHeader,
  findMagic,
  type Header,
  headerBytes,
} from './frame.js'
import type { MarkState } from './mark.js'
import { Places, type Segment, segmentName, segmentNumber } from './places.js'
import type { TornTail } from './torn-tail.js'
import { Window } from './window.js'

/** What the frames so far have said. */
export interface LogState {
  readonly log: bigint
  readonly places: Places
  /** Oldest first; the last one is written to. */
  readonly segments: Segment[]
  sequence: number
  epoch: number
  head: string
  /** Header checksum of the last frame. */
  chain: number
}

interface Bad {
  at: number
  what: string
}

/** How much of a damaged segment is searched for whole frames at once. */
const searchBytes = 1024 * 1024

export async function recover(folder: LogFolder, mark: MarkState): Promise<{ state: LogState; torn?: TornTail }> {
  const state: LogState = {
    log: mark.log,
    places: new Places(),
    segments: [],
    sequence: 0,
    epoch: 0,
    head: '',
    chain: 0,
  }
  const numbers = await segmentNumbers(folder, mark)
  let torn: TornTail | undefined
  for (const number of numbers) {
    const name = segmentName(number)
    const file = await folder.open(name, false)
    try {
      const segment = { number, bytes: 0, live: 0 }
      const last = number === numbers.at(-1)
      const bad = await new Scan(file, state, segment).run(last)
      if (bad) {
        if (!last || (await isDurable(file, bad, state, mark))) throw corrupt(name, bad.at, bad.what)
        torn = { file: name, offset: bad.at, bytes: (await file.size()) - bad.at }
        // Never empty of frames: such a segment is made anew.
        if (bad.at > 0) await cut(file, bad.at)
      }
      if (segment.bytes > 0) state.segments.push(segment)
    } finally {
      await file.close()
    }
  }
  if (state.sequence < mark.durable) {
    const end = state.segments.at(-1)
    const text = `the log ends with batch ${state.sequence}, and batch ${mark.durable} was flushed`
    throw corrupt(segmentName(end?.number ?? mark.first), end?.bytes ?? 0, text)
  }
  if (torn?.offset === 0) await folder.remove(torn.file)
  return torn ? { state, torn } : { state }
}

/** Those that belong to the log, ascending and without a gap; what a removal has left behind is removed now. */
async function segmentNumbers(folder: LogFolder, mark: MarkState): Promise<number[]> {
  const all = (await folder.list()).map(segmentNumber).filter((number) => number !== undefined)
  for (const number of all) if (number < mark.first) await folder.remove(segmentName(number))
  const numbers = all.filter((number) => number >= mark.first).sort((a, b) => a - b)
  numbers.forEach((number, i) => {
    const expected = mark.first + i
    if (number !== expected) throw corrupt(segmentName(expected), 0, 'the file is missing')
  })
  return numbers
}

async function cut(file: LogFile, length: number): Promise<void> {
  await file.truncate(length)
  await file.flush()
}

/** Whether the frame that should be at `bad` was durable once. */
async function isDurable(file: LogFile, bad: Bad, state: LogState, mark: MarkState): Promise<boolean> {
  const sequence = state.sequence + 1
  if (sequence <= mark.durable) return true
  const size = await file.size()
  for (let at = bad.at; at < size; at += searchBytes) {
    // Headers that begin in this piece may end in the next.
    const bytes = await file.read(at, searchBytes + headerBytes - 1)
    for (let found = findMagic(bytes, 0); found !== -1; found = findMagic(bytes, found + 1)) {
      const header = decodeHeader(bytes.subarray(found))
      if (header?.log === state.log && header.durable >= sequence) return true
    }
  }
  return false
}

/** Reads one segment into the state, up to its end or the first bad frame. */
class Scan {
  readonly #window: Window
  readonly #file: LogFile
  readonly #state: LogState
  readonly #segment: Segment

  constructor(file: LogFile, state: LogState, segment: Segment) {
    this.#file = file
    this.#window = new Window(file)
    this.#state = state
    this.#segment = segment
  }

  /** Blobs of the last segment are read too; those of the others when they are asked for. */
  async run(last: boolean): Promise<Bad | undefined> {
    const size = await this.#file.size()
    // An empty file is a segment whose first frame is missing.
    do {
      const at = this.#segment.bytes
      const frame = await this.#frame(at, size, last)
      if (typeof frame === 'string') return { at, what: frame }
      this.#take(at, frame.header, frame.directory)
    } while (this.#segment.bytes < size)
    return undefined
  }

  /** The frame at `at`, or what is wrong with it. */
  async #frame(at: number, size: number, last: boolean): Promise<{ header: Header; directory: Directory } | string> {
    const header = decodeHeader(await this.#window.read(at, headerBytes))
    if (!header) return 'the header of a batch is damaged or missing'
    const misplaced = this.#misplaced(header, at)
    if (misplaced) return misplaced
    const blobsAt = at + headerBytes + header.directoryBytes
    if (blobsAt + header.blobsBytes > size) return 'a batch is longer than the file'
    const bytes = await this.#window.read(at + headerBytes, header.directoryBytes)
    if (checksum(bytes) !== header.directoryChecksum) return 'the directory of a batch is damaged'
    const directory = decodeDirectory(bytes, header.blobsBytes)
    if (!directory) return 'the directory of a batch makes no sense'
    let blobAt = blobsAt
    for (const blob of last ? directory.put : []) {
      if (checksum(await this.#window.read(blobAt, blob.length)) !== blob.checksum) return `blob ${blob.id} is damaged`
      blobAt += blob.length
    }
    return { header, directory }
  }

  #misplaced({ log, segment, kind, sequence, chain }: Header, at: number): string | undefined {
    // No stop of a machine does that: somebody has moved files.
    if (log !== this.#state.log || segment !== this.#segment.number) {
      throw corrupt(segmentName(this.#segment.number), at, 'a batch of another file is in this place')
    }
    if ((kind === 'start') !== (at === 0)) return 'a batch is not in its place'
    // What came before the oldest segment is gone, so its word is taken.
    if (this.#state.segments.length === 0 && at === 0) return undefined
    const follows = sequence === this.#state.sequence + 1 && chain === this.#state.chain
    return follows ? undefined : `batch ${sequence} does not follow batch ${this.#state.sequence}`
  }

  #take(at: number, header: Header, directory: Directory): void {
    const state = this.#state
    let blobAt = at + headerBytes + header.directoryBytes
    for (const { id, length, checksum } of directory.put) {
      state.places.put(id, { segment: this.#segment, at: blobAt, length, checksum })
      blobAt += length
    }
    for (const id of directory.delete) state.places.delete(id)
    state.sequence = header.sequence
    state.epoch = header.epoch
    state.head = directory.head
    state.chain = header.checksum
    this.#segment.bytes = blobAt
  }
}

export function corrupt(file: string, offset: number, what: string): RevkvError {
  return new RevkvError('CORRUPT', `${file}, offset ${offset}: ${what}.`)
}
