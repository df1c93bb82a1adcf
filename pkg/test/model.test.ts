// Random operations against a naive store of plain maps: every revision, every batch of a watch, over reopenings.

import { expect, test } from 'vitest'
import { open, type Store, type TxnOp, type WatchBatch } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { turn, wasm } from './open.js'

const seed = Number(process.env.REVKV_SEED ?? Math.floor(Math.random() * 2 ** 32))

/** mulberry32 */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const keys = ['a', 'a/b', 'a/c', 'b', 'b/\u00e9', '\uff61', '\u{10000}']

/** One map for each revision, the last one now. */
class Model {
  revisions: Map<string, number>[] = [new Map(), new Map()]

  get revision(): number {
    return this.revisions.length - 1
  }

  commit(changes: [string, number | undefined][]): void {
    const next = new Map(this.revisions.at(-1))
    for (const [key, value] of changes) {
      if (value === undefined) next.delete(key)
      else next.set(key, value)
    }
    this.revisions.push(next)
  }

  at(revision: number): [string, number][] {
    const bytes = (key: string) => Buffer.from(key)
    return [...(this.revisions[revision] as Map<string, number>)].sort(([a], [b]) => Buffer.compare(bytes(a), bytes(b)))
  }

  /** What there is now below a prefix. */
  within(prefix: string): [string, number][] {
    return this.at(this.revision).filter(([key]) => key.startsWith(prefix))
  }
}

const contents = (store: Store<number>, revision: number) =>
  store
    .list({}, { revision })
    .toArray()
    .map((entry) => [entry.key, entry.value])

test(`a store is what its maps say (REVKV_SEED=${seed})`, async () => {
  const next = random(seed)
  const below = (bound: number) => Math.floor(next() * bound)
  const key = () => keys[below(keys.length)] as string
  const storage = memory()
  const model = new Model()
  let store = await open<number>({ wasm, storage, durability: 'relaxed' })
  const heard: WatchBatch<number>[] = []
  const errors: unknown[] = []
  const listen = () => {
    const from = (heard.at(-1)?.revision ?? 1) + 1
    store.on({}, (batch) => heard.push(batch), { from, onError: (e) => errors.push(e) })
  }
  listen()
  /** A prefix, and what is below it as a subscriber was last told. */
  const live = (prefix: string) => {
    const query = store.live((view) => view.list({ prefix }).toArray())
    const shown = () => query.value.map((entry) => [entry.key, entry.value])
    const followed = { prefix, shown, last: shown() }
    query.subscribe(() => {
      followed.last = shown()
    })
    return followed
  }
  let lives = keys.map(live)

  for (let step = 0; step < 600; step++) {
    const kind = below(100)
    if (kind < 50) {
      const [k, v] = [key(), step]
      store.put(k, v)
      model.commit([[k, v]])
    } else if (kind < 70) {
      const prefix = key()
      const gone = model.within(prefix)
      const { deleted } = await store.delete({ prefix })
      expect(deleted).toBe(gone.length)
      if (deleted > 0) model.commit(gone.map(([k]) => [k, undefined]))
    } else if (kind < 75) {
      const chosen = new Set([key(), key(), key()])
      await store.putMany(Array.from(chosen, (k) => [k, step]))
      model.commit([...chosen].map((k) => [k, step]))
    } else if (kind < 80) {
      // Adds up what it lists, over others that write, and puts the sum where it deletes.
      const [prefix, to] = [key(), key()]
      await store.transact(async (tx) => {
        if (below(2) === 0) {
          const [k, v] = [key(), step]
          await store.put(k, v)
          model.commit([[k, v]])
        }
        const sum = tx
          .list({ prefix })
          .toArray()
          .reduce((total, entry) => total + entry.value, 0)
        tx.delete({ prefix })
        tx.put(to, sum)
      })
      const listed = model.within(prefix)
      const sum = listed.reduce((total, [, value]) => total + value, 0)
      model.commit([...listed.map(([k]): [string, undefined] => [k, undefined]), [to, sum]])
    } else if (kind < 85) {
      const chosen = new Set([key(), key(), key()])
      const then: TxnOp<number>[] = [...chosen].map((k) => ({ put: [k, step] }))
      await store.txn({ if: [{ key: 'a', version: 0, is: '>' }], then })
      if (model.revisions[model.revision]?.has('a')) model.commit([...chosen].map((k) => [k, step]))
    } else if (kind < 90 && model.revision > store.compactRevision) {
      await store.compact(store.compactRevision + 1 + below(model.revision - store.compactRevision))
    } else if (kind < 93) {
      await store.close()
      store = await open<number>({ wasm, storage, durability: 'relaxed' })
      listen()
      lives = keys.map(live)
    }
    const { prefix, shown } = lives[below(lives.length)] as ReturnType<typeof live>
    expect([step, shown()]).toEqual([step, model.within(prefix)])
    const oldest = Math.max(1, store.compactRevision)
    const revision = oldest + below(model.revision - oldest + 1)
    expect([step, store.revision, contents(store, revision)]).toEqual([step, model.revision, model.at(revision)])
  }
  await turn()
  expect(lives.map(({ last }) => last)).toEqual(keys.map((prefix) => model.within(prefix)))
  await store.close()

  expect(errors).toEqual([])
  expect(heard.map((batch) => batch.revision)).toEqual(Array.from({ length: model.revision - 1 }, (_, i) => i + 2))
  for (const { revision, changes } of heard) {
    const replayed = new Map(model.revisions[revision - 1])
    for (const change of changes) {
      if (change.type === 'put') replayed.set(change.entry.key, change.entry.value)
      else replayed.delete(change.key)
    }
    expect(replayed).toEqual(model.revisions[revision])
  }
})
