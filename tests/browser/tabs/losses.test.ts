// Whoever leads is lost, in every way there is, idle or in the middle of commits: another leads in time, nothing that was
// acknowledged is lost, nothing is written twice, and each tab that is left has seen all of it once.
//
// REVKV_TABS=all tries each way REVKV_TIMES times over (5), and prints how long it took for another to lead.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Killable, launchKillable } from '../chromium.js'
import { type Mount, type StaticServer, serve } from '../server.js'
import { heldMs, type Loss, losses, processOf } from './losses.js'
import { type Acknowledged, checkStories, type Home, type Storage, Tab } from './tab.js'

const isWhole = process.env.REVKV_TABS === 'all'
const times = isWhole ? Number(process.env.REVKV_TIMES ?? 5) : 1
const deathMsMax = 1000
const freezeMsMax = 5000

let server: StaticServer
let browser: Killable
let profile: string
let databases = 0
/** How long it took, by what was lost how. */
const takeovers = new Map<string, number[]>()

beforeAll(async () => {
  server = await serve(0, [cacheable])
  profile = await mkdtemp(join(tmpdir(), 'revkv-tabs-'))
  // A process for each page, or one that is stopped would stop others.
  browser = await launchKillable(profile, ['--renderer-process-limit=50'])
})

afterAll(async () => {
  await browser?.kill()
  await server?.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  for (const [what, ms] of takeovers) {
    console.log(`${what}: another leads after ${p(ms, 50)} ms, p95 ${p(ms, 95)} ms (${ms.length})`)
  }
})

function p(ms: readonly number[], percent: number): number {
  const sorted = [...ms].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN
}

/** A page that says nothing of not being stored, which would keep it out of the back/forward cache. */
const cacheable: Mount = {
  prefix: '/tabs/',
  handle: async (_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(await readFile(new URL('../pages/tab.html', import.meta.url)))
  },
}

interface Case {
  loss: keyof typeof losses
  storage: Storage
  home: Home
  isBusy: boolean
}

class Tabs {
  readonly #database = `tabs-${++databases}`
  readonly #given: Case
  readonly acknowledged: Acknowledged = new Map()
  readonly all: Tab[] = []

  constructor(given: Case) {
    this.#given = given
  }

  async open(): Promise<Tab> {
    const { home, storage } = this.#given
    const page = await browser.context.newPage()
    const tab = await Tab.at(`${server.url}tabs/tab.html`, page, `t${this.all.length}`, home, this.acknowledged)
    this.all.push(tab)
    await tab.open(this.#database, storage)
    return tab
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(({ page }) => page.close().catch(() => {})))
  }
}

async function lose(given: Case): Promise<number> {
  const loss: Loss = losses[given.loss]
  const tabs = new Tabs(given)
  try {
    const leader = await tabs.open()
    const pid = loss.pid ? await processOf(leader, await browserSession()) : 0
    const followers = [await tabs.open(), await tabs.open()]
    expect(await roles(tabs.all)).toEqual(['leader', 'follower', 'follower'])
    await Promise.all(tabs.all.map((tab) => tab.ask('put')))
    if (given.isBusy) {
      await Promise.all(tabs.all.map((tab) => tab.ask('write', 4)))
      await pause(200 + Math.random() * 200)
    }
    const from = Date.now()
    let bringBack = await loss.lose(leader, pid)
    const [left, heard] = [[...followers], [] as string[][]]
    const comeBack = async () => {
      if (!bringBack) return
      if (!loss.isDeath) await pause(Math.max(0, from + heldMs - Date.now()))
      heard.push(await bringBack())
      left.push(leader)
      bringBack = undefined
    }
    const [led, next] = await nextLeader(followers)
    await next.ask('put')
    await comeBack()
    await Promise.all(left.map((tab) => tab.ask('stop')))
    await Promise.all(left.map((tab) => tab.ask('put')))
    // What the storage holds is what they have.
    const stories = await checkStories([...left, await tabs.open()], tabs.acknowledged)
    expect(stories.map(({ roles }) => roles)).toEqual([
      ...followers.map((tab) => (tab === next ? ['leader'] : [])),
      ...heard,
      [],
    ])
    return led - from
  } finally {
    await tabs.close()
  }
}

function roles(tabs: readonly Tab[]): Promise<string[]> {
  return Promise.all(tabs.map((tab) => tab.ask<string>('role')))
}

/** When which of them leads. */
async function nextLeader(tabs: readonly Tab[]): Promise<[at: number, tab: Tab]> {
  const leading = () =>
    tabs.flatMap((tab) => tab.roles.filter(({ role }) => role === 'leader').map(({ at }) => ({ at, tab })))
  await expect.poll(() => leading().length, { timeout: 20_000, interval: 10 }).toBeGreaterThan(0)
  const [{ at, tab }] = leading() as [{ at: number; tab: Tab }]
  return [at, tab]
}

async function browserSession() {
  const whole = browser.context.browser()
  if (!whole) throw new Error('this Chromium has no session of its own')
  return whole.newBrowserCDPSession()
}

/** What the step `browser` has time for. */
function isPart(loss: Case['loss'], storage: Storage): boolean {
  return storage === 'indexeddb'
    ? loss !== 'reloaded' && loss !== 'crashed'
    : loss === 'closed' || loss === 'terminated' || loss === 'frozen'
}

const loads = { idle: false, 'in the middle of commits': true }
const places = { IndexedDB: ['indexeddb', 'page'], OPFS: ['opfs', 'worker'] } as const

for (const [place, [storage, home]] of Object.entries(places)) {
  describe(`${place}: whoever leads is`, () => {
    for (const loss of Object.keys(losses) as (keyof typeof losses)[]) {
      for (const [load, isBusy] of Object.entries(loads)) {
        if (!isWhole && !(isBusy && isPart(loss, storage))) continue
        const what = `${loss}, ${load}`
        test(what, { timeout: 60_000 * times }, async () => {
          const ms: number[] = []
          takeovers.set(`${place}, ${what}`, ms)
          for (let i = 0; i < times; i++) {
            ms.push(await lose({ loss, storage, home: loss === 'terminated' ? 'worker' : home, isBusy }))
          }
          expect(p(ms, 95)).toBeLessThan(losses[loss].isDeath ? deathMsMax : freezeMsMax)
        })
      }
    }
  })
}
