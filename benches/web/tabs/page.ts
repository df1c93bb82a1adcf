// What a tab of the benchmark can do: write, hear what another has written, and say when.
import { Dexie, liveQuery } from 'dexie'
import * as revkv from 'revkv'
import { indexedDb } from 'revkv/storage/indexeddb'
import { createMergeableStore } from 'tinybase'
import { createBroadcastChannelSynchronizer } from 'tinybase/synchronizers/synchronizer-broadcast-channel'

/** One who writes numbers, or hears of them. */
interface Peer {
  put(value: number): Promise<unknown>
  hear(heard: (value: number) => void): void
}

type Open = (name: string) => Promise<Peer>

const key = 'key/0000000000000000'

let store: revkv.Store<unknown>

async function openRevkv(name: string): Promise<revkv.Store<unknown>> {
  store = await revkv.open({ name, storage: indexedDb(), durability: 'relaxed' })
  return store
}

const ofRevkv = (durability: revkv.Durability): Open => {
  return async (name) => {
    const store = await openRevkv(name)
    return {
      put: (value) => store.put(key, value, { durability }),
      hear: (heard) =>
        store.on(key, ({ changes }) => {
          for (const change of changes) if (change.type === 'put') heard(change.entry.value as number)
        }),
    }
  }
}

const peers: Record<string, Open> = {
  'revkv, memory': ofRevkv('memory'),
  'revkv, relaxed': ofRevkv('relaxed'),
  'revkv, strict': ofRevkv('strict'),
  dexie: async (name) => {
    const db = new Dexie(name, { chromeTransactionDurability: 'relaxed' })
    db.version(1).stores({ entries: '' })
    const entries = db.table<number, string>('entries')
    await db.open()
    return {
      put: (value) => entries.put(value, key),
      hear: (heard) => void liveQuery(() => entries.get(key)).subscribe((value) => value !== undefined && heard(value)),
    }
  },
  tinybase: async (name) => {
    const tables = createMergeableStore()
    const synchronizer = createBroadcastChannelSynchronizer(tables, name)
    await synchronizer.startSync()
    return {
      put: async (value) => tables.setCell('entries', key, 'value', value),
      hear: (heard) =>
        void tables.addCellListener('entries', key, 'value', (_store, _table, _row, _cell, value) =>
          heard(value as number),
        ),
    }
  },
}

/** Microseconds matter, and the two pages' clocks began at different times. */
const now = () => performance.timeOrigin + performance.now()

let peer: Peer
const heard: [value: number, at: number][] = []

const tabBench = {
  names: Object.keys(peers),

  async open(name: string, database: string): Promise<void> {
    peer = await (peers[name] as Open)(database)
    peer.hear((value) => heard.push([value, now()]))
  },

  takeHeard: () => heard.splice(0),

  /** When each was written, and how long its promise took; one after the other. */
  async write(count: number): Promise<[value: number, at: number, ms: number][]> {
    const written: [number, number, number][] = []
    for (let value = 1; value <= count; value++) {
      const at = now()
      await peer.put(value)
      written.push([value, at, now() - at])
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return written
  },

  /** Answers, so that the other can compare its clock. */
  echo(): void {
    const channel = new BroadcastChannel('clock')
    channel.onmessage = () => channel.postMessage(now())
  },

  /** How far the clock of whoever echoes is ahead: by the answer that came quickest. */
  async compareClocks(): Promise<number> {
    const channel = new BroadcastChannel('clock')
    let best = { ms: Number.POSITIVE_INFINITY, ahead: 0 }
    for (let i = 0; i < 100; i++) {
      const from = now()
      const answered = new Promise<number>((resolve) => {
        channel.onmessage = ({ data }) => resolve(data)
      })
      channel.postMessage('')
      const there = await answered
      const to = now()
      if (to - from < best.ms) best = { ms: to - from, ahead: there - (from + to) / 2 }
    }
    channel.close()
    return best.ahead
  },

  async openStore(database: string): Promise<number> {
    const from = now()
    await openRevkv(database)
    return now() - from
  },

  role: () => store.role,
  revision: () => store.revision,

  /** So many revisions, of 100 bytes and a key of 20 each, 500 in flight. */
  async fill(count: number): Promise<number> {
    const value = 'v'.repeat(100)
    const from = now()
    for (let i = 0; i < count; i += 500) {
      const keys = Array.from({ length: Math.min(500, count - i) }, (_, j) => `key/${i + j}`.padEnd(20, '0'))
      await Promise.all(keys.map((key) => store.put(key, value)))
    }
    return now() - from
  },

  /** Resolves with the time at which it has come so far. */
  async reached(revision: number): Promise<number> {
    while (store.revision < revision) await new Promise((resolve) => setTimeout(resolve, 1))
    return now()
  },

  now,
}

export type TabBench = typeof tabBench

Object.assign(globalThis, { tabBench })
