// Where a database in OPFS has gone. It goes to another place when whoever has it open cannot be asked to let go of it: a
// worker that is frozen or stopped keeps its handles, and nobody else can open what they are of, but anybody can read it.
//
//   fence, at 32 n: of the nth place, when the database is leaving it or has left it:
//     magic "rvkF" · state (u32): 1 leaving, 2 left · the next place (u64) · through (u64) · checksum (u32) · 0 (u32)
//
// Whoever moves it writes "leaving", then copies, and writes "left" with the last sequence that it has found. Whoever wakes
// up in the old place has nothing to hold it back from writing there; but before it acknowledges that, it looks here. Either
// it was there before it was copied, or it sees that it does not count: each writes first, and then reads what the other
// writes. All have this file open, by the one kind of handle of which there may be several.
//
// Two may be moving it at once, the one of them in the belief that the other is frozen. The later one writes "leaving" over
// that of the other, who sees it before it writes "left", in the same turn of its event loop. That a process is stopped just
// between those two calls, for as long as another needs for all of this, is a risk that is taken; IndexedDB could decide it.

import { RevkvError } from '../errors.js'
import { checksum } from '../log/frame.js'
import { type SyncHandle, syncHandle } from './sync-handle.js'

/** What the database does to a place. */
export interface Departure {
  /** Without it, it is still being copied. */
  through: number | undefined
  /** The next place. */
  next: bigint
}

export const fenceName = 'fence'
const magic = 0x466b7672
const recordBytes = 32
const states = { leaving: 1, left: 2 }
/** Whoever moves a database takes so long at most, or does not get to the end of it. */
const movingMsMax = 5000
const pauseMs = 20

export class Fence {
  readonly #handle: SyncHandle

  private constructor(handle: SyncHandle) {
    this.#handle = handle
  }

  static async open(home: FileSystemDirectoryHandle, signal: AbortSignal | undefined): Promise<Fence> {
    return new Fence(await syncHandle(home, fenceName, { create: true, mode: 'readwrite-unsafe', signal }))
  }

  /** Whether others can open it too: where not, nobody can move what another has open. */
  get isShared(): boolean {
    return this.#handle.mode === 'readwrite-unsafe'
  }

  /** Nothing while the place is the database's. */
  departure(place: number): Departure | undefined {
    const bytes = new Uint8Array(recordBytes)
    const length = this.#handle.read(bytes, { at: recordBytes * place })
    const view = new DataView(bytes.buffer)
    if (length < recordBytes || view.getUint32(0, true) === 0) return undefined
    // One that was cut short by a crash says less than "left", and so does one that is being written.
    const isWhole = view.getUint32(0, true) === magic && view.getUint32(24, true) === checksum(bytes.subarray(0, 24))
    const isLeft = isWhole && view.getUint32(4, true) === states.left
    return { next: view.getBigUint64(8, true), through: isLeft ? Number(view.getBigUint64(16, true)) : undefined }
  }

  /** Durable when this returns. */
  depart(place: number, { next, through }: Departure): void {
    const bytes = new Uint8Array(recordBytes)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, magic, true)
    view.setUint32(4, through === undefined ? states.leaving : states.left, true)
    view.setBigUint64(8, next, true)
    view.setBigUint64(16, BigInt(through ?? 0), true)
    view.setUint32(24, checksum(bytes.subarray(0, 24)), true)
    if (this.#handle.write(bytes, { at: recordBytes * place }) !== recordBytes) {
      throw new RevkvError('QUOTA_EXCEEDED', 'There is no room to note where the database is.')
    }
    this.#handle.flush()
  }

  /** It stays: whoever was moving it has not come to the end. */
  stay(place: number): void {
    if (!this.departure(place)) return
    this.#handle.truncate(recordBytes * place)
    this.#handle.flush()
  }

  /** Whether what was written in a place, up to a sequence, has gone where the database went. Waits while it is moved. */
  async isKept(place: number, sequence: number): Promise<boolean> {
    for (let waitedMs = 0; ; waitedMs += pauseMs) {
      const departure = this.departure(place)
      if (!departure) return true
      if (departure.through !== undefined) return sequence <= departure.through
      if (waitedMs >= movingMsMax) {
        const text = 'Another tab was taking the database over and has not come to the end of it; open it again.'
        throw new RevkvError('STORAGE_LOST', text)
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }

  close(): void {
    this.#handle.close()
  }
}
