// Turns in pages of a headless Chromium, cross-origin isolated for its better clocks.
import { join } from 'node:path'
import type { CDPSession, Page } from 'playwright-core'
import sirv from 'sirv'
import { type Chromium, launchChromium } from '../../tests/browser/chromium.js'
import { type StaticServer, serve } from '../../tests/browser/server.js'
import { distWeb, modules } from './build.js'
import { diskUse, type Guest, type Host, writtenBy } from './host.js'
import { isolated } from './isolated.js'
import type { Description, Outcome, Step, Turn } from './turn.js'

export class WebHost implements Host {
  readonly environment = 'web'
  readonly #server: StaticServer
  readonly #chromium: Chromium
  readonly #session: CDPSession

  private constructor(server: StaticServer, chromium: Chromium, session: CDPSession) {
    this.#server = server
    this.#chromium = chromium
    this.#session = session
  }

  static async start(): Promise<WebHost> {
    const server = await serve(0, [
      { prefix: '/bench/', handle: sirv(distWeb, isolated) },
      { prefix: '/modules/', handle: sirv(modules, isolated) },
    ])
    const chromium = await launchChromium(['--js-flags=--expose-gc'])
    const browser = chromium.context.browser()
    if (!browser) throw new Error('this Chromium has no session of its own')
    return new WebHost(server, chromium, await browser.newBrowserCDPSession())
  }

  get version(): string {
    return this.#chromium.context.browser()?.version() ?? ''
  }

  async describe(): Promise<Description[]> {
    const page = await this.#open()
    const described = await page.evaluate(() => bench.describe())
    await page.close()
    return described
  }

  async clear(): Promise<void> {
    const page = await this.#chromium.context.newPage()
    const session = await this.#chromium.context.newCDPSession(page)
    const { origin } = new URL(this.#server.url)
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
    await page.close()
  }

  async start(peer: Description): Promise<Guest> {
    const page = await this.#open()
    const inWorker = peer.places.includes('worker')
    return {
      takeTurn: (turn: Turn): Promise<Outcome> =>
        inWorker
          ? (page.evaluate((turn) => bench.inWorker(turn), turn) as Promise<Outcome>)
          : page.evaluate((turn) => bench.takeTurn(turn), turn),
      step: async (step: Step, turn: Turn): Promise<number> => {
        const asked = [step, turn] as const
        const answer = inWorker
          ? ((await page.evaluate(([step, turn]) => bench.inWorker(turn, step), asked)) as number | undefined)
          : await page.evaluate(([step, turn]) => bench.step(step, turn), asked)
        return answer ?? 0
      },
      memory: () => Promise.reject(new Error('is measured in Node')),
      written: () => this.#written(),
      close: () => page.close(),
    }
  }

  stored(): Promise<number> {
    return diskUse(join(this.#chromium.profile, 'Default'))
  }

  async close(): Promise<void> {
    await this.#chromium.close()
    await this.#server.close()
  }

  #open(): Promise<Page> {
    return this.#chromium.open(`${this.#server.url}bench/page.html`)
  }

  /** By all processes of the browser: databases are written by another one than the page's. */
  async #written(): Promise<number | undefined> {
    const { processInfo } = await this.#session.send('SystemInfo.getProcessInfo')
    const written = await Promise.all(processInfo.map(({ id }) => writtenBy(id)))
    if (written.every((bytes) => bytes === undefined)) return undefined
    return written.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
  }
}
