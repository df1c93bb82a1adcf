// The paths of etcd's HTTP/JSON gateway, and what each does with the member.

import { RevkvError } from '../errors.js'
import { toBase64 } from '../etcd/base64.js'
import { randomLeaseId } from '../lease.js'
import * as wire from '../wire.js'
import { documents } from './documents.js'
import * as kv from './kv.js'
import { type Member, memberId, version } from './member.js'
import { Message, present } from './message.js'
import { Status, statusOf } from './status.js'
import { responsesMax, WatchStream } from './watch.js'

type Fields = Record<string, unknown>
type Unary = (member: Member, message: Message) => Fields

/** etcd raises a shorter time to live to this: half as much again as its election timeout, in whole seconds. */
const ttlSecondsMin = 2n
const ttlSecondsMax = 9_000_000_000n

const unary: Record<string, Unary> = {
  'kv/range': (member, message) => {
    const packed = wire.packRange(kv.range(message))
    const answer = kv.readRange(new wire.Reader(member.core.call((engine) => engine.range(packed))))
    return headed(member, answer)
  },
  'kv/put': (member, message) => headed(member, kv.readPut(member.apply(wire.packPut(kv.put(message))))),
  'kv/deleterange': (member, message) => {
    return headed(member, kv.readDelete(member.apply(wire.packDeleteRange(kv.deleteRange(message)))))
  },
  'kv/txn': (member, message) => headed(member, kv.readTxn(member.apply(wire.packTxn(kv.txn(message))))),
  'kv/compaction': (member, message) => {
    // To the engine anything below 0 would be 0, to which a store that was never compacted can be.
    if (message.int64('revision') < 0n) throw new RevkvError('COMPACTED', '')
    member.apply(wire.packCompact(kv.natural(message, 'revision')))
    member.removeCompacted()
    return { header: member.header() }
  },
  'lease/grant': grant,
  'lease/revoke': revoke,
  'kv/lease/revoke': revoke,
  'lease/timetolive': timeToLive,
  'kv/lease/timetolive': timeToLive,
  'lease/leases': leases,
  'kv/lease/leases': leases,
  'maintenance/status': (member) => {
    const [index, bytes] = [BigInt(member.applied), BigInt(member.core.call((engine) => engine.stats()).bytes)]
    const raft = { raftIndex: index, raftTerm: 2n, raftAppliedIndex: index }
    return {
      header: member.header(),
      ...present({ version, dbSize: bytes, leader: memberId, ...raft, dbSizeInUse: bytes }),
    }
  },
  'maintenance/hashkv': (member, message) => {
    const revision = kv.natural(message, 'revision')
    const reader = new wire.Reader(member.core.call((engine) => engine.hash(revision)))
    const hash = reader.u32()
    reader.u64() // The revision that was asked for.
    // Where nothing was compacted etcd says so by -1.
    return { header: member.header(), ...present({ hash, compact_revision: BigInt(reader.u64() || -1) }) }
  },
  'cluster/member/list': (member) => {
    const clientURLs = [...member.clientUrls]
    return { header: member.header(0), members: [present({ ID: memberId, name: 'revkv', clientURLs })] }
  },
  'auth/authenticate': () => {
    throw new Status('FAILED_PRECONDITION', 'etcdserver: authentication is not enabled')
  },
}

/** A body, and when the first message has been read: its failure is the answer, as in etcd; what comes later is passed over. */
interface Streaming {
  body: ReadableStream<Uint8Array>
  begun: Promise<void>
}

/** Paths that take any number of messages, and answer by a line for each response. */
const streams: Record<string, (member: Member, request: Request) => Streaming> = {
  watch: watchStream,
  'lease/keepalive': keepAliveStream,
}

const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'access-control-allow-headers': 'accept, content-type, authorization',
}

/** Answers a request as the gateway of a member would. */
export async function answer(member: Member, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (request.method === 'OPTIONS') return new Response(null, { headers: corsHeaders })
  if (pathname === '/version') return look(request, { etcdserver: version, etcdcluster: '3.5.0' }, 'application/json')
  if (pathname === '/health') return look(request, { health: 'true', reason: '' }, 'text/plain; charset=utf-8')
  const path = pathname.replace(/^\/v3(?:beta)?\//, '')
  const [asked, stream] = [Object.hasOwn(unary, path) && unary[path], Object.hasOwn(streams, path) && streams[path]]
  if (!asked && !stream) return text(/^\/v3(?:beta)?(?:\/|$)/.test(pathname) ? 'Not Found' : '404 page not found', 404)
  if (request.method !== 'POST') return text('Method Not Allowed', 405)
  try {
    checkToken(member, request)
    if (stream) return await streaming(stream(member, request))
    return json(asked ? asked(member, await only(request)) : {})
  } catch (e) {
    const { message, code, httpStatus } = statusOf(e)
    return json({ error: message, code, message }, httpStatus)
  }
}

async function streaming({ body, begun }: Streaming): Promise<Response> {
  try {
    await begun
  } catch (e) {
    // etcd has a code of its own for a stream that cannot begin.
    throw new Status('UNKNOWN', statusOf(e).message)
  }
  return new Response(body, { headers: { ...corsHeaders, 'content-type': 'application/json' } })
}

/** gRPC takes no larger message. */
const messageBytesMax = 2 << 20

/** The first message of a body; what comes behind it is passed over, and no body is an empty message. */
async function only(request: Request): Promise<Message> {
  if (!request.body) return new Message({})
  const { value = '' } = await documents(request.body).next()
  // Nearly all of a large one is base64.
  const bytes = Math.floor((value.length * 3) / 4)
  if (bytes > messageBytesMax) {
    const message = `grpc: received message larger than max (${bytes} vs. ${messageBytesMax})`
    throw new Status('RESOURCE_EXHAUSTED', message)
  }
  return Message.parse(value)
}

function look(request: Request, value: unknown, type: string): Response {
  if (request.method !== 'GET') return text('Method Not Allowed', 405)
  return new Response(JSON.stringify(value), { headers: { ...corsHeaders, 'content-type': type } })
}

function checkToken({ options: { token } }: Member, request: Request): void {
  if (token === undefined || request.headers.get('authorization') === token) return
  throw new Status('UNAUTHENTICATED', 'etcdserver: invalid auth token')
}

function headed(member: Member, { revision, fields }: kv.Answer): Fields {
  return { header: member.header(revision), ...fields }
}

function grant(member: Member, message: Message): Fields {
  const [ttl, wanted] = [message.int64('TTL'), message.int64('ID')]
  if (ttl > ttlSecondsMax) throw new Status('OUT_OF_RANGE', 'etcdserver: too large lease TTL')
  const id = wanted === 0n ? randomLeaseId() : wanted
  const granted = ttl < ttlSecondsMin ? ttlSecondsMin : ttl
  member.apply(wire.packLeaseGrant(id, Number(granted)))
  return { header: member.header(), ...present({ ID: id, TTL: granted }) }
}

function revoke(member: Member, message: Message): Fields {
  member.apply(wire.packLeaseRevoke(message.int64('ID')))
  return { header: member.header() }
}

function timeToLive(member: Member, message: Message): Fields {
  const ID = message.int64('ID')
  const packed = member.core.call((engine) => engine.lease(ID, Date.now()))
  if (!packed) return { header: member.header(), ...present({ ID, TTL: -1n }) }
  const { ttlSeconds, remainingMs, keys } = wire.readLease(packed)
  const TTL = BigInt(Math.floor(remainingMs / 1000))
  const named = message.flag('keys') ? keys.map(toBase64) : []
  return { header: member.header(), ...present({ ID, TTL, grantedTTL: BigInt(ttlSeconds), keys: named }) }
}

function leases(member: Member): Fields {
  const ids = member.core.call((engine) => engine.leases())
  const left = (id: bigint) => {
    const packed = member.core.call((engine) => engine.lease(id, Date.now()))
    return packed ? wire.readLease(packed).remainingMs : 0
  }
  // By the time they have left, as etcd lists them.
  const listed = ids.map((id) => ({ id, leftMs: left(id) })).sort((a, b) => a.leftMs - b.leftMs)
  return { header: member.header(), ...present({ leases: listed.map(({ id }) => present({ ID: id })) }) }
}

/** A watch goes on when all its requests have come; it ends when its reader goes, or the member. */
function watchStream(member: Member, request: Request): Streaming {
  let stream: WatchStream | undefined
  const { begun, began, failed } = beginning()
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const hasRoom = () => (controller.desiredSize ?? 0) > 0
        const opened = new WatchStream(member, (result) => controller.enqueue(line({ result })), hasRoom)
        stream = opened
        opened.onClose = () => controller.close()
        const take = (message: Message) => {
          opened.take(message)
          began()
        }
        takeAll(request, take).then(began, (e) => {
          // Of a stream that has begun, the watches go on.
          if (failed(e)) opened.close()
        })
      },
      pull: () => stream?.deliver(),
      cancel() {
        if (!stream) return
        stream.onClose = () => {}
        stream.close()
      },
    },
    { highWaterMark: responsesMax },
  )
  return { body, begun }
}

function keepAliveStream(member: Member, request: Request): Streaming {
  const { begun, began, failed } = beginning()
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const take = (message: Message) => {
        controller.enqueue(line({ result: keepAlive(member, message) }))
        began()
      }
      const end = () => controller.close()
      // Not awaited: a stream that is starting is not read.
      takeAll(request, take).then(began, failed).then(end, end)
    },
  })
  return { body, begun }
}

/** Settled by what happens first. `failed` says whether it was that. */
function beginning() {
  let [isBegun, began, reject] = [false, () => {}, (_: unknown) => {}]
  const begun = new Promise<void>((resolve, refuse) => {
    began = () => {
      isBegun = true
      resolve()
    }
    reject = refuse
  })
  const failed = (e: unknown) => {
    reject(e)
    return !isBegun
  }
  return { begun, began, failed }
}

/** A lease that is not there is answered by a time to live of 0, which is left out. */
function keepAlive(member: Member, message: Message): Fields {
  const ID = message.int64('ID')
  const isThere = member.core.call((engine) => engine.lease(ID, Date.now())) !== undefined
  let TTL = 0n
  if (isThere) {
    const reader = member.apply(wire.packLeaseKeepAlive(ID))
    reader.u64() // The revision, which a keep-alive does not move.
    TTL = BigInt(reader.u64())
  }
  return { header: member.header(), ...present({ ID, TTL }) }
}

async function takeAll(request: Request, take: (message: Message) => void): Promise<void> {
  if (!request.body) return
  for await (const document of documents(request.body)) take(Message.parse(document))
}

function line(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`)
}

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { ...corsHeaders, 'content-type': 'application/json' },
  })
}

function text(value: string, status: number): Response {
  return new Response(`${value}\n`, {
    status,
    headers: { ...corsHeaders, 'content-type': 'text/plain; charset=utf-8' },
  })
}
