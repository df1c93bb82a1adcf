// Everyone who takes part. A peer's library is loaded when it is its turn.
import type { Environment, Peer } from '../peer.js'

interface Listed {
  readonly name: string
  readonly environments: readonly Environment[]
  load(): Promise<Peer>
}

const web: readonly Environment[] = ['web']
const node: readonly Environment[] = ['node']
const both: readonly Environment[] = ['web', 'node']

export const peers: readonly Listed[] = [
  { name: 'revkv memory', environments: both, load: async () => (await import('./revkv.js')).revkvMemory },
  { name: 'revkv IndexedDB', environments: web, load: async () => (await import('./revkv.js')).revkvIndexedDb() },
  { name: 'revkv OPFS', environments: web, load: async () => (await import('./revkv.js')).revkvOpfs() },
  { name: 'revkv file', environments: node, load: async () => (await import('./revkv.js')).revkvFile() },
  { name: 'JS Map', environments: both, load: async () => (await import('./map.js')).plainMap },
  { name: 'tinybase', environments: both, load: async () => (await import('./tinybase.js')).tinybase },
  { name: 'rxdb', environments: both, load: async () => (await import('./rxdb.js')).rxdb },
  { name: 'yjs Y.Map', environments: both, load: async () => (await import('./yjs.js')).yjs },
  { name: 'immutable Map', environments: both, load: async () => (await import('./immutable.js')).immutable },
  { name: 'lokijs', environments: both, load: async () => (await import('./loki.js')).loki },
  { name: 'memory-level', environments: both, load: async () => (await import('./memory-level.js')).memoryLevel },
  { name: 'sql.js', environments: both, load: async () => (await import('./sqlite.js')).sqlJs },
  { name: 'sqlite-wasm', environments: web, load: async () => (await import('./sqlite.js')).sqliteMemory },
  { name: 'pglite', environments: both, load: async () => (await import('./pglite.js')).pglite },
  { name: 'idb', environments: web, load: async () => (await import('./idb.js')).idb },
  { name: 'dexie', environments: web, load: async () => (await import('./dexie.js')).dexie },
  { name: 'pouchdb', environments: web, load: async () => (await import('./pouchdb.js')).pouchdb },
  { name: 'browser-level', environments: web, load: async () => (await import('./browser-level.js')).browserLevel },
  { name: 'sqlite-wasm OPFS', environments: web, load: async () => (await import('./sqlite.js')).sqliteOpfs },
  { name: 'classic-level', environments: node, load: async () => (await import('./classic-level.js')).classicLevel },
  { name: 'lmdb', environments: node, load: async () => (await import('./lmdb.js')).lmdb },
]

export async function peerCalled(name: string): Promise<Peer> {
  const listed = peers.find((peer) => peer.name === name)
  if (!listed) throw new Error(`no peer is called ${name}`)
  return listed.load()
}
