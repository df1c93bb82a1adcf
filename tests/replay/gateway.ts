// The judge of a gateway: asks an etcd, or what stands in for one, everything that a trace records, by its HTTP/JSON gateway.
import { isDeepStrictEqual } from 'node:util'
import { type Endpoint, type Json, Lines, post } from '../../pkg/test/gateway.js'
import type { Difference, Report } from './replay.js'
import type * as trace from './trace.js'

const paths = {
  put: 'kv/put',
  range: 'kv/range',
  deleteRange: 'kv/deleterange',
  txn: 'kv/txn',
  compact: 'kv/compaction',
  leaseGrant: 'lease/grant',
  leaseRevoke: 'lease/revoke',
  leaseTimeToLive: 'lease/timetolive',
  leaseLeases: 'lease/leases',
} as const

/** So many milliseconds are waited for what a watch was told. */
const turnsMax = 2000

/** Asks all that a trace records, of a cluster in which nothing was written. */
export async function replayThroughGateway(endpoint: Endpoint, { operations, watches }: trace.Trace): Promise<Report> {
  const report: Report = { operations: operations.length, differences: 0 }
  const compare = (asked: unknown, expected: unknown, got: unknown) => {
    if (isDeepStrictEqual(expected, got)) return
    report.differences++
    const [operation, ...answers] = [asked, expected, got].map((value) => JSON.stringify(value))
    report.first ??= { operation, expected: answers[0], got: answers[1] } as Difference
  }
  const streams = new Map<string, { lines: Lines; seen: Json[] }>()
  for (const { op, result } of operations) {
    if (op.type === 'watch') {
      const lines = await Lines.open(endpoint, endpoint.url, 'watch', { create_request: requestOf(op) })
      const seen = await lines.take(1)
      // Read as it comes, as by the recorder: what waits may be overtaken by a compaction.
      lines.all((line) => seen.push(line)).catch(() => {})
      streams.set(op.id, { lines, seen })
      continue
    }
    const { body } = await post(endpoint, endpoint.url, paths[op.type], requestOf(op))
    compare(op, result, body.error ? { error: body.error } : resultOf(op, body))
  }
  for (const watch of watches) {
    const stream = streams.get(String(watch.watch))
    if (!stream) throw new Error(`no watch ${watch.watch}`)
    const { lines, seen } = stream
    const told = () => seen.flatMap((line) => ((line.result as Json).events ?? []) as Json[])
    const end = () => seen.map((line) => line.result as Json).find(({ canceled }) => canceled)
    const isTold = () => told().length >= watch.events.length && (!watch.canceled || end() !== undefined)
    for (let turns = 0; !isTold() && turns < turnsMax; turns++) await new Promise((resolve) => setTimeout(resolve, 1))
    compare(watch.watch, watch.events, told().map(event))
    const canceled = end()
    const reason = (canceled?.cancel_reason as string) ?? ''
    const got = canceled ? { compactRevision: Number(canceled.compact_revision ?? 0), reason } : null
    compare(`the end of ${watch.watch}`, watch.canceled, got)
    await lines.close()
  }
  return report
}

/** Names in the gateway's spelling; a nested op under its kind. */
function requestOf(op: trace.Op): Json {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const fields: Json = {}
  for (const [name, value] of Object.entries(op)) {
    if (name === 'type') continue
    if (name === 'success' || name === 'failure') {
      fields[name] = (value as trace.OpInTxn[]).map((op) => ({ [`request_${snake(op.type)}`]: requestOf(op) }))
    } else if (name === 'compare') {
      fields[name] = (value as trace.CompareOp[]).map((compare) => requestOf(compare as unknown as trace.Op))
    } else if (name === 'filters') {
      fields[name] = (value as string[]).map((filter) => filter.toUpperCase())
    } else fields[snake(name)] = value
  }
  if (op.type === 'watch') delete fields.id
  if (op.type === 'leaseGrant') Object.assign(fields, { ID: op.id, TTL: op.ttl })
  if (op.type === 'leaseRevoke' || op.type === 'leaseTimeToLive') Object.assign(fields, { ID: op.id, keys: true })
  return fields
}

function resultOf(op: trace.Op, body: Json): Json {
  const revision = Number((body.header as Json).revision)
  switch (op.type) {
    case 'compact':
      return { revision }
    case 'leaseGrant':
      return { revision, id: body.ID, ttl: Number(body.TTL) }
    case 'leaseRevoke':
      return { revision }
    case 'leaseTimeToLive': {
      const keys = ((body.keys ?? []) as string[]).sort()
      return { revision, exists: body.TTL !== '-1', grantedTtl: Number(body.grantedTTL ?? 0), keys }
    }
    case 'leaseLeases': {
      const ids = ((body.leases ?? []) as { ID: string }[]).map(({ ID }) => ID)
      return { revision, ids: ids.sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)) }
    }
    default:
      return { revision, ...answerOf(op as trace.OpInTxn, body) }
  }
}

function answerOf(op: trace.OpInTxn, body: Json): Json {
  switch (op.type) {
    case 'put':
      return { prevKv: body.prev_kv ? kv(body.prev_kv as Json) : null }
    case 'deleteRange':
      return { deleted: Number(body.deleted ?? 0), prevKvs: kvs(body.prev_kvs) }
    case 'range':
      return { kvs: kvs(body.kvs), count: Number(body.count ?? 0), more: body.more ?? false }
    case 'txn': {
      const succeeded = body.succeeded === true
      const taken = succeeded ? op.success : op.failure
      const responses = ((body.responses ?? []) as Json[]).map((response, i) => {
        const asked = taken[i] as trace.OpInTxn
        const [name, answer] = Object.entries(response)[0] as [string, Json]
        const kind = name.replace('response_', '').replace('delete_range', 'deleteRange')
        return { [kind]: answerOf(asked, answer) }
      })
      return { succeeded, responses }
    }
  }
}

function kvs(list: unknown): Json[] {
  return ((list ?? []) as Json[]).map(kv)
}

function kv({ key, value, create_revision, mod_revision, version, lease }: Json): Json {
  return {
    key,
    value: value ?? '',
    createRevision: Number(create_revision ?? 0),
    modRevision: Number(mod_revision),
    version: Number(version ?? 0),
    lease: lease ?? '0',
  }
}

function event(event: Json): Json {
  return {
    type: event.type === 'DELETE' ? 'delete' : 'put',
    kv: kv(event.kv as Json),
    prevKv: event.prev_kv ? kv(event.prev_kv as Json) : null,
  }
}
