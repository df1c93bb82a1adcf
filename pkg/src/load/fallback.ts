// Where the file cannot be had: the same engine from a chunk of JavaScript, which is loaded only then. A development
// server may answer with its page, a host may not know the file, a bundler may have left it behind.

import { isPolicy } from './compile.js'

/** The inlined engine, instead of a file of which `error` says why it was no use. */
export async function fallBack(error: unknown): Promise<WebAssembly.Module> {
  // What the policy forbids of the file it forbids of the copy.
  if (isPolicy(error)) throw error
  const engine = await import('./inlined.js').then(
    ({ compileInlined }) => compileInlined(),
    // No chunk either: then it is what became of the file that helps.
    () => Promise.reject(error),
  )
  const reason = error instanceof Error ? error.message : String(error)
  console.warn(
    `revkv: the engine's file could not be had (${reason}), so it was taken from the JavaScript, a larger download. ` +
      "Serve revkv.wasm beside the package's modules, or give `open` the option `wasm` with its address.",
  )
  return engine
}
