// A store that mirrors a cluster: which one, as its incarnation says, and what crosses to the engine of it.

import type { KeyValue } from './wire.js'
import { packList } from './wire.js'

/** What the incarnation of a mirror begins with. */
const mark = [0x65, 0x74, 0x63, 0x64, 0, 0, 0, 0]

/** Names the life of a cluster. */
export function incarnationOf(cluster: bigint): Uint8Array {
  const name = Uint8Array.of(...mark, 0, 0, 0, 0, 0, 0, 0, 0)
  new DataView(name.buffer).setBigUint64(mark.length, cluster)
  return name
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
