// The API reference is a part of the pages: the playground leads to it, and each of its pages back.
import { expect } from 'vitest'
import { test } from './browser.js'

test('the playground leads to the reference, and each page of that to it', async ({ open, server }) => {
  const page = await open('index.html')
  const follow = async (selector: string) => {
    await page.locator(selector).first().click({ timeout: 5000 })
  }
  await follow('a:text("API reference")')
  await expect.poll(() => page.title()).toBe('revkv')
  const modules = await page.locator('.col-content a').allTextContents()
  expect(modules).toEqual(expect.arrayContaining(['revkv', 'revkv/tuple', 'revkv/react', 'revkv/storage/indexeddb']))
  await follow('.col-content a:text-is("revkv")')
  await follow('.col-content a:text-is("Store")')
  await expect.poll(() => page.title()).toBe('Store | revkv')
  await follow('a:text("Playground")')
  await expect.poll(() => page.url()).toBe(`${server.url}index.html`)
})
