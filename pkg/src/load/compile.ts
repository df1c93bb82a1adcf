// The engine as a WebAssembly.Module, from what `open` is given or from where the entry finds it.

import { RevkvError } from '../errors.js'
import { compileSource, type Source } from './source.js'

/** How an entry of the package finds the engine where `open` is given none. */
export type Find = () => Promise<WebAssembly.Module>

/** The compiled engine. Whoever calls keeps it: each call compiles. */
export async function compile(source: Source | Find): Promise<WebAssembly.Module> {
  try {
    return await (typeof source === 'function' ? source() : compileSource(source))
  } catch (e) {
    throw loadError(e)
  }
}

/** What kept the engine from being compiled or instantiated, under the code that says who can help. */
export function loadError(cause: unknown): RevkvError {
  if (RevkvError.is(cause)) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  if (isPolicy(cause)) {
    const text = "The page's Content-Security-Policy forbids WebAssembly; add 'wasm-unsafe-eval' to its script-src."
    return new RevkvError('CSP', text, { cause })
  }
  return new RevkvError('ENGINE_FAILED', `The engine could not be loaded: ${message}`, { cause })
}

/** Whether it is the Content-Security-Policy that forbids to compile; each browser has words of its own for it. */
export function isPolicy(cause: unknown): boolean {
  const message = (cause as { message?: unknown } | null | undefined)?.message
  return /unsafe-eval|content security policy|\bCSP\b/i.test(String(message))
}
