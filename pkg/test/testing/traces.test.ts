// What a real etcd answered to random operations, sent as requests to the gateway: see tests/traces/README.md.

import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type * as trace from '../../../tests/replay/trace.js'
import { parse } from '../../../tests/replay/trace.js'
import type { Etcd } from '../../src/testing/index.js'
import { ask, type Json, type Lines, newEtcd, watch } from './gateway.js'

const folder = new URL('../../../tests/traces/', import.meta.url)
const files = readdirSync(folder).filter((file) => file.endsWith('.jsonl.gz'))

test('there are traces', () => expect(files.length).toBeGreaterThan(0))

test.each(files)('%s', { timeout: 60_000 }, async (file) => {
  const { operations, watches } = parse(gunzipSync(readFileSync(new URL(file, folder))).toString())
  const etcd = await newEtcd()
  const streams = new Map<string, Watching>()
  for (const [i, { op, result }] of operations.entries()) {
    const place = `operation ${i + 1}, ${JSON.stringify(op)}`
    if (op.type === 'watch') streams.set(op.id, new Watching(await watch(etcd, { create_request: watchRequest(op) })))
    else expect(await answer(etcd, op), place).toEqual(withoutOrder(op, result))
    // As they were recorded: what an event says of the key before may be compacted later.
    if (streams.size > 0) await turn()
  }
  // The last events are there when a watch of everything has seen this.
  await ask(etcd, '/v3/kv/put', { key: 'ZW5k', value: 'ZW5k' })
  expect([...streams.keys()].sort()).toEqual(watches.map(({ watch }) => String(watch)).sort())
  for (const { watch: id, events, canceled } of watches) {
    const stream = streams.get(String(id))
    await stream?.holds(events.length, canceled !== null)
    const seen = stream?.events.filter(({ kv }) => kv.key !== 'ZW5k')
    expect({ events: seen, canceled: stream?.canceled ?? null }, `watch ${id}`).toEqual({ events, canceled })
  }
})

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** One watch, and all that it was sent. */
class Watching implements trace.Stream {
  readonly events: trace.Event[] = []
  canceled: trace.Stream['canceled'] = null
  #failure: unknown

  constructor(lines: Lines) {
    this.#read(lines).catch((e: unknown) => {
      this.#failure = e
    })
  }

  /** Waits for so many events, or whatever comes instead. */
  async holds(events: number, isCanceled: boolean): Promise<void> {
    const end = Date.now() + 2000
    while (Date.now() < end && (this.events.length < events || (this.canceled !== null) !== isCanceled)) await turn()
    for (let i = 0; i < 5; i++) await turn()
    if (this.#failure) throw this.#failure
  }

  async #read(lines: Lines): Promise<void> {
    for (let line = await lines.next(); line; line = await lines.next()) {
      this.events.push(...((line.events as Json[] | undefined) ?? []).map(event))
      if (!line.canceled) continue
      this.canceled = { compactRevision: Number(line.compact_revision ?? 0), reason: String(line.cancel_reason ?? '') }
    }
  }
}

// Requests, in snake case or in camel case by turns: etcd's gateway takes both.

type Ask = [path: string, body: Json, read: (answer: Json) => unknown]

async function answer(etcd: Etcd, op: Exclude<trace.Op, trace.WatchOp>): Promise<unknown> {
  const [path, body, read] = request(op)
  const given = await ask(etcd, path, body)
  if (given.error !== undefined) return { error: given.error }
  return { revision: revisionOf(given), ...(read(given) as object) }
}

function request(op: Exclude<trace.Op, trace.WatchOp>): Ask {
  switch (op.type) {
    case 'put':
      return ['/v3/kv/put', putRequest(op), putAnswer]
    case 'range':
      return ['/v3/kv/range', rangeRequest(op), rangeAnswer]
    case 'deleteRange':
      return ['/v3/kv/deleterange', deleteRequest(op), deleteAnswer]
    case 'txn':
      return ['/v3/kv/txn', txnRequest(op), txnAnswer]
    case 'compact':
      return ['/v3/kv/compaction', { revision: op.revision }, () => ({})]
    case 'leaseGrant':
      return ['/v3/lease/grant', { ID: op.id, TTL: op.ttl }, ({ ID, TTL }) => ({ id: ID, ttl: Number(TTL) })]
    case 'leaseRevoke':
      return ['/v3/lease/revoke', { ID: op.id }, () => ({})]
    case 'leaseTimeToLive':
      return ['/v3/lease/timetolive', { ID: op.id, keys: true }, timeToLiveAnswer]
    case 'leaseLeases':
      return ['/v3/lease/leases', {}, leasesAnswer]
  }
}

function putRequest({ key, value, lease, prevKv, ignoreValue, ignoreLease }: trace.PutOp): Json {
  return { key, value, lease, prev_kv: prevKv, ignore_value: ignoreValue, ignoreLease }
}

function rangeRequest({ type: _, minModRevision, countOnly, ...op }: trace.RangeOp): Json {
  return { ...op, min_mod_revision: minModRevision, count_only: countOnly }
}

function deleteRequest({ key, rangeEnd, prevKv }: trace.DeleteRangeOp): Json {
  return { key, range_end: rangeEnd, prev_kv: prevKv }
}

function txnRequest({ compare, success, failure }: trace.TxnOp): Json {
  return { compare, success: success.map(opRequest), failure: failure.map(opRequest) }
}

function opRequest(op: trace.OpInTxn): Json {
  switch (op.type) {
    case 'put':
      return { request_put: putRequest(op) }
    case 'range':
      return { requestRange: rangeRequest(op) }
    case 'deleteRange':
      return { request_delete_range: deleteRequest(op) }
    case 'txn':
      return { requestTxn: txnRequest(op) }
  }
}

function watchRequest({ key, rangeEnd, startRevision, prevKv, filters }: trace.WatchOp): Json {
  const names = filters?.map((filter) => filter.toUpperCase())
  return { key, range_end: rangeEnd, startRevision, prev_kv: prevKv, filters: names }
}

// Answers, as the traces have them.

function putAnswer({ prev_kv }: Json) {
  return { prevKv: prev_kv ? kv(prev_kv as Json) : null }
}

function rangeAnswer({ kvs, count, more }: Json) {
  return { kvs: kvsOf(kvs), count: Number(count ?? 0), more: more ?? false }
}

function deleteAnswer({ deleted, prev_kvs }: Json) {
  return { deleted: Number(deleted ?? 0), prevKvs: kvsOf(prev_kvs) }
}

function txnAnswer({ succeeded, responses }: Json): Json {
  return { succeeded: succeeded ?? false, responses: ((responses ?? []) as Json[]).map(opAnswer) }
}

function opAnswer({ response_put, response_range, response_delete_range, response_txn }: Json) {
  if (response_put) return { put: putAnswer(response_put as Json) }
  if (response_range) return { range: rangeAnswer(response_range as Json) }
  if (response_delete_range) return { deleteRange: deleteAnswer(response_delete_range as Json) }
  return { txn: txnAnswer(response_txn as Json) }
}

function timeToLiveAnswer({ TTL, grantedTTL, keys }: Json) {
  return { exists: TTL !== '-1', grantedTtl: Number(grantedTTL ?? 0), keys: ((keys ?? []) as string[]).sort() }
}

function leasesAnswer({ leases }: Json) {
  return { ids: ((leases ?? []) as { ID: string }[]).map(({ ID }) => ID).sort() }
}

function revisionOf({ header }: Json): number {
  return Number((header as Json).revision)
}

function event({ type, kv: changed, prev_kv }: Json): trace.Event {
  const prevKv = prev_kv ? kv(prev_kv as Json) : null
  return { type: type === 'DELETE' ? 'delete' : 'put', kv: kv(changed as Json), prevKv }
}

function kvsOf(kvs: unknown): trace.Kv[] {
  return ((kvs ?? []) as Json[]).map(kv)
}

function kv({ key, value, create_revision, mod_revision, version, lease }: Json): trace.Kv {
  return {
    key: String(key ?? ''),
    value: String(value ?? ''),
    createRevision: Number(create_revision ?? 0),
    modRevision: Number(mod_revision ?? 0),
    version: Number(version ?? 0),
    lease: String(lease ?? '0'),
  }
}

/** Leases were recorded by their ids as numbers, and are compared as text. */
function withoutOrder(op: trace.Op, result: Json): Json {
  return op.type === 'leaseLeases' && result.ids ? { ...result, ids: [...(result.ids as string[])].sort() } : result
}
