// The ways in which a tab that leads is lost to the others.
import type { CDPSession } from 'playwright-core'
import type { Tab } from './tab.js'

export interface Loss {
  /** It is gone for good, so that the next can lead at once; else it comes back after `heldMs`, and follows. */
  isDeath: boolean
  /** What has to be known of the tab before. */
  pid?: boolean
  /** Resolves with what brings it back, if anything does. */
  lose(tab: Tab, pid: number): Promise<(() => Promise<void>) | undefined>
}

/** A tab that is frozen stays so for this long, or until another leads. */
export const heldMs = 6000

export const losses = {
  closed: {
    isDeath: true,
    lose: async ({ page }) => {
      await page.close()
    },
  },
  crashed: {
    isDeath: true,
    lose: async ({ page }) => {
      page.goto('chrome://crash').catch(() => {})
    },
  },
  killed: {
    isDeath: true,
    pid: true,
    lose: async (_, pid) => {
      process.kill(pid, 'SIGKILL')
    },
  },
  terminated: {
    isDeath: true,
    lose: async ({ page }) => {
      await page.evaluate(() => terminate())
    },
  },
  reloaded: {
    isDeath: true,
    lose: async ({ page }) => {
      for (let i = 0; i < 5; i++) await page.reload({ waitUntil: 'commit' })
    },
  },
  cached: {
    isDeath: false,
    lose: async ({ page }) => {
      const { href } = new URL('empty.html', page.url())
      await page.goto(href)
      return async () => {
        await page.goBack()
        const isCached = await page.evaluate(() => 'ask' in globalThis && performance.now() > 0)
        if (!isCached) throw new Error('the page was not in the back/forward cache')
      }
    },
  },
  frozen: {
    isDeath: false,
    lose: async ({ session }) => {
      await session.send('Page.setWebLifecycleState', { state: 'frozen' })
      return async () => {
        await session.send('Page.setWebLifecycleState', { state: 'active' })
      }
    },
  },
  stopped: {
    isDeath: false,
    pid: true,
    lose: async (_, pid) => {
      process.kill(pid, 'SIGSTOP')
      return async () => {
        process.kill(pid, 'SIGCONT')
      }
    },
  },
} satisfies Record<string, Loss>

/** The process that runs a page, which no protocol tells: the one that works when the page is made to. */
export async function processOf(tab: Tab, browser: CDPSession): Promise<number> {
  for (let tries = 0; tries < 5; tries++) {
    const before = await cpuTimes(browser)
    await tab.page.evaluate(() => {
      const end = performance.now() + 300
      while (performance.now() < end);
    })
    const used = [...(await cpuTimes(browser))].map(([pid, time]) => ({ pid, time: time - (before.get(pid) ?? 0) }))
    const [most, next] = used.sort((a, b) => b.time - a.time)
    if (most && most.time > 2 * (next?.time ?? 0)) return most.pid
  }
  throw new Error('the process of the page was not found')
}

async function cpuTimes(browser: CDPSession): Promise<Map<number, number>> {
  const { processInfo } = await browser.send('SystemInfo.getProcessInfo')
  const renderers = processInfo.filter(({ type }) => type === 'renderer')
  return new Map(renderers.map(({ id, cpuTime }) => [id, cpuTime]))
}
