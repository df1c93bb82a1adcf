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
  { name: 'revkv IndexedDB', environments: web, load: async () => (await import('./revkv.js')).revkvIndexedDb },
  { name: 'revkv OPFS', environments: web, load: async () => (await import('./revkv.js')).revkvOpfs },
  { name: 'revkv file', environments: node, load: async () => (await import('./revkv.js')).revkvFile },
  { name: 'Map + sorted array', environments: both, load: async () => (await import('./map.js')).plainMap },
  { name: 'idb', environments: web, load: async () => (await import('./idb.js')).idb },
  { name: 'dexie', environments: web, load: async () => (await import('./dexie.js')).dexie },
]

export async function peerCalled(name: string): Promise<Peer> {
  const listed = peers.find((peer) => peer.name === name)
  if (!listed) throw new Error(`no peer is called ${name}`)
  return listed.load()
}
