// The works, each stated once: what is done, in which unit it is told, who is asked for it, and how it is measured.
import type { Bench } from './bench.js'
import { keyOf, prefixOf } from './data.js'
import { median, once, perCall, use } from './measure.js'
import type { Database, Durability, Entry, Environment, Form, Peer, Plain, Value } from './peer.js'

/** Each stage has a page, worker or process of its own, and begins with nothing kept. */
export type Stage = 'run' | 'open' | 'memory' | 'stored' | 'written'
/** Nanoseconds, bytes, or bytes per byte. Less is better everywhere. */
export type Unit = 'ns' | 'bytes' | 'ratio'

export interface Work {
  readonly name: string
  readonly title: string
  readonly unit: Unit
  readonly stage: Stage
  /** Asked of those in memory, of those with a medium, or of all. */
  readonly of: 'memory' | 'medium' | 'all'
  readonly needs?: keyof Database
  readonly strict?: boolean
  readonly entriesMin?: number
  readonly environment?: Environment
  /** For those works that the runner does not measure from outside. */
  measure?(bench: Bench): Promise<number>
}

const watchersMax = 1000
/** So many entries there are where somebody watches. */
const watchedEntriesMax = 10_000
const burst = 100
/** Keys that are put in turn. */
const updatesMax = 1 << 15

export const works: readonly Work[] = [
  { name: 'load', title: 'bulk load, an entry', unit: 'ns', stage: 'run', of: 'all', measure: load },
  { name: 'put', title: 'put, memory', unit: 'ns', stage: 'run', of: 'memory', measure: putMemory },
  {
    name: 'puts-relaxed',
    title: '500 puts in flight, each',
    unit: 'ns',
    stage: 'run',
    of: 'medium',
    measure: (bench) => putsInFlight(bench, 'relaxed'),
  },
  {
    name: 'puts-strict',
    title: '500 puts in flight, flushed, each',
    unit: 'ns',
    stage: 'run',
    of: 'medium',
    strict: true,
    measure: (bench) => putsInFlight(bench, 'strict'),
  },
  {
    name: 'put-relaxed',
    title: 'one awaited put',
    unit: 'ns',
    stage: 'run',
    of: 'medium',
    measure: (bench) => putAwaited(bench, 'relaxed'),
  },
  {
    name: 'put-strict',
    title: 'one awaited put, flushed',
    unit: 'ns',
    stage: 'run',
    of: 'medium',
    strict: true,
    measure: (bench) => putAwaited(bench, 'strict'),
  },
  { name: 'get', title: 'get, any key', unit: 'ns', stage: 'run', of: 'all', measure: get },
  { name: 'get-hot', title: 'get, hot key, decoded', unit: 'ns', stage: 'run', of: 'all', measure: getHot },
  { name: 'get-many', title: 'getMany of 100', unit: 'ns', stage: 'run', of: 'all', measure: getMany },
  { name: 'range-100', title: 'range of 100, decoded', unit: 'ns', stage: 'run', of: 'all', measure: range100 },
  {
    name: 'range-10000',
    title: 'range of 10,000',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    entriesMin: 10_000,
    measure: range10000,
  },
  { name: 'count', title: 'count of a prefix of 1,000', unit: 'ns', stage: 'run', of: 'all', measure: count },
  {
    name: 'watchers',
    title: 'put, 1,000 watchers, one match',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'watch',
    measure: watchers,
  },
  {
    name: 'latency',
    title: 'put to delivery, one watcher',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'watch',
    measure: latency,
  },
  {
    name: 'get-old',
    title: 'get at an old revision',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'getAt',
    measure: getOld,
  },
  {
    name: 'range-old',
    title: 'range of 100 at an old revision',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'rangeAt',
    measure: rangeOld,
  },
  {
    name: 'history',
    title: 'history of 1,000 events',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'history',
    measure: history,
  },
  {
    name: 'snapshot',
    title: 'snapshot and release',
    unit: 'ns',
    stage: 'run',
    of: 'all',
    needs: 'snapshot',
    measure: snapshot,
  },
  { name: 'open', title: 'cold open to the first get', unit: 'ns', stage: 'open', of: 'medium', measure: open },
  {
    name: 'open-all',
    title: 'cold open to all entries in memory',
    unit: 'ns',
    stage: 'open',
    of: 'medium',
    needs: 'readAll',
    measure: openAll,
  },
  {
    name: 'memory',
    title: 'memory, an entry',
    unit: 'bytes',
    stage: 'memory',
    of: 'memory',
    environment: 'node',
  },
  {
    name: 'stored',
    title: 'stored per byte, after a load and an update of each key',
    unit: 'ratio',
    stage: 'stored',
    of: 'medium',
  },
  {
    name: 'stored-compacted',
    title: 'the same, compacted',
    unit: 'ratio',
    stage: 'stored',
    of: 'medium',
    needs: 'compact',
  },
  {
    name: 'written',
    title: 'written per byte changed, random updates of 10,000 keys',
    unit: 'ratio',
    stage: 'written',
    of: 'medium',
  },
]

/** Why this peer is not asked for this work, here; undefined when it is. */
export function refusal(
  work: Work,
  peer: Omit<Peer, 'open'>,
  environment: Environment,
  entries: number,
): string | undefined {
  const inMemory = peer.medium === 'memory'
  if (work.of === 'memory' && !inMemory) return 'of those in memory only'
  if (work.of === 'medium' && inMemory) return 'keeps nothing'
  if (work.strict && !peer.strict) return peer.cannot?.strict ?? 'cannot be asked to flush'
  if ((work.entriesMin ?? 0) > entries) return `of ${work.entriesMin} entries and more`
  if (work.environment && work.environment !== environment) return `measured in ${work.environment} only`
  return peer.cannot?.[work.name]
}

const loads = 3
/** Who takes longer is asked once. */
const longLoadNs = 2e9

/** Several, each of a new database; one that is written first has compiled what follows. */
async function load(bench: Bench): Promise<number> {
  const entries = bench.all('plain')
  const warm = await bench.open('warm', 'plain')
  await warm.load(entries.slice(0, 2000))
  await bench.close('warm')
  const times: number[] = []
  for (let left = loads; left > 0; left--) {
    const name = left === 1 ? 'plain' : `load-${left}`
    const database = await bench.open(name, 'plain')
    times.push(await once(() => database.load(entries)))
    if (left === 1) await bench.adopt(database, 'plain')
    else await bench.close(name)
    if ((times[0] as number) > longLoadNs) left = Math.min(left, 2)
  }
  return median(times) / entries.length
}

async function putMemory(bench: Bench): Promise<number> {
  const { database, updates } = await forUpdates(bench)
  return perCall((i) => {
    const { key, value } = updates[i % updates.length] as Entry
    return database.put(key, value, 'memory')
  })
}

async function putsInFlight(bench: Bench, durability: Durability): Promise<number> {
  const { database, updates } = await forUpdates(bench)
  const at = updates.length - 500
  const ns = await perCall((i) => {
    const first = (i * 500) % at
    return Promise.all(updates.slice(first, first + 500).map(({ key, value }) => database.put(key, value, durability)))
  })
  return ns / 500
}

async function putAwaited(bench: Bench, durability: Durability): Promise<number> {
  const { database, updates } = await forUpdates(bench)
  return perCall(async (i) => {
    const { key, value } = updates[i % updates.length] as Entry
    await database.put(key, value, durability)
  })
}

async function get(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  const keys = bench.keys()
  return perCall((i) => look(database.get(keys[i % keys.length] as string)))
}

/** 16 keys, so that it is a lookup and not a variable. */
async function getHot(bench: Bench): Promise<number> {
  const database = await bench.filled('document')
  const keys = bench.keys(16)
  return perCall((i) => look(database.get(keys[i % 16] as string)))
}

async function getMany(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  const hundreds = Array.from({ length: 512 }, () => bench.keys(100))
  const see = (values: readonly (Value | undefined)[]) => {
    for (const value of values) look(value)
  }
  return perCall((i) => then(database.getMany(hundreds[i % 512] as string[]), see))
}

async function range100(bench: Bench): Promise<number> {
  const database = await bench.filled('document')
  const starts = bench.keys(1024, bench.entries - 100)
  return perCall((i) => database.range(starts[i % 1024] as string, 100, see))
}

async function range10000(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  const starts = bench.keys(64, bench.entries - 9999)
  return perCall((i) => database.range(starts[i % 64] as string, 10_000, see))
}

async function count(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  const prefixes = bench.numbers(64).map(prefixOf)
  return perCall((i) => then(database.count(prefixes[i % 64] as string), use))
}

/** Bursts of 100 puts, each of another key, so that nobody tells two of them at once; over when all are delivered. */
async function watchers(bench: Bench): Promise<number> {
  const { database, watched } = await forWatchers(bench)
  const deliveries = new Deliveries()
  for (const { key } of watched.slice(0, watchersMax)) await database.watch?.(key, deliveries.note)
  await deliveries.quiet()
  const { durability } = bench
  const ns = await perCall(async (i) => {
    const all = deliveries.next(burst)
    const first = (i * burst) % watched.length
    for (let n = first; n < first + burst; n++) {
      const { key, value } = watched[n] as Entry
      const put = database.put(key, value, durability)
      if (durability === 'memory') await put
    }
    await all
  })
  await bench.close('watched')
  return ns / burst
}

async function latency(bench: Bench): Promise<number> {
  const { database, watched } = await forWatchers(bench)
  const updates = bench.updatesOf([(watched[0] as Entry).key], 'plain')
  const deliveries = new Deliveries()
  await database.watch?.((watched[0] as Entry).key, deliveries.note)
  await deliveries.quiet()
  const ns = await perCall((i) => {
    const delivered = deliveries.next(1)
    const { key, value } = updates[i % 2] as Entry
    void database.put(key, value, bench.durability)
    return delivered
  })
  await bench.close('watched')
  return ns
}

/**
 * Updates of 1,000 keys, and a database of its own, for not every peer can be told to stop watching; but where it is asked how
 * things grow, the one that is filled.
 */
async function forWatchers(bench: Bench): Promise<{ database: Database; watched: Entry[] }> {
  if (bench.turn.versions !== undefined) {
    return { database: await bench.filled('plain'), watched: bench.updatesOf(bench.keys(watchersMax), 'plain') }
  }
  const database = await bench.open('watched', 'plain')
  const entries = bench.all('plain').slice(0, watchedEntriesMax)
  await database.load(entries)
  const keys = entries.slice(0, watchersMax).map(({ key }) => key)
  return { database, watched: bench.updatesOf(keys, 'plain') }
}

async function getOld(bench: Bench): Promise<number> {
  const { database, revision, version } = await bench.past('plain')
  const keys = bench.keys()
  bench.expect(await database.getAt?.(keyOf(7), revision), 'plain', 7, version)
  return perCall((i) => look(database.getAt?.(keys[i % keys.length] as string, revision)))
}

async function rangeOld(bench: Bench): Promise<number> {
  const { database, revision } = await bench.past('document')
  const starts = bench.keys(1024, bench.entries - 100)
  return perCall((i) => database.rangeAt?.(starts[i % 1024] as string, 100, revision, see))
}

async function history(bench: Bench): Promise<number> {
  const { database } = await bench.past('plain')
  return perCall(() => database.history?.(1000, see))
}

async function snapshot(bench: Bench): Promise<number> {
  const database = await bench.filled('plain')
  return perCall(() => database.snapshot?.())
}

async function open(bench: Bench): Promise<number> {
  let found: Value | undefined
  const ns = await once(async () => {
    const database = await bench.open('plain', 'plain')
    found = await database.get(keyOf(bench.entries - 1))
  })
  if ((found as Plain | undefined)?.length !== 100) throw new Error(`${bench.peer.name} has lost its last entry`)
  await bench.closeAll()
  return ns
}

async function openAll(bench: Bench): Promise<number> {
  let all = 0
  const ns = await once(async () => {
    const database = await bench.open('plain', 'plain')
    all = (await database.readAll?.()) ?? 0
  })
  if (all !== bench.entries) throw new Error(`${bench.peer.name} has ${all} of ${bench.entries} entries`)
  await bench.closeAll()
  return ns
}

/** A filled database and what to put, all of keys that are there already. */
async function forUpdates(bench: Bench, form: Form = 'plain'): Promise<{ database: Database; updates: Entry[] }> {
  const database = await bench.filled(form)
  return { database, updates: bench.updatesOf(bench.keys(bench.many(updatesMax)), form) }
}

/** Counts what is delivered, and tells when it is as much as was waited for. */
class Deliveries {
  #open = 0
  #last = 0
  #resolve: () => void = () => {}

  readonly note = (): void => {
    this.#last = performance.now()
    if (--this.#open === 0) this.#resolve()
  }

  next(count: number): Promise<void> {
    this.#open = count
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Some begin by telling how it is; that is over when nothing has come for a while. */
  async quiet(): Promise<void> {
    this.#last = performance.now()
    while (performance.now() - this.#last < 100) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Touches a value, so that it is decoded. */
function look(value: Value | undefined | PromiseLike<Value | undefined>): unknown {
  if (value === undefined) throw new Error('a key is not there')
  if (typeof value === 'string') return use(value.charCodeAt(0))
  if (value instanceof Uint8Array) return use(value[0] as number)
  if ('then' in value) return value.then(look)
  return use(value.n + value.text.length)
}

function see(key: string, value: Value): void {
  use(key.length)
  look(value)
}

function then<T>(given: T | PromiseLike<T>, see: (given: T) => void): unknown {
  if (typeof (given as PromiseLike<T>)?.then === 'function') return (given as PromiseLike<T>).then(see)
  return see(given as T)
}
