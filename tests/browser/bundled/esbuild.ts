import { open } from 'revkv'
import wasm from 'revkv/revkv.wasm'
import { indexedDb } from 'revkv/storage/indexeddb'

const store = await open({ storage: indexedDb(), wasm: new URL(wasm, import.meta.url) })
await store.put('greeting', 'hello')
document.title = `${store.get('greeting')} at revision ${store.revision}`
await store.close()
