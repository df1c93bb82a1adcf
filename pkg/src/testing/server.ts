// The gateway behind a port of this machine, for clients that are no part of the program. Node's module is asked for when
// it is needed, and not imported, so that code which imports this still loads in a browser.

import { RevkvError } from '../errors.js'
import type { Exchange } from './gateway.js'
import type { EtcdServer } from './index.js'

interface NodeRequest extends AsyncIterable<Uint8Array> {
  method: string
  url: string
}

type ResponseEvent = 'drain' | 'finish' | 'close'

interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): void
  flushHeaders(): void
  write(chunk: Uint8Array): boolean
  end(): void
  once(event: ResponseEvent, listener: () => void): void
  off(event: ResponseEvent, listener: () => void): void
  readonly destroyed: boolean
}

interface NodeServer {
  listen(port: number, host: string, listener: () => void): void
  once(event: 'error', listener: (error: Error) => void): void
  address(): { port: number }
  close(listener: () => void): void
  closeAllConnections(): void
}

interface NodeHttp {
  createServer(listener: (request: NodeRequest, response: NodeResponse) => void): NodeServer
}

const host = '127.0.0.1'

/** For clients that do not read to hear that it is over. */
const closingMsMax = 500

export async function listen(answer: (exchange: Exchange) => Promise<Response>, port: number): Promise<EtcdServer> {
  const serving = new Map<Promise<void>, AbortController>()
  const server = nodeHttp().createServer((request, response) => {
    const ending = new AbortController()
    const served = serve(answer, request, response, ending)
    serving.set(served, ending)
    void served.then(() => serving.delete(served))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(resolve))
    for (const ending of serving.values()) ending.abort()
    const late = new Promise((resolve) => setTimeout(resolve, closingMsMax))
    await Promise.race([Promise.all(serving.keys()), late])
    server.closeAllConnections()
    await closed
  }
  let closing: Promise<void> | undefined
  return { url: `http://${host}:${server.address().port}`, close: () => (closing ??= close()) }
}

function nodeHttp(): NodeHttp {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } }
  const http = process?.getBuiltinModule?.('node:http')
  if (!http) throw new RevkvError('INVALID_ARGUMENT', 'There is no server here: this is not Node, Bun or Deno.')
  return http as NodeHttp
}

/** Resolves when the answer is with the client, or the client gone. */
async function serve(
  answer: (exchange: Exchange) => Promise<Response>,
  request: NodeRequest,
  response: NodeResponse,
  ending: AbortController,
): Promise<void> {
  response.once('close', () => ending.abort())
  try {
    const path = request.url.split('?')[0] as string
    const exchange = { method: request.method, path, body: request, signal: ending.signal }
    const { status, headers, body } = await answer(exchange)
    response.writeHead(status, Object.fromEntries(headers))
    response.flushHeaders()
    if (body) await pipe(body, response)
  } catch {
    // Aborted: nobody is there to be told, or the server ends, which the client sees.
  }
  const finished = oneOf(response, ['finish', 'close'])
  response.end()
  if (!response.destroyed) await finished
}

async function pipe(body: ReadableStream<Uint8Array>, response: NodeResponse): Promise<void> {
  const reader = body.getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done || response.destroyed) return
    if (!response.write(value)) await oneOf(response, ['drain', 'close'])
  }
}

function oneOf(response: NodeResponse, events: ResponseEvent[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) response.off(event, done)
      resolve()
    }
    for (const event of events) response.once(event, done)
  })
}
