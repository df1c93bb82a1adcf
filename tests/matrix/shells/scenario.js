// What every app of the matrix does with the package, so that what differs is only how it got there.

const name = 'matrix'

/**
 * One visit: opens the store, watches, puts, closes, opens again, and reads the present and the past. A second visit, in
 * another page or process, finds what the first one left where the storage outlives it.
 */
export async function visit({ open, storage, print }) {
  const store = await open({ name, storage })
  print(`opened at revision ${store.revision}: ${store.get('visits') ?? 'no'} visits`)
  const watch = store.watch('visits')
  const { revision } = await store.put('visits', (store.get('visits') ?? 0) + 1)
  for await (const batch of watch) {
    for (const { type, entry } of batch.changes)
      print(`${type} at revision ${entry.modRevision}: ${entry.value} visits`)
    if (batch.revision === revision) break
  }
  await store.close()

  const again = await open({ name, storage })
  print(`opened again at revision ${again.revision}: ${again.get('visits')} visits`)
  print(`at revision 2: ${again.get('visits', { revision: 2 })} visits`)
  await again.close()
}
