// The gateway behind a port of this machine, for clients that are no part of the program. Node's module is asked for when
// it is needed, and not imported, so that code which imports this still loads in a browser.

import { RevkvError } from '../errors.js'
import type { Exchange } from './gateway.js'
import type { EtcdServer } from './index.js'

interface NodeRequest extends AsyncIterable<Uint8Array> {
  method: string
  url: string
}

interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): void
  flushHeaders(): void
  write(chunk: Uint8Array): boolean
  end(): void
  once(event: 'drain' | 'close', listener: () => void): void
  off(event: 'drain' | 'close', listener: () => void): void
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

export async function listen(answer: (exchange: Exchange) => Promise<Response>, port: number): Promise<EtcdServer> {
  const server = nodeHttp().createServer((request, response) => void serve(answer, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  let closing: Promise<void> | undefined
  return {
    url: `http://${host}:${server.address().port}`,
    close: () =>
      (closing ??= new Promise<void>((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })),
  }
}

function nodeHttp(): NodeHttp {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } }
  const http = process?.getBuiltinModule?.('node:http')
  if (!http) throw new RevkvError('INVALID_ARGUMENT', 'There is no server here: this is not Node, Bun or Deno.')
  return http as NodeHttp
}

async function serve(
  answer: (exchange: Exchange) => Promise<Response>,
  request: NodeRequest,
  response: NodeResponse,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    const path = request.url.split('?')[0] as string
    const { status, headers, body } = await answer({
      method: request.method,
      path,
      body: request,
      signal: gone.signal,
    })
    response.writeHead(status, Object.fromEntries(headers))
    response.flushHeaders()
    if (body) await pipe(body, response)
    response.end()
  } catch {
    // The client has gone: there is nobody to tell.
    response.end()
  }
}

async function pipe(body: ReadableStream<Uint8Array>, response: NodeResponse): Promise<void> {
  const reader = body.getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done || response.destroyed) return
    if (!response.write(value)) await drained(response)
  }
}

function drained(response: NodeResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}
