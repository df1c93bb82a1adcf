// Ranges as etcd says them.

import { compareBytes } from '../keyspace.js'
import type { KeyRange, KeyValue } from '../wire.js'
import { toBase64 } from './base64.js'
import { keyValue } from './forms.js'
import { type Json, list, natural, object } from './gateway.js'

const zero = toBase64(Uint8Array.of(0))

/** From "\0" on is everything; an end of "\0" is none. */
export function bounds(keys: KeyRange): { key: string; rangeEnd: string | undefined } {
  if ('key' in keys) return { key: toBase64(keys.key), rangeEnd: undefined }
  const key = keys.start.length === 0 ? zero : toBase64(keys.start)
  return { key, rangeEnd: keys.end ? toBase64(keys.end) : zero }
}

/** Whether all of `keys` lie in `all`. */
export function within(keys: KeyRange, all: KeyRange): boolean {
  const [start, end] = spanOf(keys)
  const [first, last] = spanOf(all)
  return compareBytes(start, first) >= 0 && (!last || (end !== undefined && compareBytes(end, last) <= 0))
}

function spanOf(keys: KeyRange): [Uint8Array, Uint8Array | undefined] {
  return 'key' in keys ? [keys.key, Uint8Array.of(...keys.key, 0)] : [keys.start, keys.end]
}

/** Keys of a page: an answer of some MiB at most, of usual values. */
const pageKeys = 5000

/** A range at one revision, in pages; without one, at that of the first page. */
export async function* pages(
  call: (body: object) => Promise<Json>,
  keys: KeyRange,
  revision = 0,
): AsyncGenerator<{ answer: Json; kvs: KeyValue[] }> {
  const { key, rangeEnd } = bounds(keys)
  for (let [from, at] = [key, revision]; ; ) {
    const answer = await call({ key: from, range_end: rangeEnd, limit: String(pageKeys), revision: String(at) })
    at ||= natural(object(answer.header, 'header').revision, 'revision')
    const kvs = list(answer.kvs, 'kvs').map(keyValue)
    yield { answer, kvs }
    const last = kvs.at(-1)
    if (answer.more !== true || !last) return
    from = toBase64(Uint8Array.of(...last.key, 0))
  }
}
