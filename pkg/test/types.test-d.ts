// Read by the compiler only: `npm run typecheck`.

import { open as openSlim } from '../src/entry/slim.js'
import {
  type Change,
  type Codec,
  type Compare,
  json,
  type Lease,
  type ListResult,
  type Live,
  type OperationStats,
  open,
  type RevkvError,
  type Store,
  type Transaction,
  type TxnOp,
  type Unsubscribe,
  utf8,
  type WatchBatch,
} from '../src/index.js'
import { useGet, useList, useLive } from '../src/react.js'
import { indexedDb } from '../src/storage/indexeddb.js'
import { memory } from '../src/storage/memory.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function is<T extends true>(): T | undefined {
  return undefined
}

interface User {
  name: string
}

export async function types(lease: Lease): Promise<void> {
  const store = await open<User>({ storage: indexedDb(), durability: 'relaxed', keys: 'utf8' })
  is<Equal<typeof store, Store<User>>>()
  const texts = await open({ values: utf8, storage: memory() })
  is<Equal<typeof texts, Store<string>>>()
  const anything = await open()
  is<Equal<typeof anything, Store<unknown>>>()
  await open({ values: json })

  const user = store.get('u')
  is<Equal<typeof user, User | undefined>>()
  const users = store.getMany(['u', new Uint8Array(1)], { revision: 2 })
  is<Equal<typeof users, (User | undefined)[]>>()
  for (const entry of store.list({ prefix: 'u/' }, { sortBy: 'version', limit: 1 }))
    is<Equal<typeof entry.value, User>>()
  for (const change of store.history('u')) {
    is<Equal<typeof change, Change<User>>>()
    if (change.type === 'put') is<Equal<typeof change.entry.value, User>>()
    else is<Equal<typeof change.modRevision, number>>()
  }

  await store.put('u', { name: 'ada' }, { lease, prevEntry: true })
  await store.put('u', undefined, { ignoreValue: true })
  // @ts-expect-error: a value is needed unless it is ignored
  await store.put('u', undefined)
  // @ts-expect-error: not a User
  await store.put('u', { nome: 'ada' })
  // @ts-expect-error: no such option
  await store.put('u', { name: 'ada' }, { ttl: 5 })
  // @ts-expect-error: keys are text or bytes
  store.get(5)
  await open({ retention: { revisions: 5, ageMs: 1000, bytes: 1 << 20 } })
  // @ts-expect-error: no such bound
  await open({ retention: { keys: 5 } })

  const { revision: many } = await store.putMany(new Map([['u', { name: 'ada' }]]), { ttlSeconds: 5 })
  is<Equal<typeof many, number>>()
  // @ts-expect-error: not a User
  await store.putMany([['u', 5]])
  // @ts-expect-error: there is no answer to put it in
  await store.putMany([['u', { name: 'ada' }]], { prevEntry: true })
  await store.compareAndSet('u', undefined, { name: 'ada' }, { ttlSeconds: 5 })

  const length = await store.transact(async (tx) => {
    is<Equal<typeof tx, Transaction<User>>>()
    tx.put('u', { name: 'ada' }, { lease })
    tx.put('u', undefined, { ignoreValue: true })
    // @ts-expect-error: how it is made durable is said once
    tx.put('u', { name: 'ada' }, { durability: 'memory' })
    tx.delete({ prefix: 'old/' })
    return tx.list({ prefix: 'u/' }).length + tx.revision
  })
  is<Equal<typeof length, number>>()

  const numbers = store.namespace<number>('n/', { values: json as Codec<number>, keys: 'bytes' })
  is<Equal<typeof numbers, Store<number>>>()
  const inner = store.namespace('u/')
  is<Equal<typeof inner, Store<User>>>()

  const live = store.live((view) => view.get('u')?.name)
  is<Equal<typeof live, Live<string | undefined>>>()
  const unsubscribe: Unsubscribe = live.subscribe(() => is<Equal<typeof live.value, string | undefined>>())
  unsubscribe()
  // @ts-expect-error: a query only reads
  store.live((view) => view.put('u', { name: 'ada' }))

  const { operations, storageBytes } = store.stats()
  is<Equal<typeof storageBytes, number>>()
  is<Equal<typeof operations, Record<string, OperationStats>>>()
  store.addEventListener('role', (event) => is<Equal<typeof event.detail.role, Store['role']>>())
  store.addEventListener('evicted', (event) => [event.detail])

  const compare: Compare<User>[] = [
    { key: 'u', version: 0 },
    { key: 'u', end: '\0', lease: 0n, is: '!=' },
  ]
  // @ts-expect-error: something to compare with is needed
  const nothing: Compare<User> = { key: 'u' }
  const then: TxnOp<User>[] = [
    { put: ['u', { name: 'ada' }], lease: 5n },
    { put: ['u'], ignoreValue: true },
    { get: 'u' },
    { txn: { if: [nothing] } },
  ]
  const { results } = await store.txn({ if: compare, then })
  const [first] = results
  if (first && 'get' in first) is<Equal<typeof first.get, ReturnType<typeof store.entry>>>()

  for await (const batch of store.watch({}, { from: 1, only: 'put' })) is<Equal<typeof batch, WatchBatch<User>>>()
  store.on('u', ({ revision, changes }) => [revision, changes], { onError: (e) => is<Equal<typeof e, RevkvError>>() })
  store.addEventListener('durable', (event) => is<Equal<typeof event.detail.revision, number>>())
  store.addEventListener('anything', (event) => is<Equal<typeof event, Event>>())

  is<Equal<ReturnType<typeof useGet<User>>, User | undefined>>()
  const read = () => ({
    value: useGet(store, 'u'),
    list: useList(store, { prefix: 'u' }),
    later: useList(store as typeof store | undefined, {}),
    count: useLive(store, (view) => view.count()),
    none: useLive(null, (view) => view.revision),
  })
  is<
    Equal<
      ReturnType<typeof read>,
      {
        value: User | undefined
        list: ListResult<User>
        later: ListResult<User> | undefined
        count: number
        none: number | undefined
      }
    >
  >()

  await using scoped = await store.grant(5, { id: 1n })
  is<Equal<typeof scoped, Lease>>()
}

export async function slim(wasm: WebAssembly.Module): Promise<void> {
  const store = await openSlim<User>({ wasm })
  is<Equal<typeof store, Store<User>>>()
  // @ts-expect-error: the engine is to be given
  await openSlim({ storage: memory() })
}
