// An engine that stops: what a user is told, what is kept, and what goes on.

import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { faultyTransport } from '../src/conformance/index.js'
import { Engine } from '../src/engine.js'
import { RevkvError, type StorageAdapter, type StorageBatch, type Store, type WatchBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { withLocks } from './locks.js'
import { changed, codeOf, Gate, openStore, turn } from './open.js'

/** (module (func (export "trap") unreachable)) */
const trapping = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0,
  11,
])

const { instance } = await WebAssembly.instantiate(trapping)
const trap = instance.exports.trap as () => never

/** The next call of this kind into any engine meets a trap, a real one. */
function stopAt(method: 'apply' | 'get' | 'range' | 'recover' | 'takeReady', times = 1): void {
  const spy = vi.spyOn(Engine.prototype, method)
  for (let i = 0; i < times; i++) spy.mockImplementationOnce(trap)
}

afterEach(() => {
  vi.restoreAllMocks()
})

function healed(store: Store<unknown>): Promise<RevkvError> {
  return new Promise((resolve) => store.addEventListener('healed', (e) => resolve(e.detail.error), { once: true }))
}

async function take(watch: AsyncIterator<WatchBatch<unknown>>): Promise<[number, unknown[]]> {
  const { value } = await watch.next()
  const changes = (value as WatchBatch<unknown>).changes
  return [
    (value as WatchBatch<unknown>).revision,
    changes.map((change) => (change.type === 'put' ? change.entry.value : 'deleted')),
  ]
}

test('a store with a storage goes on, and its watches with it', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  await store.put('a', 1)
  const watch = store.watch({ prefix: 'a' }, { from: 2 })[Symbol.asyncIterator]()
  expect(await take(watch)).toEqual([2, [1]])
  const heard: number[] = []
  store.on('a', ({ revision }) => heard.push(revision))

  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow(
    expect.objectContaining({ code: 'ENGINE_FAILED', retryable: true, cause: expect.any(WebAssembly.RuntimeError) }),
  )
  expect(await codeOf(() => store.put('a', 2)), 'nothing reaches an engine that has stopped').toBe('ENGINE_FAILED')
  expect((await back).code).toBe('ENGINE_FAILED')

  expect(store.get('a')).toBe(1)
  expect(await store.put('a', 3)).toEqual({ revision: 3 })
  expect(await take(watch)).toEqual([3, [3]])
  expect(heard).toEqual([3])
  expect(store.history('a')).toHaveLength(2)
})

test('what the storage has taken is kept and what it has not is told; a revision never has two contents', async () => {
  const gate = new Gate()
  const store = await openStore<unknown>({ storage: gate })
  const told = store.watch('a')[Symbol.asyncIterator]()
  const early = store.watch('b')[Symbol.asyncIterator]()
  await store.put('b', 1)
  expect(await take(early)).toEqual([2, [1]])
  gate.hold()
  const inFlight = store.put('a', 'in flight')
  await vi.waitFor(() => expect(gate.batches.at(-1)?.puts).toBe(1))
  const waiting = codeOf(() => store.put('a', 'waiting'))
  await store.put('a', 'memory', { durability: 'memory' })
  expect(store.revision).toBe(5)
  expect(await take(told)).toEqual([3, ['in flight']])
  expect(await take(told)).toEqual([4, ['waiting']])

  stopAt('apply')
  const back = healed(store)
  const stopped = codeOf(() => store.delete('b'))
  gate.lift()
  expect(await Promise.all([inFlight, waiting, stopped])).toEqual([{ revision: 3 }, 'ENGINE_FAILED', 'ENGINE_FAILED'])
  await back
  expect(store.get('a')).toBe('in flight')
  expect(store.get('b')).toBe(1)
  expect(await store.put('a', 'new')).toEqual({ revision: 6 })
  expect(await codeOf(() => told.next()), 'it was told of what is gone').toBe('RESTORED')
  await store.put('b', 2)
  expect(await take(early)).toEqual([7, [2]])
})

test('a batch that fails while the engine has stopped is settled by what the storage holds', async () => {
  const gate = new Gate()
  const store = await openStore<unknown>({ storage: gate })
  await store.put('a', 1)
  gate.hold()
  gate.refusal = new Error('cut off')
  const write = codeOf(() => store.put('a', 2))
  await vi.waitFor(() => expect(gate.batches.at(-1)?.puts).toBe(1))
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  gate.lift()
  expect(await write).toBe('STORAGE_LOST')
  await back
  expect(store.get('a')).toBe(1)
  gate.refusal = undefined
  await store.put('a', 3)
  expect(store.get('a')).toBe(3)
})

test('an engine that stops while its batch is gathered is replaced; one that does so again and again is given up', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  await store.put('a', 1)
  stopAt('takeReady')
  const back = healed(store)
  expect(await codeOf(() => store.put('a', 2))).toBe('ENGINE_FAILED')
  await back
  await store.put('a', 3)
  stopAt('takeReady', 10)
  const failure = new Promise<unknown>((resolve) => store.addEventListener('error', (e) => resolve(e.detail.error)))
  expect(await codeOf(() => store.put('a', 4))).toBe('ENGINE_FAILED')
  expect(await failure).toMatchObject({ code: 'ENGINE_FAILED' })
})

test('live queries and namespaces go on, snapshots end', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  const space = store.namespace('n/')
  await space.put('a', 1)
  const live = space.live((view) => view.get('a'))
  const seen: unknown[] = []
  live.subscribe(() => seen.push(live.value))
  const then = space.snapshot()
  stopAt('range')
  const back = healed(store)
  expect(() => space.list()).toThrow()
  await back
  expect(live.value).toBe(1)
  expect(() => then.get('a')).toThrow(expect.objectContaining({ code: 'RESTORED' }))
  await space.put('a', 2)
  await vi.waitFor(() => expect(seen).toEqual([2]))
  then[Symbol.dispose]()
})

test('leases and a compaction go on', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  const lease = await store.grant(60)
  await store.put('a', 1, { lease })
  await store.put('a', 2, { lease })
  await store.compact(3)
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  await back
  expect(lease.keys()).toEqual(['a'])
  expect(store.compactRevision).toBe(3)
  await lease.revoke()
  expect(store.get('a')).toBeUndefined()
})

test('an engine that stops after the storage was healed is replaced like another', async () => {
  let writes = 0
  const storage = changed(memory(), (handle) => ({
    write(batch: StorageBatch, durability: 'relaxed' | 'strict') {
      // The first is the claim of the opening.
      return ++writes === 2 ? Promise.reject(new Error('cut off')) : handle.write(batch, durability)
    },
  }))
  const store = await openStore<unknown>({ storage })
  const errors: unknown[] = []
  store.addEventListener('error', (e) => errors.push(e.detail.error))
  const mended = healed(store)
  await store.put('a', 1)
  await mended
  const back = healed(store)
  stopAt('range')
  expect(() => store.list()).toThrow()
  await back
  await store.put('a', 2)
  expect([store.get('a'), errors]).toEqual([2, []])
})

test('a grant that failed while the engine had stopped is not taken for written, though it makes no revision', async () => {
  const gate = new Gate()
  const store = await openStore<unknown>({ storage: gate })
  await store.put('a', 1)
  gate.hold()
  gate.refusal = new Error('cut off')
  const before = gate.batches.length
  const grant = codeOf(() => store.grant(60))
  await vi.waitFor(() => expect(gate.batches.length).toBe(before + 1))
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  gate.lift()
  expect(await grant).toBe('STORAGE_LOST')
  gate.refusal = undefined
  await back
  expect(store.leases()).toEqual([])
})

test('one that stops while it is read beside another leaves nobody with what is gone', async () => {
  const gate = new Gate()
  const store = await openStore<unknown>({ storage: gate })
  await store.put('a', 1)
  gate.hold()
  gate.refusal = new RevkvError('QUOTA_EXCEEDED', 'full')
  const before = gate.batches.length
  const inFlight = codeOf(() => store.put('a', 2))
  await vi.waitFor(() => expect(gate.batches.length).toBe(before + 1))
  const waiting = codeOf(() => store.put('a', 3))
  stopAt('recover')
  const back = healed(store)
  gate.lift()
  expect(await inFlight).toBe('ENGINE_FAILED')
  gate.refusal = undefined
  expect(await waiting).toBe('ENGINE_FAILED')
  await back
  expect(store.get('a')).toBe(1)
})

test('one that stops when its database is gone does not go on with an empty one', async () => {
  let medium = memory()
  const storage: StorageAdapter = { ...medium, open: (name, signal) => medium.open(name, signal) }
  const store = await openStore<unknown>({ storage })
  const evicted = vi.fn()
  store.addEventListener('evicted', evicted)
  const failure = new Promise<unknown>((resolve) => store.addEventListener('error', (e) => resolve(e.detail.error)))
  const closed = new Promise((resolve) => store.addEventListener('closed', resolve))
  await store.put('a', 1)
  medium = memory()
  stopAt('range')
  expect(() => store.list()).toThrow()
  expect(await failure).toMatchObject({ code: 'STORAGE_LOST' })
  expect(evicted).toHaveBeenCalledOnce()
  await closed
})

test('a lease that ends before another engine is there ends in that, and is no failure', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const gate = new Gate()
  const store = await openStore<unknown>({ storage: gate })
  const errors: unknown[] = []
  store.addEventListener('error', (e) => errors.push(e.detail.error))
  await store.put('a', 1, { ttlSeconds: 1 })
  gate.hold()
  const inFlight = store.put('b', 1)
  await turn()
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  vi.advanceTimersByTime(1500)
  gate.lift()
  await inFlight
  await back
  expect([store.get('a'), store.get('b'), errors]).toEqual([undefined, 1, []])
})

test('an engine that stops while watches are opened in it leaves them to the next', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  await store.put('a', 1)
  const live = store.live((view) => view.get('a'))
  const seen: unknown[] = []
  live.subscribe(() => seen.push(live.value))
  const heard: number[] = []
  const errors: unknown[] = []
  store.on('a', ({ revision }) => heard.push(revision), { onError: (error) => errors.push(error) })
  stopAt('range')
  // The live query runs again in the next engine, before the listener is there.
  stopAt('get')
  expect(() => store.list()).toThrow()
  await healed(store)
  await vi.waitFor(() => expect(store.get('a')).toBe(1))
  await store.put('a', 2)
  await turn()
  expect([heard, errors, seen.at(-1)]).toEqual([[3], [], 2])
})

test('a watch of a revision to come goes on', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  await store.put('a', 1)
  const heard: number[] = []
  const errors: unknown[] = []
  store.on('a', ({ revision }) => heard.push(revision), { from: 5, onError: (error) => errors.push(error) })
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  await back
  for (let i = 0; i < 4; i++) await store.put('a', i)
  await turn()
  expect([errors, heard]).toEqual([[], [5, 6]])
})

test('a backup that is read does not go on with that of another engine, nor ends it', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  await store.putMany(Array.from({ length: 200 }, (_, i) => [`k${i}`, 'x'.repeat(1000)] as const))
  const early = store.backup()
  const reader = early.stream().getReader()
  await reader.read()
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  await back
  const late = store.backup()
  const other = late.stream().getReader()
  let size = (await other.read()).value?.length ?? 0
  expect(await codeOf(() => reader.read())).toBe('RESTORED')
  expect(await codeOf(() => early.bytes())).toBe('RESTORED')
  await reader.cancel().catch(() => {})
  for (let next = await other.read(); next.value; next = await other.read()) size += next.value.length
  expect(size).toBe(late.size)
})

test('a snapshot may be let go of before another engine is there', async () => {
  const store = await openStore<unknown>({ storage: memory() })
  const then = store.snapshot()
  stopAt('range')
  const back = healed(store)
  expect(() => store.list()).toThrow()
  then[Symbol.dispose]()
  await back
})

test('a store that nothing else holds ends with the error, and leaves other stores alone', async () => {
  const other = await openStore<unknown>()
  const store = await openStore<unknown>()
  const errors: unknown[] = []
  store.addEventListener('error', (e) => errors.push(e.detail.error))
  const closed = new Promise((resolve) => store.addEventListener('closed', resolve, { once: true }))
  await store.put('a', 1)
  const waiting = store.watch('a')[Symbol.asyncIterator]().next()
  stopAt('range')
  expect(() => store.list()).toThrow(expect.objectContaining({ code: 'ENGINE_FAILED' }))
  expect(await codeOf(() => waiting)).toBe('ENGINE_FAILED')
  await closed
  expect(errors).toEqual([expect.objectContaining({ code: 'ENGINE_FAILED' })])
  expect(await codeOf(() => store.get('a'))).toBe('CLOSED')
  await other.put('a', 1)
  expect(other.get('a')).toBe(1)
})

test.for(['leader', 'follower'])('the engine of a %s stops: all tabs go on, and its watches too', async (role) => {
  withLocks()
  const [inner, tabs] = [memory(), faultyTransport()]
  const storage = { ...inner, supports: { ...inner.supports, sharedByTabs: true } }
  const stores = [await openStore<unknown>({ storage, tabs }), await openStore<unknown>({ storage, tabs })]
  const store = stores.find((store) => store.role === role) as Store
  const other = stores.find((store) => store.role !== role) as Store
  await other.put('a', 1)
  await vi.waitFor(() => expect(store.get('a')).toBe(1))
  const watch = store.watch('a', { from: 2 })[Symbol.asyncIterator]()
  expect(await take(watch)).toEqual([2, [1]])

  stopAt('range')
  const back = healed(store)
  expect(await codeOf(() => store.list())).toBe('ENGINE_FAILED')
  const meanwhile = other.put('a', 2)
  expect((await back).code).toBe('ENGINE_FAILED')
  expect(await meanwhile).toMatchObject({ revision: expect.any(Number) })
  const { revision } = await store.put('a', 3)
  await vi.waitFor(() => expect(other.get('a')).toBe(3), { timeout: 5000 })
  expect([store.role, store.history('a').length, store.hash().hash]).toEqual([role, 3, other.hash().hash])
  expect([await take(watch), await take(watch)]).toEqual([
    [revision - 1, [2]],
    [revision, [3]],
  ])
})
