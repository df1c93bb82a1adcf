// `createEtcd`: the stand-in as whoever tests holds it.

import { asyncDispose } from '../dispose.js'
import type { Find } from '../load/compile.js'
import type { OpenOptions } from '../types.js'
import { loadEngine } from '../wasm.js'
import { answer } from './gateway.js'
import { Member } from './member.js'
import { type EtcdServer, listen } from './server.js'

/** How a stand-in is set up. */
export interface EtcdOptions {
  /** The cluster's id, a random one if absent. Another cluster has another. */
  clusterId?: bigint
  /** How often a quiet watch that asked for it is told progress. Default 10 minutes, as etcd's. */
  progressIntervalMs?: number
  /** A watch response larger than this is sent in fragments, where the watch allows it. Default 2 MiB, as etcd's. */
  fragmentBytes?: number
  /** Requests have to carry this as their `authorization`; without it, or with another, they are refused as with a token that has expired. */
  token?: string
  /** The engine, where the default way of finding it does not suit: as for `open`. */
  wasm?: OpenOptions['wasm']
}

/** etcd's HTTP/JSON gateway, in memory. */
export interface Etcd extends AsyncDisposable {
  /** The id that every answer names. */
  readonly clusterId: bigint
  /** The newest revision. */
  readonly revision: number
  /** Answers a request to any host, as `globalThis.fetch` would one to etcd: give it to a client in that one's place. */
  readonly fetch: typeof globalThis.fetch
  /** In Node: answers on 127.0.0.1. `port` 0 or absent is a free one. */
  listen(port?: number): Promise<EtcdServer>
  /** Ends every watch and server. May be called twice. */
  close(): Promise<void>
}

const progressIntervalMsUsual = 600_000
const fragmentBytesUsual = 2 << 20

export async function createEtcdWith(find: Find, options: EtcdOptions = {}): Promise<Etcd> {
  await loadEngine(options.wasm ?? find)
  return new MemoryEtcd(options)
}

export type { EtcdServer }

class MemoryEtcd implements Etcd {
  readonly clusterId: bigint
  readonly #member: Member
  readonly #servers = new Set<EtcdServer>()

  constructor(options: EtcdOptions) {
    const [word] = crypto.getRandomValues(new BigUint64Array(1))
    this.clusterId = options.clusterId ?? (word as bigint)
    const { progressIntervalMs = progressIntervalMsUsual, fragmentBytes = fragmentBytesUsual, token } = options
    this.#member = new Member({ clusterId: this.clusterId, progressIntervalMs, fragmentBytes, token })
  }

  get revision(): number {
    return this.#member.revision
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    request.signal.throwIfAborted()
    return abortable(await answer(this.#member, request), request.signal)
  }

  async listen(port = 0): Promise<EtcdServer> {
    const server = await listen(port, (request) => answer(this.#member, request))
    this.#member.clientUrls.add(server.url)
    this.#servers.add(server)
    return server
  }

  async close(): Promise<void> {
    this.#member.close()
    await Promise.all([...this.#servers].map((server) => server.close()))
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The response, whose body ends with the signal's reason when that is aborted, as one that comes over a network does. */
function abortable(response: Response, signal: AbortSignal): Response {
  if (!response.body) return response
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  // Told to whoever reads.
  response.body.pipeTo(writable, { signal }).catch(() => {})
  const { status, headers } = response
  return new Response(readable, { status, headers })
}
