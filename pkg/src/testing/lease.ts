// etcd's Lease service.

import type { Lease } from '../types.js'
import type { Answer, Bytes } from './kv.js'
import { int64, list, type Message, toBase64 } from './message.js'
import { Status } from './status.js'

/** With etcd's usual election timeout: a lease that is to end earlier ends then. */
const ttlSecondsMin = 2n
const ttlSecondsMax = 9_000_000_000n

export async function grant(store: Bytes, request: Message): Promise<Answer> {
  const [ttl, id] = [request.int64('TTL'), request.int64('ID')]
  if (ttl > ttlSecondsMax) throw new Status(11, 'etcdserver: too large lease TTL')
  const lease = await store.grant(Number(ttl < ttlSecondsMin ? ttlSecondsMin : ttl), id === 0n ? {} : { id })
  return { ID: int64(lease.id), TTL: int64(lease.ttlSeconds) }
}

export async function revoke(store: Bytes, request: Message): Promise<Answer> {
  const lease = store.lease(request.int64('ID'))
  if (!lease) throw new Status(5, 'etcdserver: requested lease not found')
  await lease.revoke()
  return {}
}

/** One that is not there has a TTL of 0, which is left out. */
export async function keepAlive(store: Bytes, id: bigint): Promise<Answer> {
  const ttl = await store.lease(id)?.keepAlive()
  return { ID: int64(id), TTL: int64(ttl ?? 0) }
}

export async function timeToLive(store: Bytes, request: Message): Promise<Answer> {
  const id = request.int64('ID')
  const lease = store.lease(id)
  if (!lease) return { ID: int64(id), TTL: '-1' }
  const keys = request.flag('keys') ? lease.keys().map((key) => toBase64(key as unknown as Uint8Array)) : []
  const left = Math.floor(lease.remaining())
  return { ID: int64(id), TTL: int64(left), grantedTTL: int64(lease.ttlSeconds), keys: list(keys) }
}

/** The one that ends first comes first. */
export async function leases(store: Bytes): Promise<Answer> {
  const all = store.leases().flatMap((id) => store.lease(id) ?? [])
  const left = new Map<Lease, number>(all.map((lease) => [lease, lease.remaining()]))
  all.sort((a, b) => Number(left.get(a)) - Number(left.get(b)))
  return { leases: list(all.map(({ id }) => ({ ID: int64(id) }))) }
}
