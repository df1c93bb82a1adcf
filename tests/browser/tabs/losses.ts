// The ways in which a tab that leads is lost to the others.
import { setTimeout as pause } from 'node:timers/promises'
import type { CDPSession } from 'playwright-core'
import type { Tab } from './tab.js'

export interface Loss {
  /** It is gone for good, so that the next can lead at once; else it is put aside for `heldMs`. */
  isDeath: boolean
  /** What has to be known of the tab before. */
  pid?: boolean
  /** Resolves with what brings it back, if anything does; that gives what it has heard of its role since. */
  lose(tab: Tab, pid: number): Promise<(() => Promise<string[]>) | undefined>
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
    lose: async (tab) => {
      await tab.evaluate('terminate()')
    },
  },
  reloaded: {
    isDeath: true,
    lose: async (tab) => {
      for (let i = 0; i < 5; i++) {
        await tab.page.reload()
        // It is gone again before that is done.
        if (i < 4) tab.reopen().catch(() => {})
      }
      return async () => {
        await tab.reopen()
        return []
      }
    },
  },
  cached: {
    isDeath: false,
    lose: async (tab) => {
      const entry = await currentEntry(tab)
      try {
        await tab.page.goto(new URL('/pages/empty.html', tab.page.url()).href)
      } catch (e) {
        // Chromium 156 ends the process of a page that goes there with a worker which has files open.
        if (String(e).includes('Page crashed')) return
        throw e
      }
      return async () => {
        await tab.session.send('Page.navigateToHistoryEntry', { entryId: entry })
        // The driver waits for a load, which there is none of.
        while (!(await tab.evaluate<boolean>('"ask" in globalThis').catch(() => false))) await pause(50)
        if (await tab.evaluate<boolean>('isCached')) return ['follower']
        // It was thrown away, as it may be at any time.
        await tab.reopen()
        return []
      }
    },
  },
  frozen: {
    isDeath: false,
    // The page is behind the others: one that is seen cannot be frozen.
    lose: async ({ session }) => {
      await session.send('Page.setWebLifecycleState', { state: 'frozen' })
      return async () => {
        await session.send('Page.setWebLifecycleState', { state: 'active' })
        return ['follower']
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
        return ['follower']
      }
    },
  },
} satisfies Record<string, Loss>

async function currentEntry({ session }: Tab): Promise<number> {
  const { entries, currentIndex } = await session.send('Page.getNavigationHistory')
  return entries[currentIndex]?.id ?? 0
}

/** The process that runs a page, which no protocol tells: the one that works when the page is made to. */
export async function processOf(tab: Tab, browser: CDPSession): Promise<number> {
  for (let tries = 0; tries < 5; tries++) {
    const before = await cpuTimes(browser)
    await tab.evaluate('{ const end = performance.now() + 300; while (performance.now() < end); }')
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
