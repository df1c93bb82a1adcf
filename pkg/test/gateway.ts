// A client of etcd's gateway for the tests: it asks, reads streams line by line, and replays traces.

import { isDeepStrictEqual } from 'node:util'
import type * as trace from '../../tests/replay/trace.js'

export interface Fetcher {
  fetch: typeof globalThis.fetch
}
export interface Endpoint extends Fetcher {
  url: string
}
type Json = Record<string, unknown>

export async function post({ fetch }: Fetcher, url: string, path: string, body: unknown, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(`${url}/v3/${path}`, { method: 'POST', body: text, headers })
  return { status: response.status, body: (await response.json()) as Json }
}

/** The lines of a stream. */
export class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>
  #text = ''

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  }

  static async open({ fetch }: Fetcher, url: string, path: string, body: unknown, headers = {}): Promise<Lines> {
    const text = Array.isArray(body) ? body.map((part) => JSON.stringify(part)).join('\n') : JSON.stringify(body)
    const response = await fetch(`${url}/v3/${path}`, { method: 'POST', body: text, headers })
    if (!response.body) throw new Error('a stream without a body')
    return new Lines(response.body)
  }

  async take(count: number): Promise<Json[]> {
    const taken: Json[] = []
    while (taken.length < count) {
      const end = this.#text.indexOf('\n')
      if (end >= 0) {
        taken.push(JSON.parse(this.#text.slice(0, end)))
        this.#text = this.#text.slice(end + 1)
        continue
      }
      const { done, value } = await this.#reader.read()
      if (done) throw new Error(`the stream ended after ${taken.length} lines`)
      this.#text += value
    }
    return taken
  }

  /** Tells of every line until the stream ends, or is closed. */
  async all(tell: (line: Json) => void): Promise<void> {
    for (;;) for (const line of await this.take(1)) tell(line)
  }

  /** Every line that has come or comes until `isLast`, that one included. */
  async until(isLast: (line: Json) => boolean): Promise<Json[]> {
    const taken: Json[] = []
    for (;;) {
      const [line] = (await this.take(1)) as [Json]
      taken.push(line)
      if (isLast(line)) return taken
    }
  }

  /** What comes until the end. */
  async rest(): Promise<Json[]> {
    let text = this.#text
    for (;;) {
      const { done, value } = await this.#reader.read()
      if (done) break
      text += value
    }
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  close(): Promise<void> {
    return this.#reader.cancel()
  }
}

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

/** Asks all that a trace records, and gives what was answered otherwise. */
export async function replayThroughGateway(endpoint: Endpoint, { operations, watches }: trace.Trace) {
  const differences: unknown[] = []
  const compare = (asked: unknown, expected: unknown, got: unknown) => {
    if (!isDeepStrictEqual(expected, got)) differences.push({ asked, expected, got })
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
  return { operations: operations.length, differences }
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
      const keys = ((body.keys ?? []) as string[]).toSorted()
      return { revision, exists: body.TTL !== '-1', grantedTtl: Number(body.grantedTTL ?? 0), keys }
    }
    case 'leaseLeases': {
      const ids = ((body.leases ?? []) as { ID: string }[]).map(({ ID }) => ID)
      return { revision, ids: ids.toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)) }
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

/** Requests about which a real etcd and the stand-in are compared, refused ones included. */
const requests: [string, unknown][] = [
  ['kv/put', { key: 'YQ==', value: 'MQ==', prev_kv: true }],
  ['kv/put', { key: 'YQ==', value: 'Mg==', prev_kv: true }],
  ['kv/put', { key: 'YQ==', nope: 1 }],
  ['kv/put', { key: '' }],
  ['kv/put', ''],
  ['kv/put', { key: 'YQ==', lease: '5' }],
  ['kv/put', { key: 'YQ==', value: 'MQ==', ignore_value: true }],
  ['kv/put', { key: 'eg==', ignore_value: true }],
  ['kv/range', { key: 'YQ==' }],
  ['kv/range', { key: 'AA==', range_end: 'AA==', limit: '1' }],
  ['kv/range', { key: 'YQ==', revision: '100' }],
  ['kv/range', { key: 'YQ==', revision: '-5' }],
  ['kv/range', { key: 'Yg==', range_end: 'YQ==' }],
  ['kv/range', { key: 'YQ==', serializable: true }],
  [
    'kv/txn',
    {
      compare: [{ key: 'YQ==', target: 'VERSION', version: '3' }],
      success: [
        { request_delete_range: { key: 'eg==' } },
        { request_put: { key: 'Yg==', value: 'MQ==' } },
        { request_range: { key: 'YQ==' } },
        { request_txn: { success: [{ request_put: { key: 'Yw==' } }] } },
      ],
    },
  ],
  ['kv/txn', {}],
  ['kv/txn', { success: [{ request_put: { key: 'YQ==' } }, { request_put: { key: 'YQ==' } }] }],
  ['kv/txn', { compare: [{ key: 'YQ==', target: 'CREATE', result: 'GREATER', create_revision: '1' }] }],
  ['kv/deleterange', { key: 'YQ==', prev_kv: true }],
  ['kv/deleterange', { key: 'YQ==', prev_kv: true }],
  ['lease/grant', { TTL: '100', ID: '7' }],
  ['lease/grant', { TTL: '100', ID: '7' }],
  ['lease/grant', { TTL: '1', ID: '9' }],
  ['lease/grant', { TTL: '9000000001', ID: '8' }],
  ['kv/put', { key: 'bA==', lease: '7' }],
  ['lease/timetolive', { ID: '99', keys: true }],
  ['lease/leases', {}],
  ['lease/revoke', { ID: '99' }],
  ['lease/revoke', { ID: '7' }],
  ['kv/compaction', { revision: '3' }],
  ['kv/compaction', { revision: '3' }],
  ['kv/compaction', { revision: '300' }],
  ['kv/range', { key: 'YQ==', revision: '2' }],
  ['auth/authenticate', { name: 'a', password: 'b' }],
]

const watchRequests: unknown[][] = [
  [{ create_request: { key: 'YQ==', start_revision: '2' } }],
  [{ create_request: { key: 'YQ==', range_end: 'YQ==' } }],
  [{ create_request: { key: 'AA==', range_end: 'AA==', start_revision: '3', prev_kv: true } }],
  [{ create_request: { key: 'AA==', range_end: 'AA==', start_revision: '3', watch_id: '5', filters: ['NOPUT'] } }],
]

/** The answers to all of these, without what is one cluster's own. */
export async function answersOf(endpoint: Endpoint) {
  const answers: { path: string; asked: unknown; status: number; body: unknown }[] = []
  for (const [path, asked] of requests) {
    const { status, body } = await post(endpoint, endpoint.url, path, asked)
    answers.push({ path, asked, status, body: anonymous(body) })
  }
  const told: unknown[] = []
  for (const asked of watchRequests) {
    const lines = await Lines.open(endpoint, endpoint.url, 'watch', asked)
    const isLast = (line: Json) => {
      const { canceled, events } = line.result as Json
      return canceled === true || events !== undefined
    }
    told.push({ asked, lines: (await lines.until(isLast)).map(anonymous) })
    await lines.close()
  }
  return { answers, told }
}

function anonymous(value: unknown): unknown {
  const text = JSON.stringify(value)
  return JSON.parse(text.replace(/"(cluster_id|member_id|raft_term)":"\d+",?/g, '').replace(/,}/g, '}'))
}
