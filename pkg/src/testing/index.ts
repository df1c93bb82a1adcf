// `revkv/testing`: an etcd for tests, in the program that is tested.

import * as args from '../arguments.js'
import { bytes, utf8 } from '../codecs.js'
import { asyncDispose } from '../dispose.js'
import { invalidArgument } from '../errors.js'
import { openWith } from '../open.js'
import type { Codec, OpenOptions, Store } from '../types.js'
import { type Exchange, Gateway } from './gateway.js'
import { listen } from './server.js'

/** How an etcd for tests is made; all of it may be left out. */
export interface EtcdOptions<V = string> {
  /** How `store` shows values. Default `utf8`: they are text. */
  values?: Codec<V>
  /** How often a watch that asks for `progress_notify` is told, in milliseconds. Default 600,000, as in etcd. */
  progressIntervalMs?: number
  /** As in `open`: beyond it etcd has no space. */
  maxBytes?: number
  /** As in `open`. Without it the engine inside the JavaScript is taken. */
  wasm?: OpenOptions['wasm']
}

/** An etcd v3 of one member, in memory, by its HTTP/JSON gateway. */
export interface Etcd<V = string> extends AsyncDisposable {
  /** Answers a request to any host as etcd does, without a network. It needs no `this`. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** What it holds, to arrange and to look at. */
  readonly store: Store<V>
  /** The same answers on a port of 127.0.0.1, a free one unless given. For Node, Bun and Deno. */
  listen(options?: { port?: number }): Promise<EtcdServer>
  /** Ends all watches, servers and the store. */
  close(): Promise<void>
}

/** Where a gateway listens. */
export interface EtcdServer {
  /** `http://127.0.0.1:` and the port. */
  readonly url: string
  /** Ends all connections. */
  close(): Promise<void>
}

const optionNames = ['values', 'progressIntervalMs', 'maxBytes', 'wasm']

/**
 * A stand-in for etcd in tests: the answers of its HTTP/JSON gateway for `/v3/kv`, `/v3/watch` and `/v3/lease`, from a store
 * in memory. Each is empty, at revision 1, and by itself.
 *
 * @example
 * const etcd = await createEtcd()
 * await etcd.store.put('flags/dark', 'on')
 * const client = new MyClient({ url: 'http://etcd', fetch: etcd.fetch })
 * // or, for a client in another process: const { url } = await etcd.listen()
 * await etcd.close()
 */
export async function createEtcd<V = string>(options?: EtcdOptions<V>): Promise<Etcd<V>> {
  const given = args.options(options, optionNames, 'createEtcd') as EtcdOptions<V>
  const { progressIntervalMs = 600_000, maxBytes, wasm } = given
  if (!(progressIntervalMs > 0 && progressIntervalMs < 2 ** 31)) {
    throw invalidArgument('progressIntervalMs: expected milliseconds, more than 0 and less than 2^31.')
  }
  const values = given.values ?? (utf8 as unknown as Codec<V>)
  const store = await openWith<V>(findInlined, { values, ...defined({ maxBytes, wasm }) })
  return new MemoryEtcd(store, progressIntervalMs)
}

/** Loaded only where no engine is given. */
async function findInlined(): Promise<WebAssembly.Module> {
  const { compileInlined } = await import('../load/inlined.js')
  return compileInlined()
}

class MemoryEtcd<V> implements Etcd<V> {
  readonly store: Store<V>
  readonly fetch: Etcd<V>['fetch']
  readonly #gateway: Gateway
  readonly #servers = new Set<EtcdServer>()

  constructor(store: Store<V>, progressIntervalMs: number) {
    this.store = store
    // The same keys and values, as the bytes they are.
    const stored = store.namespace<Uint8Array>('', { values: bytes, keys: 'bytes' })
    this.#gateway = new Gateway(stored, progressIntervalMs)
    this.fetch = async (input, init) => this.#gateway.answer(exchangeOf(new Request(input, init)))
  }

  async listen(options?: { port?: number }): Promise<EtcdServer> {
    const port = args.natural(args.options(options, ['port'], 'listen').port, 'port')
    const server = await listen((exchange) => this.#gateway.answer(exchange), port)
    this.#servers.add(server)
    return server
  }

  async close(): Promise<void> {
    this.#gateway.close()
    await Promise.all(Array.from(this.#servers, (server) => server.close()))
    await this.store.close()
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }
}

function exchangeOf(request: Request): Exchange {
  const { method, body, signal } = request
  return { method, path: new URL(request.url).pathname, body: chunks(body), signal }
}

/** Not every platform lets a stream be iterated. */
async function* chunks(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array, void> {
  if (!body) return
  const reader = body.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
