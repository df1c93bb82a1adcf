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

test('a page whose policy forbids WebAssembly is told so', async ({ open }) => {
  const page = await open('pages/policy.html')
  await expect.poll(() => page.locator('output').textContent()).toBe('CSP')
})
