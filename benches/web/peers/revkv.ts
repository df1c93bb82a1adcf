// revkv itself, on each of its media.

import type { StorageAdapter } from 'revkv'
import { bytes, json, open, type Store } from 'revkv'
import type { Database, Durability, Entry, Form, Medium, Peer, Place, Value, Visit } from '../peer.js'

/** What is loaded comes in portions, as it does where it is read from somewhere: each is a revision. */
const batchMax = 1000

export const revkvMemory = revkv('memory', ['page', 'node'])

// Who uses a storage imports it where it imports the store, and does not wait for it when it opens one.

export async function revkvIndexedDb(): Promise<Peer> {
  const { indexedDb } = await import('revkv/storage/indexeddb')
  return revkv('IndexedDB', ['page'], () => indexedDb())
}

export async function revkvOpfs(): Promise<Peer> {
  const { opfs } = await import('revkv/storage/opfs')
  return revkv('OPFS', ['worker'], () => opfs())
}

export async function revkvFile(): Promise<Peer> {
  const { file } = await import('revkv/storage/file')
  return revkv('file', ['node'], (folder) => file({ folder }))
}

function revkv(medium: Medium, places: readonly Place[], storageOf?: (folder: string) => StorageAdapter): Peer {
  return {
    name: `revkv ${medium}`,
    packages: ['revkv'],
    medium,
    places,
    plain: 'bytes',
    strict: true,
    historic: true,
    async open(name, form, folder) {
      const storage = storageOf?.(folder)
      const values = (form === 'plain' ? bytes : json) as typeof json
      const options = { name, values, durability: 'relaxed' as const }
      return new RevkvDatabase((await open(storage ? { ...options, storage } : options)) as Store<Value>, form)
    },
  }
}

class RevkvDatabase implements Database {
  readonly #store: Store<Value>
  readonly #form: Form

  constructor(store: Store<Value>, form: Form) {
    this.#store = store
    this.#form = form
  }

  async load(entries: readonly Entry[]): Promise<void> {
    const writes: Promise<unknown>[] = []
    for (let first = 0; first < entries.length; first += batchMax) {
      const batch = entries.slice(first, first + batchMax)
      writes.push(this.#store.putMany(batch.map(({ key, value }) => [key, value] as const)))
    }
    await Promise.all(writes)
  }

  put(key: string, value: Value, durability: Durability): Promise<unknown> {
    return durability === 'strict' ? this.#store.put(key, value, { durability }) : this.#store.put(key, value)
  }

  get(key: string): Value | undefined {
    return this.#store.get(key)
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return this.#store.getMany(keys)
  }

  range(start: string, limit: number, visit: Visit): void {
    this.#show(this.#store.list({ start }, { limit }), visit)
  }

  count(prefix: string): number {
    return this.#store.count({ prefix })
  }

  watch(key: string, listener: () => void): void {
    this.#store.on(key, listener)
  }

  readAll(): number {
    return this.#store.count()
  }

  revision(): number {
    return this.#store.revision
  }

  getAt(key: string, revision: number): Value | undefined {
    return this.#store.get(key, { revision })
  }

  rangeAt(start: string, limit: number, revision: number, visit: Visit): void {
    this.#show(this.#store.list({ start }, { limit, revision }), visit)
  }

  history(limit: number, visit: Visit): void {
    const { revision } = this.#store
    const from = Math.max(2, revision + 1 - Math.ceil(limit / batchMax))
    let shown = 0
    for (const change of this.#store.history({}, { from, limit })) {
      if (change.type !== 'put') continue
      visit(change.entry.key, change.entry.value)
      shown++
    }
    if (shown < limit * 0.9) throw new Error(`a history of ${shown} changes`)
  }

  snapshot(): void {
    this.#store.snapshot()[Symbol.dispose]()
  }

  async compact(revisions: number): Promise<void> {
    const revision = this.#store.revision - revisions
    if (revision > this.#store.compactRevision) await this.#store.compact(revision)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #show(
    list: Iterable<{ readonly key: string; readonly value: Value; readonly bytes: Uint8Array }>,
    visit: Visit,
  ): void {
    if (this.#form === 'plain') for (const entry of list) visit(entry.key, entry.bytes)
    else for (const entry of list) visit(entry.key, entry.value)
  }
}
