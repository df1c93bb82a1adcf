// A page in front of a real etcd, which it speaks to by `fetch` alone; and how long that takes, beside what the gateway itself
// takes in the same page.
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { Cluster } from '../../../pkg/test/etcd/cluster.js'
import { test } from '../browser.js'

/** More of both where figures are wanted: `ETCD_KEYS=100000`. */
const keys = Number(process.env.ETCD_KEYS ?? 500)
const puts = Math.min(keys, 1000)
/** So many keys a transaction, of those that are there before: etcd takes 128. */
const atOnce = 100

type Etcd = typeof import('../../../pkg/src/etcd/index.js')
type Storage = typeof import('../../../pkg/src/storage/indexeddb.js')

declare global {
  interface Window {
    etcd: Etcd
    storage: Storage
    arrivals: Record<'mirror' | 'gateway', Map<string, number>>
  }
}

/** The page's modules, as it loads them from a static host. */
async function load(page: Page): Promise<void> {
  const content = `
    import * as etcd from '/revkv/etcd/index.js'
    import * as storage from '/revkv/storage/indexeddb.js'
    Object.assign(window, { etcd, storage })`
  await page.addScriptTag({ type: 'module', content })
  await page.waitForFunction(() => window.etcd !== undefined && 'revkv' in window)
}

test('a page mirrors a cluster, hears of what comes, and goes on after a reload', { timeout: 120_000 }, async ({
  open,
}) => {
  const cluster = await Cluster.start()
  const endpoint = cluster.endpoints[0] as string
  const page = await open()
  await load(page)
  for (let i = 0; i < keys; i += atOnce) {
    const success = Array.from({ length: Math.min(atOnce, keys - i) }, (_, j) => ({
      request_put: { key: btoa(`k/${String(i + j).padStart(7, '0')}`), value: btoa(`value ${i + j}`.padEnd(100)) },
    }))
    await cluster.call('/v3/kv/txn', { success })
  }
  const begun = await page.evaluate(begin, endpoint)
  expect(begun.count).toBe(keys)

  await page.evaluate(listen, endpoint)
  const sent = new Map<string, number>()
  for (let i = 0; i < puts; i++) {
    sent.set(`n/${i}`, Date.now())
    await cluster.put(`n/${i}`, 'x')
  }
  const arrivals = await page.evaluate(arrived, puts)
  const [ours, theirs] = (['mirror', 'gateway'] as const).map((who) => {
    expect(arrivals[who].map(([key]) => key)).toEqual([...sent.keys()])
    return quantiles(arrivals[who].map(([key, at]) => at - (sent.get(key) as number)))
  })

  const revision = await cluster.revision()
  await page.reload()
  await load(page)
  const again = await page.evaluate(reopen, endpoint)
  expect(again).toMatchObject({ statuses: ['in-sync'], revision, count: keys + puts })
  const ms = (value: number) => `${value.toFixed(1)} ms`
  console.log(
    [
      `${puts} puts to the page: mirror p50 ${ours?.p50} ms, p99 ${ours?.p99} ms; gateway's own watch p50 ${theirs?.p50} ms, p99 ${theirs?.p99} ms`,
      `${keys} keys at first: mirror ${ms(begun.mirrorMs)}, one range read and parsed ${ms(begun.rangeMs)}`,
      `restart with nothing changed: in sync after ${ms(again.inSyncMs)}, of which opening ${ms(again.openMs)}`,
    ].join('\n'),
  )
})

async function begin(endpoint: string) {
  const rangeFrom = performance.now()
  const body = JSON.stringify({ key: 'AA==', range_end: 'AA==' })
  await (await fetch(`${endpoint}/v3/kv/range`, { method: 'POST', body })).json()
  const rangeMs = performance.now() - rangeFrom
  const store = await revkv.open({ name: 'mirror', storage: window.storage.indexedDb(), values: revkv.utf8 })
  const from = performance.now()
  const mirror = window.etcd.mirror(store as never, { endpoints: [endpoint], range: {} })
  await mirror.inSync()
  const mirrorMs = performance.now() - from
  window.arrivals = { mirror: new Map(), gateway: new Map() }
  const now = () => performance.timeOrigin + performance.now()
  store.on({ prefix: 'n/' }, ({ changes }) => {
    for (const change of changes) if (change.type === 'put') window.arrivals.mirror.set(change.entry.key, now())
  })
  return { rangeMs, mirrorMs, count: store.count() }
}

/** The gateway's own watch, with nothing around it. */
async function listen(endpoint: string) {
  const create_request = { key: btoa('n/'), range_end: btoa('n0') }
  const response = await fetch(`${endpoint}/v3/watch`, { method: 'POST', body: JSON.stringify({ create_request }) })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  await reader.read()
  const follow = async () => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += decoder.decode(value, { stream: true })
      const lines = text.split('\n')
      text = lines.pop() as string
      for (const line of lines) {
        for (const { kv } of JSON.parse(line).result.events ?? []) {
          window.arrivals.gateway.set(atob(kv.key), performance.timeOrigin + performance.now())
        }
      }
    }
  }
  follow().catch(() => {})
}

async function arrived(count: number) {
  const { mirror, gateway } = window.arrivals
  while (mirror.size < count || gateway.size < count) await new Promise((resolve) => setTimeout(resolve, 20))
  return { mirror: [...mirror], gateway: [...gateway] }
}

async function reopen(endpoint: string) {
  const from = performance.now()
  const store = await revkv.open({ name: 'mirror', storage: window.storage.indexedDb(), values: revkv.utf8 })
  const openMs = performance.now() - from
  const mirror = window.etcd.mirror(store as never, { endpoints: [endpoint], range: {} })
  const statuses: string[] = []
  mirror.addEventListener('status', ({ detail }) => statuses.push(detail.status))
  await mirror.inSync()
  const inSyncMs = performance.now() - from
  const found = { openMs, inSyncMs, statuses: [...statuses], revision: store.revision, count: store.count() }
  await mirror.close()
  await store.close()
  return found
}

function quantiles(values: number[]): { p50: string; p99: string } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] as number).toFixed(1)
  return { p50: at(0.5), p99: at(0.99) }
}

/** Two pages, each adding one to the same number, as often as they can. */
test('two pages count in one number', { timeout: 120_000 }, async ({ open }) => {
  const each = Math.min(Math.max(keys / 5, 50), 1000)
  const cluster = await Cluster.start()
  await cluster.put('n', '0')
  const pages = [await open(), await open()]
  const count = async (page: Page) => {
    await load(page)
    return page.evaluate(
      async ({ endpoints, each }) => {
        const store = await revkv.open({ name: crypto.randomUUID(), values: revkv.utf8 })
        const mirror = window.etcd.mirror(store as never, { endpoints, range: {}, write: true })
        await mirror.inSync()
        for (let i = 0; i < each; i++) {
          await store.transact((tx) => tx.put('n', String(Number(tx.get('n')) + 1)), { retries: 10_000 })
        }
        await mirror.close()
        await store.close()
      },
      { endpoints: cluster.endpoints, each },
    )
  }
  await Promise.all(pages.map(count))
  const { kvs } = (await cluster.call('/v3/kv/range', { key: btoa('n') })) as { kvs: { value: string }[] }
  expect(kvs.map(({ value }) => atob(value))).toEqual([String(2 * each)])
})
