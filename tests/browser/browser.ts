// `test` with a browser: one server and one Chromium for a file, an origin without data and closed pages for each test.
import type { Page } from 'playwright-core'
import { test as base } from 'vitest'
import { type Chromium, launchChromium } from './chromium.js'
import { serve } from './server.js'

const emptyPage = 'pages/empty.html'

export const test = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs
  .extend('server', { scope: 'file' }, async ({}, { onCleanup }) => {
    const server = await serve()
    onCleanup(() => server.close())
    return server
  })
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs
  .extend('chromium', { scope: 'file' }, async ({}, { onCleanup }) => {
    const chromium = await launchChromium()
    onCleanup(() => chromium.close())
    return chromium
  })
  // Opens a page of the server, by default the empty one. What no page has caught fails the test.
  .extend('open', async ({ server, chromium }, { onCleanup }) => {
    await clearOrigin(chromium, server.url)
    const pages: Page[] = []
    const uncaught: Error[] = []
    onCleanup(async () => {
      await Promise.all(pages.map((page) => page.close()))
      if (uncaught.length > 0) throw new AggregateError(uncaught, `a page did not catch: ${uncaught.join('; ')}`)
    })
    return async (path = emptyPage): Promise<Page> => {
      const page = await chromium.open(`${server.url}${path}`, (error) => uncaught.push(error))
      pages.push(page)
      return page
    }
  })

async function clearOrigin(chromium: Chromium, url: string): Promise<void> {
  const page = await chromium.context.newPage()
  const session = await chromium.context.newCDPSession(page)
  await session.send('Storage.clearDataForOrigin', { origin: new URL(url).origin, storageTypes: 'all' })
  await page.close()
}
