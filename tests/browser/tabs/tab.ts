// Tabs of one origin that share a store, as the test drives them, and everything they have said.
import type { CDPSession, Page } from 'playwright-core'
import { expect } from 'vitest'

/** Where the store is kept, and who has it open. */
export type Storage = 'indexeddb' | 'opfs'
export type Home = 'page' | 'worker' | 'shared'

export interface Story {
  role: string
  roles: string[]
  failed: [value: string, code: string][]
  watched: string[]
  watchedAtOnce: string[]
  history: string[]
  revision: number
  hash: number
}

type Told = { acknowledged: string; revision: number } | { role: string; at: number } | { trouble: string }

/** Puts that were acknowledged, by whichever tab, wherever it is now: value and revision. */
export type Acknowledged = Map<string, number>

export class Tab {
  name: string
  readonly page: Page
  readonly session: CDPSession
  /** With the time at which it was said. */
  readonly roles: { role: string; at: number }[] = []
  readonly trouble: string[] = []
  #opened: { database: string; storage: Storage } | undefined

  private constructor(name: string, page: Page, session: CDPSession) {
    this.name = name
    this.page = page
    this.session = session
  }

  /** The store is not open yet. `url` is of tab.html. */
  static async at(url: string, page: Page, name: string, home: Home, acknowledged: Acknowledged): Promise<Tab> {
    const tab = new Tab(name, page, await page.context().newCDPSession(page))
    // By the session, for the driver loses sight of a page that comes back from the back/forward cache.
    tab.session.on('Runtime.consoleAPICalled', ({ args: [text] }) => {
      const [, said] = /^tab (.*)$/.exec(String(text?.value)) ?? []
      if (said) tab.#hear(JSON.parse(said), acknowledged)
    })
    await tab.session.send('Runtime.enable')
    page.on('pageerror', (error) => tab.trouble.push(String(error)))
    await page.goto(`${url}?in=${home}`)
    return tab
  }

  ask<T>(act: string, given?: unknown): Promise<T> {
    return this.evaluate(`ask(${JSON.stringify(act)}, ${JSON.stringify(given)})`)
  }

  async evaluate<T>(expression: string): Promise<T> {
    const how = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.session.send('Runtime.evaluate', how)
    if (exceptionDetails) throw new Error(`tab ${this.name}: ${exceptionDetails.exception?.description}`)
    return result.value
  }

  open(database: string, storage: Storage): Promise<string> {
    this.#opened = { database, storage }
    return this.ask('open', { ...this.#opened, name: this.name })
  }

  /** The page is another one, which writes other values. */
  reopen(): Promise<string> {
    this.name += '+'
    return this.ask('open', { ...this.#opened, name: this.name })
  }

  story(): Promise<Story> {
    return this.ask('story')
  }

  #hear(told: Told, acknowledged: Acknowledged): void {
    // A page that comes back from the cache says all of it once more.
    if ('role' in told) this.roles.some(({ at }) => at === told.at) || this.roles.push(told)
    else if ('trouble' in told) this.trouble.push(told.trouble)
    else if ((acknowledged.get(told.acknowledged) ?? told.revision) !== told.revision) {
      this.trouble.push(`${told.acknowledged} was acknowledged twice`)
    } else acknowledged.set(told.acknowledged, told.revision)
  }
}

/**
 * What has to hold of tabs that write no more: all have the same history, in which everything that was acknowledged is, once
 * and at its revision; each watch was given all of it, once; and nothing failed.
 */
export async function checkStories(tabs: readonly Tab[], acknowledged: Acknowledged): Promise<Story[]> {
  const revisions = async () => new Set(await Promise.all(tabs.map((tab) => tab.ask<number>('revision')))).size
  await expect.poll(revisions, { timeout: 15_000 }).toBe(1)
  // What is far behind is given in slices.
  const watched = async () => {
    const stories = await Promise.all(tabs.map((tab) => tab.story()))
    return stories.every(({ watched, history }) => watched.length >= history.length)
  }
  await expect
    .poll(watched, { timeout: 10_000, interval: 200 })
    .toBe(true)
    .catch(() => {})
  const stories = await Promise.all(tabs.map((tab) => tab.story()))
  const [{ history, hash }] = stories as [Story]
  for (const [at, story] of stories.entries()) {
    const name = `tab ${tabs[at]?.name}`
    expect(story.history, `${name}: history`).toEqual(history)
    expect(story.hash, `${name}: hash`).toBe(hash)
    expect(story.watched, `${name}: what its watch was given`).toEqual(history)
    // Of a tab that led, what it had applied and not stored is taken back, and who has seen it is told.
    if (story.watchedAtOnce.at(-1) !== 'RESTORED') expect(story.watchedAtOnce, `${name}: at once`).toEqual(history)
    else expect(story.roles, `${name}: whose watch has ended`).toContain('follower')
    expect(story.failed, `${name}: failures`).toEqual([])
    expect(tabs[at]?.trouble, `${name}: errors`).toEqual([])
  }
  const written = new Map<string, number>()
  for (const line of history) {
    const [, revision, value] = /^(\d+): .*=(.*)$/.exec(line) ?? []
    if (revision === undefined || value === undefined) throw new Error(`a revision with more than one put: ${line}`)
    expect(written.get(value), `${value} is written twice, at ${revision} too`).toBeUndefined()
    written.set(value, Number(revision))
  }
  for (const [value, revision] of acknowledged) expect(written.get(value), `${value} was acknowledged`).toBe(revision)
  return stories
}
