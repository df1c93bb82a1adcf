// A store that mirrors a cluster: which range of which one, as its incarnation says, and what crosses to the engine of it.

import type { KeyRange, KeyValue } from './wire.js'
import { packList } from './wire.js'

/** What the incarnation of a mirror begins with. */
const mark = [0x65, 0x74, 0x63, 0x64, 0, 0, 0, 0]

/**
 * Names the life of a range of a cluster. What a store has of another range is not what it would have of this one, though their
 * revisions are the same.
 */
export function incarnationOf(cluster: bigint, keys: KeyRange): Uint8Array {
  const name = Uint8Array.of(...mark, 0, 0, 0, 0, 0, 0, 0, 0)
  new DataView(name.buffer).setBigUint64(mark.length, cluster ^ hashOf(keys))
  return name
}

/** FNV-1a in 64 bits: of both bounds, with their lengths, so that no two ranges are the same bytes. */
function hashOf(keys: KeyRange): bigint {
  const [kind, ...bounds] = 'key' in keys ? [0, keys.key] : keys.end ? [1, keys.start, keys.end] : [2, keys.start]
  const bytes = [kind, ...bounds.flatMap((bound) => [...new Uint8Array(Uint32Array.of(bound.length).buffer), ...bound])]
  return bytes.reduce((hash, byte) => BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n)
}

/** Whether it is the mirror of some cluster, so that nobody else may give it revisions. */
export function isMirror(incarnation: Uint8Array): boolean {
  return mark.every((byte, place) => incarnation[place] === byte)
}

/** As the engine's `Record`s. Where in its transaction each of them is, the engine finds out. */
export function packRecords(kvs: readonly KeyValue[]): Uint8Array {
  return packList(kvs, (w, kv) => {
    w.u64(kv.modRevision)
    w.u32(0)
    w.bytes(kv.key)
    w.u64(kv.createRevision)
    w.u64(kv.version)
    w.i64(kv.lease)
    w.bytes(kv.value)
  })
}
