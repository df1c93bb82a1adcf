import { open } from 'revkv'
import { indexedDb } from 'revkv/storage/indexeddb'

type Print = (line: string) => void

/** Opens a new store, writes, reads the past, watches. Returns the last revision that the watch has seen. */
export async function firstVisit(print: Print): Promise<number> {
  const store = await open<string>({ name: 'quickstart', storage: indexedDb() })
  print(`opened at revision ${store.revision}`)

  // A watch delivers every change under a prefix, in order, from now on; a durable one when it is on disk.
  const watch = store.watch({ prefix: 'flag/' }, { durable: true })

  // A write resolves when it is on disk, and makes one revision. A read is synchronous.
  const first = await store.put('flag/theme', 'light')
  await store.put('flag/theme', 'dark')
  print(`flag/theme is ${store.get('flag/theme')}`)
  print(`at revision ${first.revision} it was ${store.get('flag/theme', { revision: first.revision })}`)

  // Create a key only if nobody has: version 0 means that there is none.
  const created = await store.txn({
    if: [{ key: 'flag/beta', version: 0 }],
    then: [{ put: ['flag/beta', 'on'] }],
  })
  print(`flag/beta created: ${created.ok}, revision ${created.revision}`)

  let seen = 0
  for await (const batch of watch) {
    for (const change of batch.changes) {
      if (change.type === 'put') print(`watch: ${batch.revision} put ${change.entry.key} = ${change.entry.value}`)
    }
    seen = batch.revision
    if (seen === created.revision) break // leaving the loop closes the watch
  }

  // Nobody watches these two.
  await store.put('flag/theme', 'sepia')
  await store.delete('flag/beta')
  await store.close()
  return seen
}

/** Another page, perhaps tomorrow: everything is there, and the watch goes on behind the last revision seen. */
export async function secondVisit(seen: number, print: Print): Promise<void> {
  const store = await open<string>({ name: 'quickstart', storage: indexedDb() })
  print(`opened again at revision ${store.revision}`)
  for (const change of store.history('flag/theme')) {
    if (change.type === 'put') print(`history: ${change.entry.modRevision} flag/theme = ${change.entry.value}`)
  }

  // First what was missed, then what is new; nothing twice.
  const watch = store.watch({ prefix: 'flag/' }, { from: seen + 1 })
  const latest = await store.put('flag/beta', 'off')
  for await (const batch of watch) {
    for (const change of batch.changes) {
      if (change.type === 'put') print(`watch: ${batch.revision} put ${change.entry.key} = ${change.entry.value}`)
      else print(`watch: ${batch.revision} delete ${change.key}`)
    }
    if (batch.revision === latest.revision) break
  }
  await store.close()
}
