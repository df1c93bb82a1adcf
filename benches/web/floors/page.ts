// What the platform itself takes for the parts that no store can leave out: measured in a page, as the works are.
import { keyOf, valueAt } from '../data.js'
import { median, once, perCall, use } from '../measure.js'

declare global {
  var floors: () => Promise<Record<string, number>>
}

const blobs = 32
const blobBytes = 48 << 10
const times = 9

async function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('floors', 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore('values')
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error)
  })
}

/** A transaction of so many requests, all of them at once, until it is complete. */
function transaction(db: IDBDatabase, requests: number, durability: IDBTransactionDurability): Promise<void> {
  return new Promise((resolve, reject) => {
    const tx = db.transaction('values', 'readwrite', { durability })
    const store = tx.objectStore('values')
    for (let i = 0; i < requests; i++) store.put(new Uint8Array(100), `key ${i}`)
    tx.commit()
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error)
  })
}

function readAll(db: IDBDatabase): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = db.transaction('values').objectStore('values').getAll(IDBKeyRange.bound('blob', 'blob~'))
    asked.onsuccess = () => resolve(asked.result.length)
    asked.onerror = () => reject(asked.error)
  })
}

async function fill(db: IDBDatabase): Promise<void> {
  const tx = db.transaction('values', 'readwrite')
  for (let i = 0; i < blobs; i++) tx.objectStore('values').put(new Uint8Array(blobBytes).fill(i), `blob ${i}`)
  await new Promise((resolve) => {
    tx.oncomplete = resolve
  })
}

globalThis.floors = async () => {
  const found: Record<string, number> = {}
  const db = await openDatabase()
  for (const durability of ['relaxed', 'strict'] as const) {
    for (const requests of [1, 2, 4]) {
      const what = `IndexedDB: a transaction of ${requests} ${requests === 1 ? 'put' : 'puts'}, ${durability}`
      found[what] = await perCall(() => transaction(db, requests, durability))
    }
  }
  await fill(db)
  found['IndexedDB: 32 blobs of 48 KiB read'] = await perCall(() => readAll(db))

  const documents = Array.from({ length: 100 }, (_, n) => JSON.stringify(valueAt({ plain: 'text' }, 'document', n)))
  const text = documents.join('')
  const bytes = new TextEncoder().encode(text)
  found['100 documents of 100 bytes: JSON.parse alone'] = await perCall(() => {
    for (const document of documents) use(JSON.parse(document).n)
  })
  const decoder = new TextDecoder()
  found['the same out of bytes, with an object and a key each'] = await perCall(() => {
    const all = decoder.decode(bytes)
    const entries = documents.map((_, n) => ({ key: keyOf(n), value: JSON.parse(all.slice(100 * n, 100 * n + 100)) }))
    for (const { key, value } of entries) use(key.length + value.n)
  })
  found['100 bytes copied out'] = await perCall((i) => use(bytes.slice(i % 64, (i % 64) + 100).length))
  const map = new Map(Array.from({ length: 10_000 }, (_, n) => [keyOf(n), n]))
  const keys = Array.from({ length: 16 }, (_, n) => keyOf(n * 600))
  found['a Map, one of 16 keys'] = await perCall((i) => use(map.get(keys[i % 16] as string) ?? 0))
  found['a promise that is resolved, awaited'] = await perCall((i) => Promise.resolve(i))

  const starts: number[] = []
  for (let i = 0; i < times; i++) {
    starts.push(await once(async () => WebAssembly.compileStreaming(await fetch(`/revkv/revkv.wasm?${i}`))))
  }
  found['the engine fetched and compiled'] = median(starts)
  return found
}
