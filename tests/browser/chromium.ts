// A headless Chromium with a profile of its own on disk, which goes when it is closed.
import { spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
import { type BrowserContext, chromium, type Page } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Chromium {
  /** All pages of it share one profile. */
  readonly context: BrowserContext
  /** The folder of that profile. */
  readonly profile: string
  /** A new tab, its scripts run. `onUncaught` hears of every error and rejection that the page does not catch. */
  open(url: string, onUncaught?: (error: Error) => void): Promise<Page>
  close(): Promise<void>
}

/** `more` are further flags. */
export async function launchChromium(more: string[] = []): Promise<Chromium> {
  const profile = await mkdtemp(join(tmpdir(), 'revkv-chromium-'))
  const remove = () => rm(profile, { recursive: true, force: true, maxRetries: 5 })
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: find(),
      args: [...flags, ...more],
    })
    return {
      context,
      profile,
      open: async (url, onUncaught = () => {}) => {
        const page = await context.newPage()
        page.on('pageerror', onUncaught)
        await page.goto(url)
        return page
      },
      close: async () => {
        await context.close()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/** A Chromium whose whole process group can be killed at once. Its profile outlives it. */
export interface Killable {
  /** As users have it: a page behind another one is hidden. */
  readonly context: BrowserContext
  /** SIGKILL to every process of it; resolves when all have ended. */
  kill(): Promise<void>
  /** As a user closes it. */
  close(): Promise<void>
}

/** `more` are further flags. */
export async function launchKillable(profile: string, more: string[] = []): Promise<Killable> {
  const args = [
    ...flags,
    ...more,
    '--headless',
    '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
    'about:blank',
  ]
  // A group of its own, led by it.
  const child = spawn(find(), args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const closed = once(child, 'close')
  const ended = async () => {
    await closed
    // Its children are not ours to wait for: they are gone when nobody of the group is left.
    while (isAnyAlive(child.pid as number)) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const kill = async () => {
    process.kill(-(child.pid as number), 'SIGKILL')
    await ended()
  }
  try {
    const browser = await chromium.connectOverCDP(await addressIn(child.stderr), { noDefaults: true })
    const [context] = browser.contexts()
    if (!context) throw new Error('Chromium has no context')
    const close = async () => {
      const session = await browser.newBrowserCDPSession()
      // It may end before it has answered.
      session.send('Browser.close').catch(() => {})
      await ended()
    }
    return { context, kill, close }
  } catch (error) {
    await kill()
    throw error
  }
}

/** Where Chromium says that it can be reached. What it writes later is read and forgotten. */
async function addressIn(stderr: Readable): Promise<string> {
  let said = ''
  for await (const text of on(stderr, 'data', { close: ['close'] })) {
    said += text
    const address = /DevTools listening on (\S+)/.exec(said)?.[1]
    if (!address) continue
    stderr.resume()
    return address
  }
  throw new Error(`Chromium ended: ${said}`)
}

function isAnyAlive(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}

/** CHROME names it; else the first of the usual names on the PATH; else the one that playwright keeps. */
function find(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = process.env.CHROME
    ? [process.env.CHROME]
    : [...names.flatMap((name) => folders.map((folder) => join(folder, name))), chromium.executablePath()]
  const found = candidates.find(isExecutable)
  if (found) return found
  throw new Error(
    process.env.CHROME
      ? `CHROME is ${process.env.CHROME}, which cannot be run`
      : 'no Chromium was found: install one, or name its executable in the environment variable CHROME',
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
