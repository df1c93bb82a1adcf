// The engine in workerd, which compiles no bytes while it handles a request: a module that is compiled beforehand. The
// build leaves the import as it is, so its path is that in dist/.

import engine from './revkv.wasm'

export async function find(): Promise<WebAssembly.Module> {
  return engine
}
