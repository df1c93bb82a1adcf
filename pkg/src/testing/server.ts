// A server of Node's that passes requests on as `fetch` has them.

import { asyncDispose } from '../dispose.js'
import { RevkvError } from '../errors.js'
import type { EtcdServer } from './types.js'

type Answer = (request: Request) => Promise<Response>

/** The part of `node:http` that is used. */
interface Http {
  createServer(listener: (incoming: Incoming, outgoing: Outgoing) => void): Server
}

interface Server {
  listen(port: number, host: string, listening: () => void): void
  once(event: 'error', listener: (error: Error) => void): void
  address(): { port: number } | string | null
  closeAllConnections(): void
  close(closed: () => void): void
}

interface Incoming {
  readonly method?: string
  readonly url?: string
  readonly headers: Record<string, string | string[] | undefined>
  on(event: 'data', listener: (chunk: Uint8Array) => void): void
  on(event: 'end' | 'error', listener: (error?: Error) => void): void
  destroy(): void
}

interface Outgoing {
  writeHead(status: number, headers: Record<string, string>): void
  flushHeaders(): void
  /** `false`: wait for 'drain' before there is more. */
  write(chunk: Uint8Array): boolean
  end(): void
  destroy(): void
  on(event: 'close', listener: () => void): void
  once(event: 'drain' | 'close', listener: () => void): void
}

export async function listen(port: number, answer: Answer): Promise<EtcdServer> {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): Http | undefined } }
  const http = process?.getBuiltinModule?.('node:http')
  if (!http) throw new RevkvError('INVALID_ARGUMENT', 'listen: there are no servers in this runtime; use `fetch`.')
  const server = http.createServer((incoming, outgoing) => {
    respond(incoming, outgoing, answer).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  const bound = typeof address === 'object' && address ? address.port : port
  return { url: `http://127.0.0.1:${bound}`, close, [asyncDispose]: close }
}

async function respond(incoming: Incoming, outgoing: Outgoing, answer: Answer): Promise<void> {
  const { method = 'GET', url = '/' } = incoming
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
  const init: RequestInit & { duplex?: 'half' } = { method, headers }
  if (method === 'POST') Object.assign(init, { body: bodyOf(incoming), duplex: 'half' })
  const response = await answer(new Request(`http://127.0.0.1${url}`, init))
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  // A stream whose first line is still to come has been accepted.
  outgoing.flushHeaders()
  if (response.body) await pass(response.body, outgoing)
  outgoing.end()
}

async function pass(body: ReadableStream<Uint8Array>, outgoing: Outgoing): Promise<void> {
  const reader = body.getReader()
  let isGone = false
  outgoing.on('close', () => {
    isGone = true
    reader.cancel().catch(() => {})
  })
  for (;;) {
    const { done, value } = await reader.read()
    if (done || isGone) return
    if (outgoing.write(value)) continue
    await new Promise<void>((resolve) => {
      outgoing.once('drain', resolve)
      outgoing.once('close', resolve)
    })
  }
}

function bodyOf(incoming: Incoming): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      incoming.on('data', (chunk) => controller.enqueue(new Uint8Array(chunk)))
      incoming.on('end', () => controller.close())
      incoming.on('error', (e) => controller.error(e))
    },
    cancel: () => incoming.destroy(),
  })
}
