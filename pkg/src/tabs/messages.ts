// What the engine says of other tabs, as the host reads it: `src/wasm/tabs.rs` packs it.

import { Reader } from '../wire.js'

/** A message to send; `to` 0: to all. */
export interface Outgoing {
  to: number
  bytes: Uint8Array
}

/** What came of a request. */
export type Came = { response: Uint8Array } | 'answered-before' | { code: string; message: string }

/** A request that nobody has answered. */
export interface Asked {
  number: number
  request: Uint8Array
}

export interface TabStats {
  followers: number
  /** Revisions that the leader has told of and that are not here. */
  lag: number
  dropped: number
  /** All that was told is here. */
  isInSync: boolean
}

export function readOutgoing(source: Uint8Array): Outgoing[] {
  const r = new Reader(source)
  return r.list(() => ({ to: r.u64(), bytes: r.bytes() }))
}

export function readDone(source: Uint8Array): { number: number; came: Came }[] {
  const r = new Reader(source)
  return r.list(() => ({ number: r.u64(), came: readCame(r) }))
}

function readCame(r: Reader): Came {
  switch (r.u32()) {
    case 0:
      return { response: r.bytes() }
    case 1:
      return 'answered-before'
    default:
      return { code: r.text(), message: new TextDecoder().decode(r.bytes()) }
  }
}

/** Of a request that this tab applies itself, and may have been applied before. */
export function readOnce(source: Uint8Array): Came {
  const r = new Reader(source)
  switch (r.u32()) {
    case 0:
      return { response: source.subarray(r.at) }
    case 1:
      r.u64() // The revision.
      return r.bool() ? { response: r.bytes() } : 'answered-before'
    case 2:
      return { code: 'CONFLICT', message: 'The request was refused by a leader that is gone.' }
    default:
      return 'answered-before'
  }
}

export function readTabStats(source: Uint8Array): TabStats {
  const numbers = new DataView(source.buffer, source.byteOffset)
  const at = (place: number) => numbers.getFloat64(8 * place, true)
  return { followers: at(0), lag: at(1), dropped: at(2), isInSync: at(3) === 1 }
}

/** A list of numbers and requests. */
export function packAsked(asked: readonly Asked[]): Uint8Array {
  const bytes = new Uint8Array(asked.reduce((length, { request }) => length + 16 + request.length, 8))
  const view = new DataView(bytes.buffer)
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true)
  u64(0, asked.length)
  let at = 8
  for (const { number, request } of asked) {
    u64(at, number)
    u64(at + 8, request.length)
    bytes.set(request, at + 16)
    at += 16 + request.length
  }
  return bytes
}
