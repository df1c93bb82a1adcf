// Two tabs of Firefox share a store, and when the one that leads is closed, the other does. Only in the whole run.
import { expect, test } from 'vitest'
import { App, pack } from '../../matrix/app.js'
import { launchFirefox } from '../../matrix/browsers.js'
import { serve } from '../server.js'
import type { Story } from './tab.js'

test.runIf(process.env.REVKV_TABS === 'all')(
  'two tabs of Firefox',
  { timeout: 300_000 },
  async ({ onTestFinished }) => {
    const server = await serve()
    onTestFinished(() => server.close())
    const firefox = await launchFirefox(await App.prepare('firefox', await pack()))
    onTestFinished(() => firefox.close())
    const tab = async (name: string) => {
      const page = await firefox.newPage()
      await page.goto(`${server.url}pages/tab.html`)
      await page.waitForFunction('"ask" in globalThis')
      const ask = (act: string, given?: unknown) => page.evaluate(`ask('${act}', ${JSON.stringify(given)})`)
      await ask('open', { database: 'firefox', storage: 'indexeddb', name })
      return { ask, close: () => page.close() }
    }
    const [a, b] = [await tab('a'), await tab('b')]
    expect([await a.ask('role'), await b.ask('role')]).toEqual(['leader', 'follower'])
    for (const { ask } of [a, b]) await ask('write', 4)
    await expect.poll(() => b.ask('revision'), { timeout: 20_000 }).toBeGreaterThan(200)
    for (const { ask } of [a, b]) await ask('stop')
    const stories = async () => [(await a.ask('story')) as Story, (await b.ask('story')) as Story] as const
    const areSame = async () => {
      const [one, other] = await stories()
      return one.watched.length === one.history.length && other.watched.length === one.history.length
    }
    await expect.poll(areSame, { timeout: 20_000 }).toBe(true)
    const [one, other] = await stories()
    for (const { watched, history, failed, hash } of [one, other]) {
      expect([watched, history, failed, hash]).toEqual([one.history, one.history, [], one.hash])
    }
    const from = Date.now()
    await a.close()
    await expect.poll(() => b.ask('role'), { interval: 10 }).toBe('leader')
    console.log(`Firefox: another leads ${Date.now() - from} ms after closing began`)
    await b.ask('put')
    expect(await b.ask('revision')).toBe(one.revision + 1)
  },
)
