// Pages that have neither a bundler nor an import map: they import the files of the package where they lie.
import { expect } from 'vitest'
import { test } from './browser.js'

test('the built files run as they are', async ({ open }) => {
  const page = await open('pages/plain.html')
  await expect.poll(() => page.locator('output').textContent()).toBe('hello at revision 2')
})

test('importing the package loads no engine; opening a store does', async ({ open, server }) => {
  const page = await open()
  const loaded = () => page.evaluate(() => performance.getEntriesByType('resource').map((entry) => entry.name))
  const engine = `${server.url}revkv/revkv.wasm`
  expect(await loaded()).not.toContain(engine)
  await page.evaluate(async () => {
    const store = await revkv.open()
    await store.close()
  })
  await expect.poll(loaded).toContain(engine)
})

test.for([
  ['nothing', { status: 404 }],
  ['a page', { contentType: 'text/html', body: '<!doctype html>' }],
  ['something else that it calls WebAssembly', { contentType: 'application/wasm', body: '<!doctype html>' }],
] as const)(
  'a server that answers the engine with %s costs a larger download and a hint',
  async ([, answer], { open }) => {
    const page = await open()
    await page.route('**/revkv.wasm', (route) => route.fulfill(answer))
    const hints: string[] = []
    page.on('console', (message) => {
      if (message.text().startsWith('revkv:')) hints.push(`${message.type()} ${message.text()}`)
    })
    const revision = await page.evaluate(async () => {
      const stores = await Promise.all([revkv.open(), revkv.open()])
      return stores[0].put('a', 1).then(({ revision }) => revision)
    })
    expect(revision).toBe(2)
    expect(hints).toEqual([expect.stringMatching(/^warning revkv: .*Serve revkv\.wasm/)])
  },
)

test('an engine that is nowhere is told with what the server answered, and the next open tries again', async ({
  open,
}) => {
  const page = await open()
  await page.route(/revkv\.wasm|inlined-/, (route) => route.fulfill({ status: 404 }))
  const attempt = () =>
    page.evaluate(async () => {
      try {
        const store = await revkv.open()
        return `revision ${store.revision}`
      } catch (error) {
        return revkv.RevkvError.is(error) ? `${error.code}: ${error.message}` : String(error)
      }
    })
  expect(await attempt()).toMatch(/^ENGINE_FAILED: .*revkv\.wasm answered 404/)
  await page.unroute(/revkv\.wasm|inlined-/)
  expect(await attempt()).toBe('revision 1')
})

test('a page whose policy forbids WebAssembly is told so, and what to add', async ({ open }) => {
  const page = await open('pages/policy.html')
  await expect.poll(() => page.locator('output').textContent()).toMatch(/^CSP: .*'wasm-unsafe-eval'.* script-src/)
})
