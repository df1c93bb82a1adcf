// The engine in Node, Bun and Deno: a file on the disk. A program bundled into one file has none, and takes the engine
// out of itself; nothing is downloaded, so nothing is said.

import { fallBack } from './fallback.js'
import { readLocal } from './source.js'

export async function find(): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(readFile(new URL('./revkv.wasm', import.meta.url)))
  } catch (e) {
    return fallBack(e)
  }
}

interface Deno {
  permissions: { querySync(permission: { name: 'read'; path: URL }): { state: string } }
}

function readFile(file: URL): Uint8Array<ArrayBuffer> {
  // Deno asks its user before a file is read; an engine that is here anyway is not worth the question.
  const { Deno: deno } = globalThis as { Deno?: Deno }
  const isRefused = deno !== undefined && deno.permissions.querySync({ name: 'read', path: file }).state !== 'granted'
  const bytes = isRefused ? undefined : readLocal(file)
  if (!bytes) throw new Error('The file of the engine may not be read.')
  return bytes
}
