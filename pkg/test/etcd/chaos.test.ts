// A mirror of a real etcd that is written to at random, while what lies between is cut, slow and compacted, and the store is
// closed and opened. What it tells is held against what etcd told of everything, by the rules of etcd's own robustness tests.

import { expect, test, vi } from 'vitest'
import { Random } from '../../src/conformance/random.js'
import { mirror } from '../../src/etcd/index.js'
import { open, type Store, type Unsubscribe, utf8 } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { wasm } from '../open.js'
import { Cluster } from './cluster.js'

const seconds = Number(process.env.ETCD_SECONDS ?? 6)
const keys = Number(process.env.ETCD_KEYS ?? 500)
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)

/** 200 writes a second, where the machine takes them. */
const [writers, everyMs] = [8, 40]

/** One change, as text: what it was, at which revision. */
type Told = { revision: number; changes: string[] }

test(`everything is told once, in order, whatever is cut (seed ${seed})`, {
  timeout: (seconds + 60) * 1000,
}, async () => {
  console.log(`SEED=${seed}`)
  const random = new Random(seed)
  const cluster = await Cluster.start()
  const truth = follow(cluster)
  const trouble = new Trouble(random)
  const storage = memory()
  const seen: Told[] = []
  const resyncs = new Set<number>()
  let visit = await enter(cluster, storage, trouble, seen, resyncs)

  let writing = true
  const written = Promise.all(
    Array.from({ length: writers }, (_, i) => write(cluster, new Random(seed + i), () => writing)),
  )
  const end = Date.now() + seconds * 1000
  let [compactions, visits] = [0, 1]
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    switch (random.below(5)) {
      case 0: {
        const revision = await cluster.revision()
        const body = { revision: String(Math.max(1, revision - random.below(200))), physical: true }
        compactions += await cluster.call('/v3/kv/compaction', body).then(
          () => 1,
          () => 0,
        )
        break
      }
      case 1:
        trouble.cut()
        break
      case 2:
        await visit.leave()
        if (random.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, 300))
        visit = await enter(cluster, storage, trouble, seen, resyncs)
        visits++
        break
      default:
    }
  }
  writing = false
  const writes = (await written).reduce((sum, count) => sum + count, 0)
  trouble.isOver = true
  trouble.cut()
  const last = await cluster.revision()
  await vi.waitFor(() => expect(visit.store.revision).toBe(last), { timeout: 20_000, interval: 20 })
  await visit.kept.inSync()
  expect(await visit.kept.verify(), 'broke Same').toBe(true)
  await truth.reaches(last)
  check(seen, truth.told, resyncs)
  // What a mirror takes is what it holds, whatever it went through.
  const { bytes, wasmBytes, revisions } = visit.store.stats()
  expect(bytes, 'broke Memory').toBeLessThan(400 * (revisions + 1))
  expect(wasmBytes, 'broke Memory').toBeLessThan(2 * bytes + (8 << 20))
  console.log(`${revisions} changes in ${bytes} bytes, of ${wasmBytes} of the engine's memory`)
  console.log(
    `${last} revisions, ${Math.round(writes / seconds)} writes a second, ${compactions} compactions, ${visits} visits, ${trouble.cuts} cuts, ${resyncs.size} read anew`,
  )
  await visit.leave()
  truth.end()
})

interface Visit {
  store: Store<string>
  kept: ReturnType<typeof mirror>
  leave(): Promise<void>
}

async function enter(
  cluster: Cluster,
  storage: ReturnType<typeof memory>,
  trouble: Trouble,
  seen: Told[],
  resyncs: Set<number>,
): Promise<Visit> {
  const store = await open<string>({ wasm, storage, values: utf8 })
  let off: Unsubscribe = () => {}
  const listen = () => {
    const from = (seen.at(-1)?.revision ?? 0) + 1
    const told = ({ revision, changes, resync }: { revision: number; changes: readonly unknown[]; resync?: true }) => {
      if (resync) resyncs.add(revision)
      seen.push({ revision, changes: resync ? [] : (changes as Parameters<typeof shown>[0][]).map(shown) })
    }
    off = store.on({}, told, { from, onCompacted: 'resync', onError: () => listen() })
  }
  listen()
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: trouble.fetch })
  const leave = async () => {
    off()
    await kept.close()
    await store.close()
  }
  return { store, kept, leave }
}

function shown(change: { type: string; key?: string; entry?: { key: string; value: string } }): string {
  return change.type === 'put' ? `${change.entry?.key}=${change.entry?.value}` : `-${change.key}`
}

/** Ordered, unique, whole; and complete but for what was read anew. */
function check(seen: Told[], truth: Map<number, string[]>, resyncs: Set<number>): void {
  let last = 0
  for (const { revision, changes } of seen) {
    expect(revision, `broke Ordered or Unique: ${revision} after ${last}`).toBeGreaterThan(last)
    if (!resyncs.has(revision)) expect(changes, `broke Whole at ${revision}`).toEqual(truth.get(revision))
    for (let missed = last + 1; missed < revision && !resyncs.has(revision); missed++) {
      expect(truth.has(missed), `broke Complete: ${missed} was not told`).toBe(false)
    }
    last = revision
  }
}

/** Everything etcd tells of all keys, by a watch from the beginning that nobody disturbs. */
function follow(cluster: Cluster) {
  const told = new Map<number, string[]>()
  const end = new AbortController()
  const run = async () => {
    const create_request = { key: 'AA==', range_end: 'AA==', start_revision: '1' }
    const request = { method: 'POST', body: JSON.stringify({ create_request }), signal: end.signal }
    const { body } = await fetch(`${cluster.endpoints[0]}/v3/watch`, request)
    let rest = ''
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + new TextDecoder().decode(chunk)).split('\n')
      rest = lines.pop() as string
      for (const line of lines) {
        for (const { type, kv } of JSON.parse(line).result.events ?? []) {
          const revision = Number(kv.mod_revision)
          const key = atob(kv.key)
          told.set(revision, [
            ...(told.get(revision) ?? []),
            type === 'DELETE' ? `-${key}` : `${key}=${atob(kv.value ?? '')}`,
          ])
        }
      }
    }
  }
  run().catch(() => {})
  return {
    told,
    end: () => end.abort(),
    reaches: (revision: number) =>
      vi.waitFor(() => expect(Math.max(...told.keys())).toBe(revision), { timeout: 10_000 }),
  }
}

/** Gives how many writes there were. */
async function write(cluster: Cluster, random: Random, goesOn: () => boolean): Promise<number> {
  let due = Date.now()
  for (let i = 0; ; i++) {
    if (!goesOn()) return i
    const key = () => btoa(`k${random.below(keys)}`)
    const value = btoa(`${i}-${random.below(1000)}`)
    const act = random.below(10)
    if (act === 0) await cluster.call('/v3/kv/deleterange', { key: key() })
    else if (act === 1) {
      const puts = [...new Set(Array.from({ length: 5 }, key))].map((key) => ({ request_put: { key, value } }))
      await cluster.call('/v3/kv/txn', { success: puts })
    } else await cluster.call('/v3/kv/put', { key: key(), value })
    due = Math.max(due + everyMs, Date.now() - everyMs)
    await new Promise((resolve) => setTimeout(resolve, due - Date.now()))
  }
}

/** What lies between a mirror and its cluster. */
class Trouble {
  isOver = false
  cuts = 0
  readonly #random: Random
  readonly #open = new Set<AbortController>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Whatever is on its way is cut short. */
  cut(): void {
    for (const open of this.#open) {
      this.cuts++
      open.abort(new TypeError('cut'))
    }
    this.#open.clear()
  }

  readonly fetch: typeof fetch = async (input, init) => {
    if (!this.isOver && this.#random.below(10) === 0) throw new TypeError('refused')
    const cut = new AbortController()
    this.#open.add(cut)
    if (!this.isOver) await new Promise((resolve) => setTimeout(resolve, this.#random.below(30)))
    const signal = init?.signal ? AbortSignal.any([init.signal, cut.signal]) : cut.signal
    return fetch(input, { ...init, signal })
  }
}
