// The browsers of the matrix, by what both of their drivers can do: open a page and hear what becomes of it.
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sirv from 'sirv'
import { launchChromium } from '../browser/chromium.js'
import type { App } from './app.js'

/** What a page showed, and where it took the engine from. */
export interface Visit {
  readonly lines: string[]
  readonly engine: Engine
}

export type Engine = 'its file' | 'the JavaScript' | 'the JavaScript, with a hint'

export interface Browser {
  readonly version: string
  /** Opens a page that shows a visit, and waits for its end. */
  visit(url: string): Promise<Visit>
  /** Opens a page and gives what `shown` matches in its text. */
  text(url: string, shown: RegExp): Promise<string>
  close(): Promise<void>
}

/** The part of a page that playwright and puppeteer have in common. */
interface Page {
  on(event: 'console', hear: (message: { text(): string }) => void): unknown
  on(event: 'pageerror', hear: (error: unknown) => void): unknown
  on(event: 'response', hear: (response: { url(): string; status(): number }) => void): unknown
  goto(url: string): Promise<unknown>
  waitForFunction(expression: string): Promise<unknown>
  evaluate(expression: string): Promise<unknown>
  close(): Promise<void>
}

async function visitIn(page: Page, url: string): Promise<Visit> {
  const uncaught: unknown[] = []
  const responses: string[] = []
  let hasHint = false
  page.on('pageerror', (error) => uncaught.push(error))
  page.on('response', (response) => responses.push(`${response.status()} ${response.url()}`))
  page.on('console', (message) => {
    if (message.text().includes('revkv: ')) hasHint = true
  })
  try {
    await page.goto(url)
    await page.waitForFunction('["done", "failed"].includes(document.title)').catch((error: unknown) => {
      throw new Error(`${error}\n${responses.join('\n')}`)
    })
    const [title, text] = (await page.evaluate('[document.title, document.querySelector("output").textContent]')) as [
      string,
      string,
    ]
    if (title !== 'done' || uncaught.length > 0) throw new Error([text, ...uncaught].join('\n'))
    const isFetched = responses.some((response) => /^200 .*\.wasm/.test(response))
    const inlined = hasHint ? 'the JavaScript, with a hint' : 'the JavaScript'
    return { lines: text.trimEnd().split('\n'), engine: isFetched && !hasHint ? 'its file' : inlined }
  } finally {
    await page.close()
  }
}

async function textIn(page: Page, url: string, shown: RegExp): Promise<string> {
  try {
    await page.goto(url)
    await page.waitForFunction(`${shown}.test(document.body.textContent)`)
    return String(await page.evaluate(`${shown}.exec(document.body.textContent)[0]`))
  } finally {
    await page.close()
  }
}

export async function openChromium(): Promise<Browser> {
  const { context, close } = await launchChromium()
  return {
    version: `Chromium ${context.browser()?.version()}`,
    visit: async (url) => visitIn(await context.newPage(), url),
    text: async (url, shown) => textIn(await context.newPage(), url, shown),
    close,
  }
}

interface Firefox {
  version(): Promise<string>
  newPage(): Promise<Page>
  close(): Promise<void>
}

/** FIREFOX names it; else the first of the usual names on the PATH. Driven over WebDriver BiDi. */
export async function launchFirefox(app: App): Promise<Firefox> {
  const main = createRequire(app.path('package.json')).resolve('puppeteer-core')
  const { default: puppeteer } = (await import(pathToFileURL(main).href)) as {
    default: { launch(options: object): Promise<Firefox> }
  }
  return puppeteer.launch({ browser: 'firefox', executablePath: findFirefox(), headless: true })
}

export async function openFirefox(app: App): Promise<Browser> {
  const browser = await launchFirefox(app)
  return {
    version: (await browser.version()).replace('/', ' '),
    visit: async (url) => visitIn(await browser.newPage(), url),
    text: async (url, shown) => textIn(await browser.newPage(), url, shown),
    close: () => browser.close(),
  }
}

function findFirefox(): string {
  if (process.env.FIREFOX) return process.env.FIREFOX
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = ['firefox', 'firefox-esr']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(existsSync)
  if (found) return found
  throw new Error('no Firefox was found: install one, or name its executable in the environment variable FIREFOX')
}

/** Serves a folder as a static host would, while `work` is under way. */
export async function serving<T>(folder: string, work: (url: string) => Promise<T>): Promise<T> {
  const handle = sirv(folder, { dev: true })
  const server = createServer((request, response) =>
    handle(request, response, () => {
      response.statusCode = 404
      response.end()
    }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}
