// A headless Chromium with a profile of its own on disk, which goes when it is closed.
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
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
