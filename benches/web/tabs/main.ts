// What it costs to share a store among tabs, in a headless Chromium: how soon another tab hears of a put, beside peers; how
// soon a tab that comes late has everything; and what followers cost whoever leads. The results are kept, and printed as the
// table of docs/performance.md.
import { rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import sirv from 'sirv'
import { launchChromium } from '../../../tests/browser/chromium.js'
import { serve } from '../../../tests/browser/server.js'
import { isolated } from '../isolated.js'
import type { TabBench } from './page.js'

declare global {
  var tabBench: TabBench
}

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = fileURLToPath(new URL('../dist/tabs/', import.meta.url))
const results = fileURLToPath(new URL('../../results/tabs.json', import.meta.url))

const puts = 300
const revisions = 100_000
const followersOf = [0, 1, 5, 20]
const putsOfCost = 10_000

/** The package as it is served, so that it finds its engine. */
const served: Record<string, string> = {
  revkv: '/revkv/index.js',
  'revkv/storage/indexeddb': '/revkv/storage/indexeddb.js',
}

await rm(dist, { recursive: true, force: true })
await build({
  absWorkingDir: here,
  entryPoints: ['page.ts'],
  outdir: dist,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  plugins: [
    {
      name: 'served',
      setup: (build) => build.onResolve({ filter: /^revkv/ }, ({ path }) => ({ path: served[path], external: true })),
    },
  ],
})
await writeFile(`${dist}page.html`, '<!doctype html><title>a tab</title><script type="module" src="page.js"></script>')

const server = await serve(0, [{ prefix: '/tabs/', handle: sirv(dist, isolated) }])
/** Each page is in a process of its own. */
const chromium = await launchChromium(['--renderer-process-limit=50'])

async function tab(): Promise<Page> {
  const page = await chromium.open(`${server.url}tabs/page.html`, (error) => console.error(error))
  await page.waitForFunction(() => 'tabBench' in globalThis)
  return page
}

function percentile(ms: number[], percent: number): number {
  const sorted = [...ms].sort((a, b) => a - b)
  return Number((sorted[Math.floor(((sorted.length - 1) * percent) / 100)] ?? Number.NaN).toFixed(2))
}

/** From the call in one tab to the callback in another. A value that was passed over for a newer one was not heard. */
async function delivery(name: string, writes: 'first' | 'second') {
  const [first, second] = [await tab(), await tab()]
  const database = `${name}-${writes}`
  for (const page of [first, second]) {
    await page.evaluate(([name, database]) => tabBench.open(name, database), [name, database] as const)
  }
  const [writer, hearer] = writes === 'first' ? [first, second] : [second, first]
  await hearer.evaluate(() => tabBench.echo())
  const ahead = await writer.evaluate(() => tabBench.compareClocks())
  await writer.evaluate(() => tabBench.write(20))
  await pause(500)
  await hearer.evaluate(() => tabBench.takeHeard())
  const written = await writer.evaluate((puts) => tabBench.write(puts), puts)
  await pause(500)
  const heard = new Map(await hearer.evaluate(() => tabBench.takeHeard()))
  const ms = written.flatMap(([value, at]) => (heard.has(value) ? [(heard.get(value) as number) - ahead - at] : []))
  const acknowledged = written.map(([, , ms]) => ms)
  await Promise.all([first.close(), second.close()])
  return {
    name,
    writes: name.startsWith('revkv') ? (writes === 'first' ? 'leader' : 'follower') : 'either',
    heard: ms.length,
    p50: percentile(ms, 50),
    p99: percentile(ms, 99),
    acknowledged50: percentile(acknowledged, 50),
    acknowledged99: percentile(acknowledged, 99),
  }
}

async function catchUp() {
  const [leader, live] = [await tab(), await tab()]
  await leader.evaluate(() => tabBench.openStore('catch-up'))
  await live.evaluate(() => tabBench.openStore('catch-up'))
  const reached = live.evaluate((revisions) => tabBench.reached(revisions + 1), revisions)
  const from = await leader.evaluate(() => tabBench.now())
  const filledMs = await leader.evaluate((revisions) => tabBench.fill(revisions), revisions)
  const followedMs = (await reached) - from
  const late = await tab()
  const lateMs = await late.evaluate(() => tabBench.openStore('catch-up'))
  const has = await late.evaluate(() => tabBench.revision())
  if (has !== revisions + 1) throw new Error(`a late tab is open at revision ${has}`)
  await Promise.all([leader, live, late].map((page) => page.close()))
  return { revisions, filledMs: Math.round(filledMs), followedMs: Math.round(followedMs), lateMs: Math.round(lateMs) }
}

/** The time of the leader's main thread, which is what its page has less of. */
async function cost(followers: number) {
  const leader = await tab()
  const database = `cost-${followers}`
  await leader.evaluate((database) => tabBench.openStore(database), database)
  const others: Page[] = []
  for (let i = 0; i < followers; i++) {
    const page = await tab()
    await page.evaluate((database) => tabBench.openStore(database), database)
    others.push(page)
  }
  const session = await chromium.context.newCDPSession(leader)
  await session.send('Performance.enable')
  const busyMs = async () => {
    const { metrics } = await session.send('Performance.getMetrics')
    return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN)
  }
  await leader.evaluate(() => tabBench.fill(1000))
  const before = await busyMs()
  const wallMs = await leader.evaluate((puts) => tabBench.fill(puts), putsOfCost)
  await Promise.all(others.map((page) => page.evaluate((to) => tabBench.reached(to), putsOfCost + 1001)))
  const ms = (await busyMs()) - before
  await Promise.all([leader, ...others].map((page) => page.close()))
  const each = (ms: number) => Number(((1000 * ms) / putsOfCost).toFixed(1))
  return { followers, busyMicros: each(ms), wallMicros: each(wallMs) }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const names = await (await tab()).evaluate(() => tabBench.names)
const deliveries = []
for (const name of names) {
  for (const writes of ['first', 'second'] as const) {
    if (name.startsWith('revkv') || writes === 'first') deliveries.push(await delivery(name, writes))
  }
}
const caughtUp = await catchUp()
const costs = []
for (const followers of followersOf) costs.push(await cost(followers))
const measured = {
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus()[0]?.model.trim()} (${cpus().length} cores)`,
  chromium: chromium.context.browser()?.version(),
  puts,
  deliveries,
  caughtUp,
  putsOfCost,
  costs,
}
await writeFile(results, `${JSON.stringify(measured, null, 2)}\n`)
await chromium.close()
await server.close()

console.log(
  '| a put in one tab, heard in another | p50 | p99 | its promise, p50 | p99 |\n| --- | --: | --: | --: | --: |',
)
for (const { name, writes, p50, p99, acknowledged50, acknowledged99 } of deliveries) {
  const who = writes === 'either' ? name : `${name}: the ${writes} writes`
  console.log(`| ${who} | ${p50} ms | ${p99} ms | ${acknowledged50} ms | ${acknowledged99} ms |`)
}
console.log('\n| followers | leader busy, a put | wall time, a put |\n| --: | --: | --: |')
for (const { followers, busyMicros, wallMicros } of costs) {
  console.log(`| ${followers} | ${busyMicros} µs | ${wallMicros} µs |`)
}
console.log(`\n${JSON.stringify(caughtUp)}`)
