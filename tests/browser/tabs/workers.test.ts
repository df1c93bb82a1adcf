// A store in a worker is the same store: a page shares it with its dedicated worker, and with a shared one.
import { expect } from 'vitest'
import { test } from '../browser.js'
import { type Acknowledged, checkStories, type Home, Tab } from './tab.js'

test.for<Home>(['worker', 'shared'])('a page and a %s worker have one store', async (home, { open, server }) => {
  const acknowledged: Acknowledged = new Map()
  const tabs: Tab[] = []
  for (const [name, at] of [
    ['a', home],
    ['b', 'page'],
  ] as const) {
    const tab = await Tab.at(`${server.url}pages/tab.html`, await open(), name, at, acknowledged)
    await tab.open('workers', 'indexeddb')
    tabs.push(tab)
  }
  const roles = () => Promise.all(tabs.map((tab) => tab.ask('role')))
  expect(await roles()).toEqual(['leader', 'follower'])
  await Promise.all(tabs.map((tab) => tab.ask('write', 4)))
  await expect.poll(() => acknowledged.size).toBeGreaterThan(200)
  await Promise.all(tabs.map((tab) => tab.ask('stop')))
  await checkStories(tabs, acknowledged)
  const [inWorker, page] = tabs as [Tab, Tab]
  await inWorker.ask('close')
  await expect.poll(() => page.ask('role')).toBe('leader')
  await page.ask('put')
})

test('a worker whose page is put aside lets go of its files, and comes back as a follower', async ({
  open,
  server,
}) => {
  const acknowledged: Acknowledged = new Map()
  const enter = async (name: string) => {
    const tab = await Tab.at(`${server.url}pages/tab.html`, await open(), name, 'worker', acknowledged)
    await tab.open('aside', 'opfs')
    return tab
  }
  const [leader, other] = [await enter('a'), await enter('b')]
  await leader.ask('put')
  // What the page says by `tellPageLife`; the browser itself stops the worker too, and it is to be seen that it need not.
  await leader.evaluate(`void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))`)
  await expect.poll(() => other.ask('role'), { timeout: 2000 }).toBe('leader')
  await other.ask('put')
  await leader.evaluate(`void dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`)
  await leader.ask('put')
  const stories = await checkStories([leader, other], acknowledged)
  expect(stories.map(({ roles }) => roles)).toEqual([['follower'], ['leader']])
})

test('broadcast channels of two pages pass the suite of transports', async ({ open }) => {
  const [page, other] = [await open(), await open()]
  // The other end is in another page, and does there what it is told.
  await other.evaluate(() => {
    const ends = new Map<number, { send(message: Uint8Array, to?: string): void; close(): void }>()
    const told = new BroadcastChannel('ends')
    told.onmessage = ({ data: { end, join, send, to, close } }) => {
      if (join) {
        const receive = (message: Uint8Array) => told.postMessage({ end, received: message })
        ends.set(end, tabs.broadcast().join(join[0], join[1], receive))
        told.postMessage({ end, joined: true })
      } else if (send) ends.get(end)?.send(send, to)
      else if (close) ends.get(end)?.close()
    }
  })
  const { failures, count } = await page.evaluate(async () => {
    const told = new BroadcastChannel('ends')
    let ends = 0
    /** Whoever is in the other page has joined. */
    let joined: Promise<unknown> = Promise.resolve()
    const near = {
      name: 'near',
      join(database: string, id: string, receive: (message: Uint8Array) => void) {
        const channel = tabs.broadcast().join(database, id, receive)
        const send = (message: Uint8Array, to?: string) => {
          const copy = message.slice()
          joined = joined.then(() => channel.send(copy, to))
        }
        return { send, close: () => channel.close() }
      },
    }
    const far = {
      name: 'far',
      join(database: string, id: string, receive: (message: Uint8Array) => void) {
        const end = ++ends
        told.addEventListener('message', ({ data }) => data.end === end && data.received && receive(data.received))
        const here = new Promise((resolve) => {
          told.addEventListener('message', ({ data }) => data.end === end && data.joined && resolve(undefined))
        })
        joined = joined.then(() => here)
        told.postMessage({ end, join: [database, id] })
        return {
          send: (message: Uint8Array, to?: string) => told.postMessage({ end, send: message, to }),
          close: () => told.postMessage({ end, close: true }),
        }
      },
    }
    const tests: [string, () => Promise<void>][] = []
    const test = (name: string, run: () => Promise<void>) => tests.push([name, run])
    conformance.transportConformance({ name: 'broadcast', test, create: () => [near, far], waitMs: 5000 })
    const failures: string[] = []
    for (const [name, run] of tests) await run().catch((error) => failures.push(`${name}: ${error}`))
    return { failures, count: tests.length }
  })
  expect([failures, count]).toEqual([[], 8])
})
