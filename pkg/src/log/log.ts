// Blobs in a folder of files: batches appended to segments, and segments removed when nothing in them is of use.
//
//   mark  00000007.log  00000008.log  00000009.log
//          oldest                      is written to
//
// Beside them may lie "spare", which holds nothing: it is the room for deletions when there is no other.
//
// Space is taken back from the oldest end only. When less than half of the log is of use, each write copies some of the
// oldest segment's live blobs to the new end first, and a segment without live blobs is removed. Why the oldest, and not
// the emptiest? A deletion has to be kept for as long as an older segment holds the blob; so it may go with the oldest.
//
// What that costs: copying begins when as many bytes are dead as live, so before a segment is copied as many bytes have
// become dead as the copies take. Over time no more is copied than was put, and the log is no larger than three times
// what is live, and four segments.

import { RevkvError, storageError } from '../errors.js'
import type { StorageBatch, StorageHandle } from '../types.js'
import type { LogFile, LogFolder } from './folder.js'
import { checksum, type Directory, encodeFrame, type FrameKind } from './frame.js'
import { Mark, markName } from './mark.js'
import { type Segment, segmentName } from './places.js'
import { corrupt, type LogState, recover } from './recovery.js'
import type { TornTail } from './torn-tail.js'
import { Window } from './window.js'

export interface LogOptions {
  maxBlobBytes: number
  /** A segment that has become this large is the last to hold the next batch no more. Smaller ones make more flushes, larger ones give space back later. */
  segmentBytes?: number
  /** What a small batch copies, when copying is due, so that it gets done with a segment, too. */
  copyBytesMin?: number
  /** Of a file that is given up where there is no room, so that what makes room can be written; 0 or absent: none. */
  spareBytes?: number
  onTornTail?: ((tail: TornTail) => void) | undefined
}

/** Copied for each byte of a batch, so that copying is faster than what makes it due. */
const copyBytesPerByte = 2
/** Without a spare, what is larger than this part of it waits for one: the room that it left is for what makes room. */
const smallPart = 64
const spareName = 'spare'
/** What goes to the file in one call. */
const writeBytesMax = 1024 * 1024
/** Older segments that are kept open for reading. Some browsers allow few hundred handles to all of a site. */
const readersMax = 4

/**
 * Invariants:
 * - the last segment ends with a whole frame, and its file there; a write that failed is cut off, or nothing is written again;
 * - every segment but the last is durable;
 * - the mark names no sequence that is not durable, and no segment as the first whose predecessors hold live blobs.
 */
export class Log implements StorageHandle {
  readonly #folder: LogFolder
  readonly #mark: Mark
  readonly #state: LogState
  readonly #maxBlobBytes: number
  readonly #segmentBytes: number
  readonly #copyBytesMin: number
  readonly #spareBytes: number
  #hasSpare = false
  /** The last segment's. */
  #file: LogFile
  readonly #readers = new Map<Segment, { file: LogFile; window: Window }>()
  #tail: { sequence: number; window: Window } | undefined
  /** The last sequence that is durable. */
  #durable: number
  /** Live blobs of the oldest segment that have not been copied yet, and the segment. */
  #copying: { segment: Segment; ids: string[] } | undefined
  /** Why nothing is written any more. */
  #poison: RevkvError | undefined
  #closing: Promise<void> | undefined
  /** Settles when everything asked for so far is done. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(folder: LogFolder, mark: Mark, state: LogState, file: LogFile, options: LogOptions) {
    this.#folder = folder
    this.#mark = mark
    this.#state = state
    this.#file = file
    this.#durable = state.sequence
    this.#maxBlobBytes = options.maxBlobBytes
    this.#segmentBytes = options.segmentBytes ?? 4 * 1024 * 1024
    this.#copyBytesMin = options.copyBytesMin ?? 256 * 1024
    this.#spareBytes = options.spareBytes ?? 0
  }

  /** Opens the log that is in the folder, or makes one. The folder is the log's from now on; it is closed when this fails. */
  static async open(folder: LogFolder, options: LogOptions): Promise<Log> {
    let mark: Mark | undefined
    try {
      const names = await folder.list()
      mark = await Mark.open(folder, names.includes(markName))
      if (!mark.state) {
        if (names.some((name) => name.endsWith('.log'))) throw corrupt(markName, 0, 'neither half of it is whole')
        await mark.set({ log: drawId(), durable: 0, first: 1 })
      }
      const log = await Log.#recovered(folder, mark, options)
      log.#hasSpare = names.includes(spareName)
      return log
    } catch (e) {
      await mark?.close()
      await folder.close()
      throw storageError(e)
    }
  }

  static async #recovered(folder: LogFolder, mark: Mark, options: LogOptions): Promise<Log> {
    if (!mark.state) throw new RevkvError('STORAGE_LOST', 'The mark could not be made.')
    const { state, torn } = await recover(folder, mark.state)
    const current = state.segments.at(-1)
    const file = await folder.open(segmentName(current?.number ?? mark.state.first), !current)
    try {
      const log = new Log(folder, mark, state, file, options)
      if (!current) await log.#begin(mark.state.first)
      // What a process has left in the cache of the system is durable only now.
      if (state.sequence > mark.state.durable) {
        await file.flush()
        await log.#setMark()
      }
      if (torn) options.onTornTail?.(torn)
      return log
    } catch (e) {
      await file.close()
      throw e
    }
  }

  /** Of the last frame. */
  get sequence(): number {
    return this.#state.sequence
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    this.#checkOpen()
    const { places, sequence } = this.#state
    for (const id of places.ids()) {
      const bytes = await this.#inTurn(() => {
        this.#checkOpen()
        if (this.#state.sequence !== sequence) {
          throw new RevkvError('NOT_LEADER', 'The database was written to while it was read.')
        }
        return this.#blob(id)
      })
      yield { id, bytes }
    }
  }

  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    this.#checkOpen()
    await this.#inTurn(async () => {
      this.#check(batch)
      if (!(await this.#folder.isOurs())) throw this.#poisoned(takenAway())
      if (batch.put.length > 0 || batch.delete.length > 0 || batch.epoch > this.#state.epoch) await this.#commit(batch)
      if (durability === 'strict') await this.#flush()
      if (!(await this.#folder.isKept(this.#state.sequence))) throw this.#poisoned(takenAway())
      await this.#removeDead()
    })
  }

  async bytesUsed(): Promise<number> {
    this.#checkOpen()
    return this.#bytes()
  }

  close(): Promise<void> {
    // In its turn: the folder is not given away while a write may still land in it.
    this.#closing ??= this.#inTurn(() => this.#close())
    return this.#closing
  }

  /** One call at a time, in the order they came. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run)
    this.#last = result.catch(() => {})
    return result
  }

  #checkOpen(): void {
    if (this.#closing) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }

  #check(batch: StorageBatch): void {
    const { epoch, head } = this.#state
    if (batch.epoch < epoch || batch.put.some(({ id }, i) => id <= (batch.put[i - 1]?.id ?? head))) {
      throw new RevkvError('NOT_LEADER', `Another store has written to this database since (epoch ${epoch}).`)
    }
    const large = batch.put.find(({ bytes }) => bytes.length > this.#maxBlobBytes)
    if (large) throw new RevkvError('TOO_LARGE', `Blob ${large.id} is larger than ${this.#maxBlobBytes} bytes.`)
    if (!this.#poison) return
    if (this.#poison.code === 'NOT_LEADER') throw this.#poison
    const text = 'The files have failed, so nothing more is written; close the handle and open it again.'
    throw new RevkvError('STORAGE_LOST', text, { cause: this.#poison })
  }

  /** Nothing is written from now on. */
  #poisoned(cause: unknown): RevkvError {
    this.#poison ??= storageError(cause)
    return this.#poison
  }

  async #commit({ epoch, put, delete: gone }: StorageBatch): Promise<void> {
    const bytes = put.reduce((total, blob) => total + blob.bytes.length, 0)
    if (gone.length === 0 && bytes > this.#spareBytes / smallPart) await this.#keepSpare()
    await this.#copyForward(Math.max(this.#copyBytesMin, copyBytesPerByte * bytes))
    await this.#append('batch', epoch, put, gone)
  }

  /** Writes a frame behind the last one, and takes it into the state. */
  async #append(kind: FrameKind, epoch: number, put: StorageBatch['put'], gone: string[]): Promise<void> {
    if (kind !== 'start' && this.#current.bytes >= this.#segmentBytes) await this.#rotate()
    const { state, current } = { state: this.#state, current: this.#current }
    const last = put.at(-1)?.id ?? ''
    const directory: Directory = {
      head: last > state.head ? last : state.head,
      put: put.map(({ id, bytes }) => ({ id, length: bytes.length, checksum: checksum(bytes) })),
      delete: gone,
    }
    const { log, sequence, chain } = state
    const start = { kind, log, sequence: sequence + 1, epoch, durable: this.#durable, chain, segment: current.number }
    const { bytes, header } = encodeFrame(start, directory)
    const from = current.bytes
    const end = await this.#writeAt(from, [bytes, ...put.map((blob) => blob.bytes)])

    let at = from + bytes.length
    for (const { id, length, checksum } of directory.put) {
      state.places.put(id, { segment: current, at, length, checksum })
      at += length
    }
    for (const id of gone) state.places.delete(id)
    current.bytes = end
    state.sequence = header.sequence
    state.epoch = epoch
    state.head = directory.head
    state.chain = header.checksum
  }

  /** Where the bytes end. What was written in part is cut off again. */
  async #writeAt(from: number, parts: Uint8Array[]): Promise<number> {
    let at = from
    try {
      for (const bytes of gathered(parts)) {
        const written = await this.#file.write(at, bytes)
        if (written !== bytes.length) {
          throw new RevkvError('QUOTA_EXCEEDED', `The file took ${written} of ${bytes.length} bytes.`)
        }
        at += written
      }
      return at
    } catch (e) {
      await this.#file.truncate(from).catch((cause: unknown) => this.#poisoned(cause))
      const error = storageError(e)
      if (error.code === 'QUOTA_EXCEEDED') await this.#giveUpSpare()
      throw error
    }
  }

  /** Sees to it that there is a spare; without room for it there is none for the batch. */
  async #keepSpare(): Promise<void> {
    if (this.#hasSpare || this.#spareBytes === 0) return
    const file = await this.#folder.open(spareName, true)
    let written = 0
    try {
      written = await file.write(0, new Uint8Array(this.#spareBytes))
    } catch (e) {
      if (storageError(e).code !== 'QUOTA_EXCEEDED') throw e
    } finally {
      await file.close()
    }
    this.#hasSpare = written === this.#spareBytes
    if (this.#hasSpare) return
    await this.#folder.remove(spareName)
    throw new RevkvError('QUOTA_EXCEEDED', 'The storage is full; what is deleted and compacted makes room.')
  }

  async #giveUpSpare(): Promise<void> {
    if (!this.#hasSpare) return
    this.#hasSpare = false
    // What stays takes room, and nothing else.
    await this.#folder.remove(spareName).catch(() => {})
  }

  async #flush(): Promise<void> {
    if (this.#durable === this.#state.sequence) return
    try {
      await this.#file.flush()
    } catch (e) {
      // Asking again might succeed with nothing to show for it: a system forgets what it could not write.
      throw this.#poisoned(e instanceof Error && e.name === 'QuotaExceededError' ? e : lost(e))
    }
    this.#durable = this.#state.sequence
  }

  /** Goes on in a new segment. What fails half-way leaves two that may be the last, so nothing is written after it. */
  async #rotate(): Promise<void> {
    await this.#flush()
    try {
      await this.#setMark()
      const number = this.#current.number + 1
      const file = await this.#folder.open(segmentName(number), true)
      await this.#file.close()
      this.#file = file
      await this.#begin(number)
    } catch (e) {
      throw this.#poisoned(e)
    }
  }

  /** The first frame of a segment: what must not be lost when the older ones go. */
  async #begin(number: number): Promise<void> {
    this.#state.segments.push({ number, bytes: 0, live: 0 })
    await this.#append('start', this.#state.epoch, [], [])
  }

  async #setMark(): Promise<void> {
    const { log, segments, sequence } = this.#state
    await this.#mark.set({ log, durable: sequence, first: segments[0]?.number ?? 1 })
    this.#durable = sequence
  }

  /** Copies live blobs of the oldest segment to the end, when too little of the log is of use. */
  async #copyForward(bytesMax: number): Promise<void> {
    const oldest = this.#state.segments[0]
    const due = this.#bytes() > 2 * (this.#state.places.liveBytes + this.#segmentBytes)
    if (!oldest || oldest === this.#current || (!due && this.#copying?.segment !== oldest)) return
    if (this.#copying?.segment !== oldest) {
      this.#copying = { segment: oldest, ids: this.#state.places.idsIn(oldest).reverse() }
    }
    const { ids } = this.#copying
    const put: StorageBatch['put'] = []
    try {
      for (let bytes = 0; bytes < bytesMax; ) {
        const id = ids.pop()
        if (id === undefined) break
        if (this.#state.places.get(id)?.segment !== oldest) continue
        const blob = { id, bytes: await this.#blob(id) }
        put.push(blob)
        bytes += blob.bytes.length
      }
      if (put.length > 0) await this.#append('copy', this.#state.epoch, put, [])
    } catch (e) {
      if (this.#poison) throw e
      // A blob that is damaged stays where it is, to be named by whoever reads it, and its segment with it. For any
      // other reason: the batch itself may still find room, and if not it says why.
      if (storageError(e).code !== 'CORRUPT') this.#copying = undefined
    }
  }

  /** Removes the oldest segments that hold nothing live. The batch is in, so a failure here is told by the next. */
  async #removeDead(): Promise<void> {
    const { segments } = this.#state
    const alive = segments.findIndex((segment) => segment.live > 0 || segment === this.#current)
    if (alive < 1) return
    try {
      // What was deleted from them, or copied, must not depend on the cache of the system.
      await this.#flush()
      const dead = segments.splice(0, alive)
      await this.#setMark()
      for (const segment of dead) {
        await this.#readers.get(segment)?.file.close()
        this.#readers.delete(segment)
        // Left behind, it is below the mark, and goes at the next opening.
        await this.#folder.remove(segmentName(segment.number)).catch(() => {})
      }
    } catch (e) {
      this.#poisoned(e)
    }
  }

  /** Reads a blob and compares its checksum. */
  async #blob(id: string): Promise<Uint8Array> {
    const place = this.#state.places.get(id)
    if (!place) throw new RevkvError('STORAGE_LOST', `Blob ${id} is not there.`)
    const bytes = await this.#bytesAt(place.segment, place.at, place.length)
    if (checksum(bytes) === place.checksum) return bytes
    throw corrupt(segmentName(place.segment.number), place.at, `blob ${id} is damaged`)
  }

  async #bytesAt(segment: Segment, at: number, length: number): Promise<Uint8Array> {
    try {
      const window = segment === this.#current ? this.#currentWindow() : await this.#reader(segment)
      return (await window.read(at, length)).slice()
    } catch (e) {
      throw storageError(e)
    }
  }

  /** Of the segment that is written to: good until the next write. */
  #currentWindow(): Window {
    const { sequence } = this.#state
    if (this.#tail?.sequence !== sequence) this.#tail = { sequence, window: new Window(this.#file) }
    return this.#tail.window
  }

  async #reader(segment: Segment): Promise<Window> {
    const known = this.#readers.get(segment)
    if (known) return known.window
    if (this.#readers.size === readersMax) {
      for (const [oldest, { file }] of this.#readers) {
        this.#readers.delete(oldest)
        await file.close()
        break
      }
    }
    const file = await this.#folder.open(segmentName(segment.number), false)
    const window = new Window(file)
    this.#readers.set(segment, { file, window })
    return window
  }

  async #close(): Promise<void> {
    try {
      if (!this.#poison && this.#mark.state?.durable !== this.#state.sequence && (await this.#folder.isOurs())) {
        await this.#flush()
        await this.#setMark()
      }
    } catch (e) {
      throw storageError(e)
    } finally {
      const files = [this.#file, this.#mark, ...[...this.#readers.values()].map(({ file }) => file)]
      for (const file of files) await file.close().catch(() => {})
      await this.#folder.close()
    }
  }

  get #current(): Segment {
    return this.#state.segments.at(-1) as Segment
  }

  #bytes(): number {
    return this.#state.segments.reduce((total, { bytes }) => total + bytes, 0)
  }
}

function takenAway(): RevkvError {
  return new RevkvError('NOT_LEADER', 'Another has taken the folder of this database away.')
}

function lost(cause: unknown): RevkvError {
  return new RevkvError('STORAGE_LOST', 'A flush failed, so nobody knows what the files hold; open them again.', {
    cause,
  })
}

function drawId(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] as bigint
}

/** The same bytes in fewer, larger pieces. */
function* gathered(parts: Uint8Array[]): Generator<Uint8Array> {
  let pending: Uint8Array[] = []
  let bytes = 0
  for (const part of parts) {
    pending.push(part)
    bytes += part.length
    if (bytes < writeBytesMax) continue
    yield joined(pending, bytes)
    pending = []
    bytes = 0
  }
  if (bytes > 0) yield joined(pending, bytes)
}

function joined(parts: Uint8Array[], length: number): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only) return only
  const bytes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
