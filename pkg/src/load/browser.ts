// The engine in a page or a worker of one: a file beside the package's modules. Bundlers know this form of URL and bring
// the file along.

import { fallBack } from './fallback.js'
import { compileResponse } from './source.js'

export async function find(): Promise<WebAssembly.Module> {
  try {
    return await compileResponse(await fetch(new URL('./revkv.wasm', import.meta.url)))
  } catch (e) {
    return fallBack(e)
  }
}
