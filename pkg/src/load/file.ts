// The engine in Node, Bun and Deno: a file on the disk.

import { fallBack } from './fallback.js'
import { readLocal } from './source.js'

export async function find(): Promise<WebAssembly.Module> {
  try {
    const bytes = readLocal(new URL('./revkv.wasm', import.meta.url))
    if (!bytes) throw new Error('There is no file system.')
    return await WebAssembly.compile(bytes)
  } catch (e) {
    return fallBack(e)
  }
}
