// What `open` may be given as the engine, and what is made of it.

import { invalidArgument, RevkvError } from '../errors.js'
import type { OpenOptions } from '../types.js'

export type Source = NonNullable<OpenOptions['wasm']>

/**
 * Refuses what no engine can be made of, even when there is one already. What a promise gives is looked at when it is
 * needed: the first `open` may well be done before it.
 */
export function checkSource(source: unknown): Source | undefined {
  const isThenable = typeof (source as Promise<unknown> | null | undefined)?.then === 'function'
  const isKnown = ['Undefined', 'WebAssembly.Module', 'String', 'URL', 'Response', 'ArrayBuffer'].includes(
    typeOf(source),
  )
  if (isThenable || isKnown || ArrayBuffer.isView(source)) return source as Source | undefined
  throw invalidArgument('wasm: expected a WebAssembly.Module, bytes, URL, string or Response.')
}

export async function compileSource(source: Source): Promise<WebAssembly.Module> {
  const given = checkSource(await source)
  const type = typeOf(given)
  if (type === 'WebAssembly.Module') return given as WebAssembly.Module
  if (type === 'String' || type === 'URL') return compileAt(given as string | URL)
  if (type === 'Response') return compileResponse(given as Response)
  if (given === undefined) throw invalidArgument('wasm: the promise gave nothing.')
  return WebAssembly.compile(given as BufferSource)
}

/** The platform's name for what it is; unlike instanceof it also knows what comes from another realm. */
function typeOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

async function compileAt(where: URL | string): Promise<WebAssembly.Module> {
  const bytes = readLocal(where)
  return bytes ? WebAssembly.compile(bytes) : compileResponse(await fetch(where))
}

interface FileSystem {
  readFileSync(path: URL | string): Uint8Array<ArrayBuffer>
}

/** The file's bytes in Node, Bun and Deno, whose `fetch` does not read files; undefined where it has to be fetched. */
export function readLocal(where: URL | string): Uint8Array<ArrayBuffer> | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): FileSystem | undefined } }
  const files = process?.getBuiltinModule?.('node:fs')
  const url = String(where)
  if (!files || (/^[a-z][a-z+.-]+:/i.test(url) && !url.startsWith('file:'))) return undefined
  return files.readFileSync(url.startsWith('file:') ? new URL(url) : url)
}

export async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) {
    throw new RevkvError('ENGINE_FAILED', `The engine was not found: ${response.url} answered ${response.status}.`)
  }
  const type = response.headers.get('content-type') ?? ''
  if (type.startsWith('application/wasm')) return WebAssembly.compileStreaming(response)
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d) return WebAssembly.compile(bytes)
  const advice = 'give `open` the option `wasm` with the address of revkv.wasm'
  throw new RevkvError('ENGINE_FAILED', `${response.url} is not WebAssembly but ${type || 'of no type'}; ${advice}.`)
}
