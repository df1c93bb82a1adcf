// The mark: a small file beside the segments that says how far the log is known to be durable, and where it begins.
//
// It is written in two slots, one after the other with a flush behind each, so that one of them is whole whenever the
// machine stops. It moves when a segment is begun or removed and when the log is closed; in between, each frame carries
// the same knowledge forward, so a strict batch needs one flush, its own.
//
//   slot, at 0 and at 4096: magic "rvkM" · format version (u32) · id of the log (u64) · generation (u64) ·
//                           durable (u64) · first segment (u64) · checksum (u32)

import { RevkvError } from '../errors.js'
import type { LogFile, LogFolder } from './folder.js'
import { checksum } from './frame.js'

export const markName = 'mark'

const magic = 0x4d6b7672
const formatVersion = 1
const slotBytes = 44
/** Far enough apart that no device writes both at once. */
const slotOffsets = [0, 4096]

export interface MarkState {
  log: bigint
  /** The last sequence that is known to be durable. */
  durable: number
  /** The oldest segment that belongs to the log. */
  first: number
}

interface Slot {
  offset: number
  state: MarkState
  generation: bigint
}

export class Mark {
  readonly #file: LogFile
  #state: MarkState | undefined
  #generation: bigint
  /** In which order the slots are written: last the one that was read, for until then the other may be damaged. */
  readonly #offsets: number[]

  private constructor(file: LogFile, newest: Slot | undefined) {
    this.#file = file
    this.#state = newest?.state
    this.#generation = newest?.generation ?? 0n
    this.#offsets = newest?.offset === slotOffsets[0] ? [...slotOffsets].reverse() : slotOffsets
  }

  static async open(folder: LogFolder, exists: boolean): Promise<Mark> {
    const file = await folder.open(markName, !exists)
    try {
      let newest: Slot | undefined
      for (const offset of slotOffsets) {
        const slot = decodeSlot(await file.read(offset, slotBytes), offset)
        if (slot && (!newest || slot.generation > newest.generation)) newest = slot
      }
      return new Mark(file, newest)
    } catch (e) {
      await file.close()
      throw e
    }
  }

  /** What it says; undefined when neither slot is whole. */
  get state(): MarkState | undefined {
    return this.#state
  }

  /** Both slots say so when this resolves. After a failure it says the one or the other. */
  async set(state: MarkState): Promise<void> {
    this.#state = state
    this.#generation++
    const slot = encodeSlot(state, this.#generation)
    for (const offset of this.#offsets) {
      const written = await this.#file.write(offset, slot)
      if (written !== slot.length) throw new RevkvError('QUOTA_EXCEEDED', 'The mark was written in part only.')
      await this.#file.flush()
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function encodeSlot(state: MarkState, generation: bigint): Uint8Array {
  const bytes = new Uint8Array(slotBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic, true)
  view.setUint32(4, formatVersion, true)
  view.setBigUint64(8, state.log, true)
  view.setBigUint64(16, generation, true)
  view.setBigUint64(24, BigInt(state.durable), true)
  view.setBigUint64(32, BigInt(state.first), true)
  view.setUint32(40, checksum(bytes.subarray(0, 40)), true)
  return bytes
}

function decodeSlot(bytes: Uint8Array, offset: number): Slot | undefined {
  if (bytes.length < slotBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, slotBytes)
  if (view.getUint32(0, true) !== magic || checksum(bytes.subarray(0, 40)) !== view.getUint32(40, true))
    return undefined
  const version = view.getUint32(4, true)
  if (version !== formatVersion) {
    throw new RevkvError('UNSUPPORTED_FORMAT', `The mark is written in format ${version}, by something newer.`)
  }
  const state = {
    log: view.getBigUint64(8, true),
    durable: Number(view.getBigUint64(24, true)),
    first: Number(view.getBigUint64(32, true)),
  }
  return { offset, state, generation: view.getBigUint64(16, true) }
}
