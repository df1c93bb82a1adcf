// The engine in a page or a worker of one: a file beside the package's modules. Bundlers know this form of URL and bring
// the file along.

import { fallBack } from './fallback.js'
import { compileResponse } from './source.js'

export async function find(): Promise<WebAssembly.Module> {
  try {
    return await compileResponse(await fetch(new URL('./revkv.wasm', import.meta.url)))
  } catch (e) {
    const engine = await fallBack(e)
    const reason = e instanceof Error ? e.message : String(e)
    console.warn(
      `revkv: the engine's file could not be had (${reason}), so it was taken from the JavaScript, a larger download. ` +
        "Serve revkv.wasm beside the package's modules, or give `open` the option `wasm` with its address.",
    )
    return engine
  }
}
