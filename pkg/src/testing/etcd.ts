// `createEtcd`: the stand-in as whoever tests holds it.

import { asyncDispose } from '../dispose.js'
import type { Find } from '../load/compile.js'
import { loadEngine } from '../wasm.js'
import { answer } from './gateway.js'
import { Member } from './member.js'
import { listen } from './server.js'
import type { Etcd, EtcdOptions, EtcdServer } from './types.js'

const progressIntervalMsUsual = 600_000
const fragmentBytesUsual = 2 << 20

export async function createEtcdWith(find: Find, options: EtcdOptions = {}): Promise<Etcd> {
  await loadEngine(options.wasm ?? find)
  return new MemoryEtcd(options)
}

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

/**
 * The response, whose body ends with the signal's reason when that is aborted, as one that comes over a network does. By hand,
 * because a pipe of workerd's does not tell its reader of the signal.
 */
function abortable({ body, status, headers }: Response, signal: AbortSignal): Response {
  if (!body) return new Response(null, { status, headers })
  const reader = body.getReader()
  const cancel = () => reader.cancel().catch(() => {})
  let abort = () => {}
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        abort = () => {
          controller.error(signal.reason)
          cancel()
        }
        signal.addEventListener('abort', abort, { once: true })
      },
      async pull(controller) {
        const { done, value } = await reader.read()
        if (signal.aborted) return
        if (!done) return controller.enqueue(value)
        signal.removeEventListener('abort', abort)
        controller.close()
      },
      cancel() {
        signal.removeEventListener('abort', abort)
        return cancel()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(readable, { status, headers })
}
