// When a store has come to what the cluster has answered a write by.
//
// A write that has changed something is an event of the mirrored range, and the store comes to its revision. One that has
// changed nothing names the cluster's revision too, but of that a mirror of a range hears by the next progress only: what others
// write outside of the range is no event of it. What can be waited for is that the keys which the answer depends on are here as
// they are there.

import { compareBytes } from '../keyspace.js'
import type { KeyRange, KeyValue } from '../wire.js'
import { keyValue } from './forms.js'
import { list, natural, object } from './gateway.js'
import type { ClusterFollower } from './mirror.js'
import { bounds } from './range.js'

/** Resolves when these ranges are here as the cluster has them now, or newer. */
export async function agreement(
  cluster: ClusterFollower,
  keysOf: (keys: KeyRange) => KeyValue[],
  ranges: readonly KeyRange[],
): Promise<void> {
  for (const keys of ranges) {
    const { key, rangeEnd } = bounds(keys)
    const request = { key, range_end: rangeEnd, keys_only: true }
    const answer = await cluster.gateway.call('/v3/kv/range', request, cluster.signal)
    const revision = natural(object(answer.header, 'header').revision, 'revision')
    const theirs = list(answer.kvs, 'kvs').map(keyValue)
    await cluster.reached(Math.max(0, ...theirs.map(({ modRevision }) => modRevision)))
    // In both in the order of their keys. What is here and not there was deleted, which is still to come, or was put since.
    await cluster.until(() => {
      let place = 0
      return keysOf(keys).every((own) => {
        while (place < theirs.length && compareBytes((theirs[place] as KeyValue).key, own.key) < 0) place++
        const other = theirs[place]
        return own.modRevision > revision || (other !== undefined && compareBytes(other.key, own.key) === 0)
      })
    })
  }
}
