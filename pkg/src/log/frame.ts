// One batch as it lies in a segment, byte for byte. Numbers are little-endian.
//
//   offset  bytes  header
//        0      4  magic "rvkL"
//        4      1  format version
//        5      1  kind: 0 start of a segment, 1 batch, 2 copies of blobs from an older segment
//        6      2  zero
//        8      8  id of the log, drawn when it was made: frames of another log are none
//       16      8  sequence, one more than that of the frame before
//       24      8  epoch
//       32      8  durable: the last sequence that was flushed when this was written
//       40      4  bytes of the directory
//       44      4  bytes of the blobs
//       48      4  header checksum of the frame before: the chain
//       52      4  checksum of the directory
//       56      4  number of the segment, so that a file which is not in its place is known
//       60      4  header checksum, over all of the above
//
// Behind it comes the directory, then the blobs' bytes, one behind the other.
//
//   directory: head (text) · puts (u32) · deletes (u32) · puts × { id (text), bytes (u32), checksum (u32) } · deletes × id (text)
//   text: bytes (u16) · UTF-8
//
// The header's checksum is compared before any length in it is believed, the directory's before any length in that, and
// a blob's whenever it is read. Zeros are no frame, since their magic is not ours.

import crc32 from 'crc-32'
import { RevkvError } from '../errors.js'

export const headerBytes = 64
/** What the header's checksum is over. */
const checkedBytes = 60

const magic = 0x4c6b7672
const formatVersion = 1

export type FrameKind = 'start' | 'batch' | 'copy'
const kinds: FrameKind[] = ['start', 'batch', 'copy']

export interface Header {
  kind: FrameKind
  log: bigint
  sequence: number
  epoch: number
  durable: number
  directoryBytes: number
  blobsBytes: number
  chain: number
  segment: number
  directoryChecksum: number
  /** Its own. */
  checksum: number
}

export interface Directory {
  /** The highest id ever put, with those of this frame. */
  head: string
  put: { id: string; length: number; checksum: number }[]
  delete: string[]
}

/** What is decided when a frame is written; the rest follows from its directory. */
export type FrameStart = Pick<Header, 'kind' | 'log' | 'sequence' | 'epoch' | 'durable' | 'chain' | 'segment'>

export function checksum(bytes: Uint8Array): number {
  return crc32.buf(bytes) >>> 0
}

/** Header and directory; the blobs follow them. */
export function encodeFrame(start: FrameStart, directory: Directory): { bytes: Uint8Array; header: Header } {
  const encoded = encodeDirectory(directory)
  const header: Header = {
    ...start,
    directoryBytes: encoded.length,
    blobsBytes: directory.put.reduce((total, { length }) => total + length, 0),
    directoryChecksum: checksum(encoded),
    checksum: 0,
  }
  if (header.blobsBytes > 0xffff_ffff) throw new RevkvError('TOO_LARGE', 'A batch holds at most 4 GiB.')
  const bytes = new Uint8Array(headerBytes + encoded.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic, true)
  view.setUint8(4, formatVersion)
  view.setUint8(5, kinds.indexOf(header.kind))
  view.setBigUint64(8, header.log, true)
  view.setBigUint64(16, BigInt(header.sequence), true)
  view.setBigUint64(24, BigInt(header.epoch), true)
  view.setBigUint64(32, BigInt(header.durable), true)
  view.setUint32(40, header.directoryBytes, true)
  view.setUint32(44, header.blobsBytes, true)
  view.setUint32(48, header.chain, true)
  view.setUint32(52, header.directoryChecksum, true)
  view.setUint32(56, header.segment, true)
  header.checksum = checksum(bytes.subarray(0, checkedBytes))
  view.setUint32(checkedBytes, header.checksum, true)
  bytes.set(encoded, headerBytes)
  return { bytes, header }
}

/** The header at the beginning of `bytes`, or undefined when there is none whose checksum is right. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < headerBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  if (view.getUint32(0, true) !== magic) return undefined
  const stored = view.getUint32(checkedBytes, true)
  if (checksum(bytes.subarray(0, checkedBytes)) !== stored) return undefined
  const version = view.getUint8(4)
  const kind = kinds[view.getUint8(5)]
  if (version !== formatVersion || !kind || view.getUint16(6, true) !== 0) {
    throw new RevkvError('UNSUPPORTED_FORMAT', `This was written in format ${version}, by something newer.`)
  }
  return {
    kind,
    log: view.getBigUint64(8, true),
    sequence: Number(view.getBigUint64(16, true)),
    epoch: Number(view.getBigUint64(24, true)),
    durable: Number(view.getBigUint64(32, true)),
    directoryBytes: view.getUint32(40, true),
    blobsBytes: view.getUint32(44, true),
    chain: view.getUint32(48, true),
    directoryChecksum: view.getUint32(52, true),
    segment: view.getUint32(56, true),
    checksum: stored,
  }
}

/** The first place from `from` on where a header may begin. */
export function findMagic(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(magic & 0xff, from); at !== -1; at = bytes.indexOf(magic & 0xff, at + 1)) {
    if (at + headerBytes > bytes.length) return -1
    if (bytes[at + 1] === 0x76 && bytes[at + 2] === 0x6b && bytes[at + 3] === 0x4c) return at
  }
  return -1
}

function encodeDirectory({ head, put, delete: gone }: Directory): Uint8Array {
  const encoder = new TextEncoder()
  const texts = [head, ...put.map(({ id }) => id), ...gone].map((text) => encoder.encode(text))
  const long = texts.find((text) => text.length > 0xffff)
  if (long) throw new RevkvError('TOO_LARGE', `An id has ${long.length} bytes; ${0xffff} are allowed.`)
  const bytes = new Uint8Array(texts.reduce((total, text) => total + 2 + text.length, 8 + 8 * put.length))
  const view = new DataView(bytes.buffer)
  let at = 0
  const number = (value: number) => {
    view.setUint32(at, value, true)
    at += 4
  }
  texts.forEach((text, i) => {
    view.setUint16(at, text.length, true)
    bytes.set(text, at + 2)
    at += 2 + text.length
    if (i === 0) {
      number(put.length)
      number(gone.length)
    }
    const blob = i === 0 ? undefined : put[i - 1]
    if (!blob) return
    number(blob.length)
    number(blob.checksum)
  })
  return bytes
}

/** Reads what `encodeDirectory` wrote; undefined when it is anything else. Its checksum was right, so nobody should see that. */
export function decodeDirectory(bytes: Uint8Array, blobsBytes: number): Directory | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  const number = () => {
    at += 4
    return view.getUint32(at - 4, true)
  }
  const text = () => {
    const length = view.getUint16(at, true)
    at += 2 + length
    if (at > bytes.length) throw new RangeError('beyond the end')
    return decoder.decode(bytes.subarray(at - length, at))
  }
  try {
    const directory: Directory = { head: text(), put: [], delete: [] }
    const [puts, deletes] = [number(), number()]
    let left = blobsBytes
    for (let i = 0; i < puts; i++) {
      const blob = { id: text(), length: number(), checksum: number() }
      directory.put.push(blob)
      left -= blob.length
    }
    for (let i = 0; i < deletes; i++) directory.delete.push(text())
    return left === 0 && at === bytes.length ? directory : undefined
  } catch (e) {
    // Of a view or a decoder, at the end of the bytes or at what is no text.
    if (e instanceof RangeError || e instanceof TypeError) return undefined
    throw e
  }
}
