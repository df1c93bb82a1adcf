// Random requests, the same to both: a small space of keys, so that they meet; compactions and watches among them.

import { Random } from '../../pkg/src/conformance/random.js'
import type { Json, Judge, Watching } from './judge.js'
import { base64 } from './requests.js'

const KEYS = ['a', 'a/1', 'a/2', 'b', 'b/1', 'c', 'ключ', 'z'].map(base64)
const ENDS = [...KEYS, base64('\0')]
const VALUES = ['', '1', '2', 'long '.repeat(20)].map(base64)
const LEASES = [1, 2, 3, 404]

export async function random(judge: Judge, seed: number, operations: number): Promise<void> {
  const chance = new Chance(seed)
  const watches: Watching[] = []
  let revision = 1
  for (let i = 0; i < operations; i++) {
    if (chance.in(25)) watches.push(await judge.watch({ create_request: watchRequest(chance, revision) }))
    const [path, body] = request(chance, revision)
    // A watch that catches up is cut off by a compaction in etcd, which begins with it up to 100 ms later.
    if (path === '/v3/kv/compaction' && watches.length > 0) await new Promise((resolve) => setTimeout(resolve, 250))
    const { header } = await judge.ask(path, body)
    revision = Number((header as Json | undefined)?.revision ?? revision)
  }
  await judge.compareWatches(watches)
  await judge.ask('/v3/kv/range', { key: base64('\0'), range_end: base64('\0') })
}

function request(chance: Chance, revision: number): [path: string, body: Json] {
  const kind = chance.below(20)
  if (kind < 7) return ['/v3/kv/put', putRequest(chance)]
  if (kind < 11) return ['/v3/kv/range', rangeRequest(chance, revision)]
  if (kind < 13) return ['/v3/kv/deleterange', deleteRequest(chance)]
  if (kind < 17) return ['/v3/kv/txn', txnRequest(chance, revision, 1)]
  if (kind < 18) return ['/v3/lease/grant', { ID: chance.pick(LEASES.slice(0, 3)), TTL: 1000 }]
  if (kind < 19) return ['/v3/lease/revoke', { ID: chance.pick(LEASES) }]
  return chance.in(3)
    ? ['/v3/kv/compaction', { revision: 1 + chance.below(revision + 1) }]
    : ['/v3/lease/keepalive', { ID: chance.pick(LEASES) }]
}

function keys(chance: Chance): Json {
  return { key: chance.pick(KEYS), ...(chance.in(2) ? { range_end: chance.pick(ENDS) } : {}) }
}

function putRequest(chance: Chance): Json {
  return {
    key: chance.pick(KEYS),
    value: chance.in(10) ? undefined : chance.pick(VALUES),
    ...(chance.in(4) ? { lease: chance.pick(LEASES) } : {}),
    ...(chance.in(3) ? { prev_kv: true } : {}),
    ...(chance.in(10) ? { ignore_value: true } : {}),
    ...(chance.in(10) ? { ignore_lease: true } : {}),
  }
}

/** Always with an order: without one, etcd sorts what the limit has left, and the stand-in all of it. */
function rangeRequest(chance: Chance, revision: number): Json {
  return {
    ...keys(chance),
    ...(chance.in(3) ? { revision: chance.below(revision + 2) } : {}),
    ...(chance.in(3) ? { limit: chance.below(4) } : {}),
    ...(chance.in(3) ? { sort_target: chance.below(5), sort_order: 1 + chance.below(2) } : {}),
    ...(chance.in(5) ? { keys_only: true } : {}),
    ...(chance.in(8) ? { count_only: true } : {}),
    ...(chance.in(8) ? { min_mod_revision: chance.below(revision) } : {}),
    ...(chance.in(8) ? { max_create_revision: chance.below(revision) } : {}),
  }
}

function deleteRequest(chance: Chance): Json {
  return { ...keys(chance), ...(chance.in(2) ? { prev_kv: true } : {}) }
}

function txnRequest(chance: Chance, revision: number, depth: number): Json {
  const ops = () => Array.from({ length: chance.below(4) }, () => opRequest(chance, revision, depth))
  const compare = Array.from({ length: chance.below(3) }, () => compareRequest(chance, revision))
  return { compare, success: ops(), failure: ops() }
}

function opRequest(chance: Chance, revision: number, depth: number): Json {
  const kind = chance.below(depth < 3 ? 8 : 7)
  if (kind < 3) return { request_put: putRequest(chance) }
  if (kind < 5) return { request_range: rangeRequest(chance, revision) }
  if (kind < 7) return { request_delete_range: deleteRequest(chance) }
  return { request_txn: txnRequest(chance, revision, depth + 1) }
}

function compareRequest(chance: Chance, revision: number): Json {
  const operand: Json = chance.pick([
    { target: 'VERSION', version: chance.below(4) },
    { target: 'CREATE', create_revision: chance.below(revision + 1) },
    { target: 'MOD', mod_revision: chance.below(revision + 1) },
    { target: 'VALUE', value: chance.pick(VALUES) },
    { target: 'LEASE', lease: chance.pick([0, ...LEASES]) },
  ])
  return { ...keys(chance), ...operand, result: chance.pick(['EQUAL', 'NOT_EQUAL', 'GREATER', 'LESS']) }
}

function watchRequest(chance: Chance, revision: number): Json {
  return {
    ...keys(chance),
    ...(chance.in(2) ? { start_revision: 1 + chance.below(revision + 3) } : {}),
    ...(chance.in(2) ? { prev_kv: true } : {}),
    ...(chance.in(4) ? { filters: [chance.below(2)] } : {}),
  }
}

class Chance extends Random {
  in(times: number): boolean {
    return this.below(times) === 0
  }
}
