// Where the file cannot be had: the same engine from a chunk of JavaScript, which is loaded only then. A development
// server may answer with its page, a host may not know the file, a bundler may have left it behind.

import { isPolicy } from './compile.js'

/** The inlined engine, instead of a file of which `error` says why it was no use. */
export async function fallBack(error: unknown): Promise<WebAssembly.Module> {
  // What the policy forbids of the file it forbids of the copy.
  if (isPolicy(error)) throw error
  const inlined = await import('./inlined.js').catch(() => {
    // No chunk either: then it is what became of the file that helps.
    throw error
  })
  return inlined.compileInlined()
}
