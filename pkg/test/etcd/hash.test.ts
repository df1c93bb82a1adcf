// A mirror and its cluster are compared by etcd's own hash, where the gateway lends it: 3.5.30 does, 3.5.1 and 3.4.23 do not.
// ETCD_WITH_HASH names such a server; `cargo xtask test etcd` sees to it.

import { expect, test, vi } from 'vitest'
import { Random } from '../../src/conformance/random.js'
import { mirror } from '../../src/etcd/index.js'
import { utf8 } from '../../src/index.js'
import { openStore } from '../open.js'
import { Cluster } from './cluster.js'

const server = process.env.ETCD_WITH_HASH
const seed = Number(process.env.REVKV_SEED ?? Date.now() % 1_000_000)
const rounds = 12
const writesOfRound = 150

/** One write of a few keys: puts, deletes of ranges, and transactions of several. */
function write(random: Random, n: number): [path: string, body: object] {
  const key = () => btoa(`k${String(random.below(60)).padStart(2, '0')}`)
  const put = () => ({ key: key(), value: btoa(`${n} ${random.below(1000)}`) })
  const chosen = random.below(10)
  if (chosen < 6) return ['/v3/kv/put', put()]
  if (chosen < 8) return ['/v3/kv/deleterange', { key: key() }]
  const from = random.below(50)
  const [start, end] = [from, from + 1 + random.below(5)].map((at) => btoa(`k${String(at).padStart(2, '0')}`))
  if (chosen < 9) return ['/v3/kv/deleterange', { key: start, range_end: end }]
  const puts = new Map(Array.from({ length: 1 + random.below(4) }, put).map((one) => [one.key, one]))
  return ['/v3/kv/txn', { success: [...puts.values()].map((one) => ({ request_put: one })) }]
}

test.runIf(server)(
  `the hashes are the same, whatever is written and compacted (seed ${seed})`,
  {
    timeout: 120_000,
  },
  async () => {
    const random = new Random(seed)
    const cluster = await Cluster.start(1, server)
    const asked: string[] = []
    let lie = (text: string) => text
    const listening: typeof fetch = async (input, init) => {
      const path = new URL(String(input)).pathname
      asked.push(path)
      const response = await fetch(input, init)
      if (path === '/v3/watch') return response
      return new Response(lie(await response.text()), { status: response.status })
    }
    const store = await openStore<string>({ values: utf8 })
    const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: listening })
    await kept.inSync()
    const verified = async () => {
      asked.length = 0
      return [await kept.verify(), asked.filter((path) => !path.endsWith('status'))]
    }
    let compacted = store.compactRevision
    for (let round = 0, n = 0; round < rounds; round++) {
      for (let i = 0; i < writesOfRound; i++) await cluster.call(...write(random, n++))
      const revision = await cluster.revision()
      await vi.waitFor(() => expect(store.revision).toBe(revision))
      // The mirror's history begins where it began; both have the same from the first compaction of both at one revision on.
      // Not every write changes something. Of the revision that it has compacted at last, etcd tells the hash it had before.
      const at = Math.min(revision - 1, Math.max(compacted + 1, revision - random.below(writesOfRound)))
      compacted = at
      await cluster.call('/v3/kv/compaction', { revision: String(at), physical: true })
      await store.compact(at)
      expect([round, ...(await verified())]).toEqual([round, true, ['/v3/maintenance/hashkv']])
    }
    // A hash that is another one is not believed by itself: the keys are compared, and are the same.
    lie = (text) => text.replace(/"hash":\d+/, '"hash":1')
    expect(await verified()).toEqual([true, ['/v3/maintenance/hashkv', '/v3/kv/range']])
  },
)

test.runIf(server)('a change that came as another is found', async () => {
  const cluster = await Cluster.start(1, server)
  const changing: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (new URL(String(input)).pathname !== '/v3/watch') return response
    const [decoder, encoder] = [new TextDecoder(), new TextEncoder()]
    const other = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) =>
        controller.enqueue(encoder.encode(decoder.decode(chunk).replace(btoa('right'), btoa('wrong')))),
    })
    return new Response(response.body?.pipeThrough(other), { status: response.status })
  }
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: changing })
  await kept.inSync()
  await cluster.put('a', 'right')
  await vi.waitFor(() => expect(store.get('a')).toBe('wrong'))
  expect(await kept.verify()).toBe(false)
})
