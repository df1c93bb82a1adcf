// A mirror beside the raw gateway it stands on, in one run on one real etcd: how long a change takes to reach a listener, how
// long reading a cluster takes, and going on where it was.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open, type Store, utf8 } from 'revkv'
import { mirror } from 'revkv/etcd'
import { file } from 'revkv/storage/file'

const { values: given } = parseArgs({
  options: {
    entries: { type: 'string', default: '100000' },
    puts: { type: 'string', default: '1000' },
    out: { type: 'string' },
  },
})
const [entries, puts] = [Number(given.entries), Number(given.puts)]
const pageKeys = 5000

const folder = await mkdtemp(join(tmpdir(), 'revkv-bench-etcd-'))
const { process: etcd, url } = await startEtcd(join(folder, 'etcd'))
try {
  const version = ((await (await fetch(`${url}/version`)).json()) as { etcdserver: string }).etcdserver
  const rows = [await delivery(), ...(await reading())]
  const title = `etcd ${version}, ${entries} keys of 20 bytes with values of 100, ${puts} puts, Node ${process.version}`
  console.log(`${title}\n`)
  for (const [what, ours, raw] of rows) console.log(`${what.padEnd(48)}${ours.padStart(22)}${raw.padStart(22)}`)
  const found = { title, date: new Date().toISOString(), columns: ['', 'mirror', 'raw gateway'], rows }
  if (given.out) await writeFile(given.out, `${JSON.stringify(found, undefined, 2)}\n`)
} finally {
  etcd.kill('SIGKILL')
  await new Promise((resolve) => etcd.once('exit', resolve))
  await rm(folder, { recursive: true, force: true })
}

type Row = [what: string, mirror: string, raw: string]

/** From before a put is sent to whoever listens: each put is timed at both. */
async function delivery(): Promise<Row> {
  const store = await open<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: [url], range: { prefix: 'n' } })
  await kept.inSync()
  const [ours, raw]: [number[], number[]] = [[], []]
  let sentAt = 0
  let heard = { ours: () => {}, raw: () => {} }
  store.on({ prefix: 'n' }, () => {
    ours.push(performance.now() - sentAt)
    heard.ours()
  })
  const end = new AbortController()
  const watching = watchRaw(end.signal, () => {
    raw.push(performance.now() - sentAt)
    heard.raw()
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  for (let i = 0; i < puts; i++) {
    const both = Promise.all([
      new Promise<void>((resolve) => (heard = { ...heard, ours: resolve })),
      new Promise<void>((resolve) => (heard = { ...heard, raw: resolve })),
    ])
    sentAt = performance.now()
    await call('/v3/kv/put', { key: btoa('n'), value: btoa(String(i)) })
    await both
  }
  end.abort()
  await watching
  await store.close()
  const shown = (times: number[]) => `${percentile(times, 50).toFixed(2)} / ${percentile(times, 99).toFixed(2)} ms`
  return ['put to callback, p50 / p99', shown(ours), shown(raw)]
}

async function reading(): Promise<Row[]> {
  for (let at = 0; at < entries; at += 100) {
    const puts = Array.from({ length: 100 }, (_, i) => {
      const key = `k${String(at + i).padStart(19, '0')}`
      return { request_put: { key: btoa(key), value: btoa(`${key}${'v'.repeat(80)}`) } }
    })
    await call('/v3/kv/txn', { success: puts })
  }
  const storage = () => file({ folder: join(folder, 'store') })
  const rawMs: number[] = []
  const times: Record<'first' | 'again', number[]> = { first: [], again: [] }
  for (let round = 0; round < 3; round++) {
    await rm(join(folder, 'store'), { recursive: true, force: true })
    rawMs.push(await timed(readRaw))
    for (const what of ['first', 'again'] as const) {
      let store: Store<string> | undefined
      times[what].push(
        await timed(async () => {
          store = await open<string>({ values: utf8, storage: storage() })
          await mirror(store, { endpoints: [url], range: { prefix: 'k' } }).inSync()
        }),
      )
      if (store?.count({}) !== entries) throw new Error(`${store?.count({})} keys were mirrored`)
      await store.close()
    }
  }
  const ms = (list: number[]) => `${percentile(list, 50).toFixed(0)} ms`
  return [
    [`a first mirror, in files`, ms(times.first), `${ms(rawMs)} (read, parsed)`],
    [`opened again, nothing changed`, ms(times.again), '–'],
  ]
}

async function readRaw(): Promise<void> {
  let [from, at, count] = [btoa('k'), '0', 0]
  for (;;) {
    const page = (await call('/v3/kv/range', {
      key: from,
      range_end: btoa('l'),
      limit: String(pageKeys),
      revision: at,
    })) as { header: { revision: string }; kvs?: { key: string }[]; more?: boolean }
    at = at === '0' ? page.header.revision : at
    count += page.kvs?.length ?? 0
    const last = page.kvs?.at(-1)
    if (!page.more || !last) break
    from = btoa(`${atob(last.key)}\0`)
  }
  if (count !== entries) throw new Error(`${count} keys were read`)
}

async function watchRaw(signal: AbortSignal, heard: () => void): Promise<void> {
  const body = JSON.stringify({ create_request: { key: btoa('n') } })
  const response = await fetch(`${url}/v3/watch`, { method: 'POST', body, signal })
  try {
    let rest = ''
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + new TextDecoder().decode(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) for (const _ of JSON.parse(line).result.events ?? []) heard()
    }
  } catch (e) {
    if (!signal.aborted) throw e
  }
}

async function call(path: string, body: object): Promise<unknown> {
  const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response.json()
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function percentile(values: number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? NaN
}

async function startEtcd(data: string): Promise<{ process: ChildProcess; url: string }> {
  const ports = await Promise.all([freePort(), freePort()])
  const [client, peer] = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string]
  const flags = ['--data-dir', data, '--listen-client-urls', client, '--advertise-client-urls', client]
  const peers = [
    '--listen-peer-urls',
    peer,
    '--initial-advertise-peer-urls',
    peer,
    '--initial-cluster',
    `default=${peer}`,
  ]
  const etcd = spawn(process.env.ETCD ?? 'etcd', [...flags, ...peers, '--log-level', 'error'], { stdio: 'ignore' })
  for (;;) {
    try {
      const response = await fetch(`${client}/v3/kv/range`, { method: 'POST', body: '{"key":"AA=="}' })
      if (response.ok) return { process: etcd, url: client }
    } catch {
      // It is on its way.
    }
    if (etcd.exitCode !== null) throw new Error('etcd has ended')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
