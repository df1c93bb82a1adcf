// etcd's HTTP/JSON gateway: which path is answered by what, and how failures are told.

import { valuesOf } from './body.js'
import type { Answer, Bytes } from './kv.js'
import * as kv from './kv.js'
import * as lease from './lease.js'
import { Lines } from './lines.js'
import { int64, Message } from './message.js'
import { Status } from './status.js'
import { WatchStream } from './watch.js'

/** What a request is, whichever way it came. */
export interface Exchange {
  method: string
  path: string
  body: AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
}

/** One member, as etcd names it where nobody gives it a name. */
const clusterId = '14841639068965178418'
const memberId = '10276657743932975437'
const raftTerm = '2'

/** The etcd whose answers these are. */
const version = '3.5.30'

type Unary = (store: Bytes, request: Message) => Promise<Answer>

const unary: Record<string, Unary> = {
  '/v3/kv/range': kv.range,
  '/v3/kv/put': kv.put,
  '/v3/kv/deleterange': kv.deleteRange,
  '/v3/kv/txn': kv.txn,
  '/v3/kv/compaction': kv.compaction,
  '/v3/lease/grant': lease.grant,
  '/v3/lease/revoke': lease.revoke,
  '/v3/kv/lease/revoke': lease.revoke,
  '/v3/lease/timetolive': lease.timeToLive,
  '/v3/kv/lease/timetolive': lease.timeToLive,
  '/v3/lease/leases': lease.leases,
  '/v3/kv/lease/leases': lease.leases,
  '/v3/maintenance/status': status,
  '/v3/maintenance/hashkv': hashKv,
  '/v3/cluster/member/list': members,
}

/** What etcd has and this has not. */
const missing = /^\/v3\/(auth|election|lock|cluster\/member|maintenance)\//

const cors = {
  'access-control-allow-headers': 'accept, content-type, authorization',
  'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'access-control-allow-origin': '*',
}
const plainHeaders = { ...cors, 'content-type': 'text/plain; charset=utf-8' }
const jsonHeaders = { ...cors, 'content-type': 'application/json', 'grpc-metadata-content-type': 'application/grpc' }

export class Gateway {
  readonly #store: Bytes
  readonly #progressIntervalMs: number
  readonly #open = new Set<Lines>()

  constructor(store: Bytes, progressIntervalMs: number) {
    this.#store = store
    this.#progressIntervalMs = progressIntervalMs
  }

  /** Answers every request; rejects only with the reason of its signal. */
  async answer(exchange: Exchange): Promise<Response> {
    exchange.signal?.throwIfAborted()
    const { method, path } = exchange
    if (method === 'OPTIONS') return new Response(null, { headers: cors })
    if (path === '/version') return get(method, { etcdserver: version, etcdcluster: '3.5.0' })
    if (path === '/health') return get(method, { health: 'true', reason: '' }, plainHeaders)
    const call = Object.hasOwn(unary, path) ? unary[path] : undefined
    const isKnown = call || path === '/v3/watch' || path === '/v3/lease/keepalive'
    if (isKnown && method !== 'POST') return text(405, 'Method Not Allowed')
    try {
      if (call) return json(await this.#unary(call, exchange))
      if (path === '/v3/watch') return await this.#watch(exchange)
      if (path === '/v3/lease/keepalive') return await this.#keepAlive(exchange)
    } catch (e) {
      exchange.signal?.throwIfAborted()
      return refusal(Status.of(e))
    }
    if (missing.test(path)) return refusal(new Status(12, `revkv/testing has no ${path}`))
    return text(404, /^\/v3(\/|$)/.test(path) ? 'Not Found' : '404 page not found')
  }

  close(): void {
    for (const lines of this.#open) lines.end()
  }

  /** The first value of a body is the request, as in etcd, whatever comes after it. No body is an empty one. */
  async #unary(call: Unary, { body }: Exchange): Promise<Answer> {
    const { value } = await valuesOf(body).next()
    const answer = await call(this.#store, new Message(value))
    return { header: header(this.#store.revision), ...answer }
  }

  async #watch(exchange: Exchange): Promise<Response> {
    const lines = this.#lines(exchange)
    const settings = { store: this.#store, progressIntervalMs: this.#progressIntervalMs, header }
    const stream = new WatchStream(settings, lines)
    return this.#streaming(exchange, lines, (request) => stream.read(request))
  }

  async #keepAlive(exchange: Exchange): Promise<Response> {
    const lines = this.#lines(exchange)
    const read = (request: Message) => {
      const id = request.int64('ID')
      return async () => {
        const answer = await lease.keepAlive(this.#store, id)
        await lines.write({ result: { header: header(this.#store.revision), ...answer } })
      }
    }
    return this.#streaming(exchange, lines, read, true)
  }

  #lines({ signal }: Exchange): Lines {
    const lines = new Lines(signal)
    this.#open.add(lines)
    void lines.ended.then(() => this.#open.delete(lines))
    return lines
  }

  /**
   * Does what one request after the other asks for. Of what cannot be read, the first is refused; later ones end the reading,
   * and what was begun goes on. With `endsWithBody` the answer ends when the requests do.
   */
  async #streaming(
    { body }: Exchange,
    lines: Lines,
    read: (request: Message) => () => Promise<void>,
    endsWithBody = false,
  ): Promise<Response> {
    const values = valuesOf(body)
    let act: (() => Promise<void>) | undefined
    try {
      const { value, done } = await values.next()
      if (!done) act = read(new Message(value))
    } catch (e) {
      lines.end()
      // etcd tells this by a code of its own, for requests that are streams.
      throw new Status(2, Status.of(e).message)
    }
    void actOnAll(act, values, read).then(
      () => endsWithBody && lines.end(),
      // What cannot be read is not answered. Anything else: the reader is gone, or the store.
      (e) => (endsWithBody || !(e instanceof Status)) && lines.end(),
    )
    return new Response(lines.body, { headers: jsonHeaders })
  }
}

async function actOnAll(
  first: (() => Promise<void>) | undefined,
  values: AsyncIterable<unknown>,
  read: (request: Message) => () => Promise<void>,
): Promise<void> {
  await first?.()
  for await (const value of values) await read(new Message(value))()
}

function header(revision: number): Answer {
  return { cluster_id: clusterId, member_id: memberId, revision: int64(revision), raft_term: raftTerm }
}

async function status(store: Bytes): Promise<Answer> {
  const { bytes } = store.stats()
  const index = String(store.revision)
  return {
    version,
    dbSize: int64(bytes),
    leader: memberId,
    raftIndex: index,
    raftTerm,
    raftAppliedIndex: index,
    dbSizeInUse: int64(bytes),
  }
}

async function hashKv(store: Bytes, request: Message): Promise<Answer> {
  const { hash, compactRevision, revision } = store.hash(kv.natural(request.int64('revision')))
  return {
    hash: hash || undefined,
    compact_revision: compactRevision > 0 ? int64(compactRevision) : '-1',
    hash_revision: int64(revision),
  }
}

async function members(): Promise<Answer> {
  const urls = { peerURLs: ['http://localhost:2380'], clientURLs: ['http://localhost:2379'] }
  // Of all answers this one says no revision.
  return { header: header(0), members: [{ ID: memberId, name: 'default', ...urls }] }
}

function get(method: string, answer: Answer, headers?: HeadersInit): Response {
  return method === 'GET' ? json(answer, headers) : text(405, 'Method Not Allowed')
}

function json(answer: Answer, headers: HeadersInit = jsonHeaders): Response {
  return new Response(JSON.stringify(answer), { headers })
}

function refusal(status: Status): Response {
  return new Response(JSON.stringify(status), { status: status.http, headers: jsonHeaders })
}

function text(status: number, line: string): Response {
  return new Response(`${line}\n`, { status, headers: plainHeaders })
}
