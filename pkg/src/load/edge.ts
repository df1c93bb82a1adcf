// The engine in Vercel's edge runtime: as in workerd, by the name that its bundlers have for a compiled module.

import engine from './revkv.wasm?module'

export async function find(): Promise<WebAssembly.Module> {
  return engine
}
