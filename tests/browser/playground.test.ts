// The playground, used as a visitor uses it.
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { test } from './browser.js'

const playground = 'index.html'

test('a key is added, edited and deleted', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await expect.poll(() => entries(page)).toEqual(['color: red'])

  await page.getByRole('button', { name: 'Edit color' }).click()
  await expect.poll(() => page.getByLabel('Value', { exact: true }).inputValue()).toBe('red')
  await page.getByLabel('Value', { exact: true }).fill('blue')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect.poll(() => entries(page)).toEqual(['color: blue'])

  await page.getByRole('button', { name: 'Delete color' }).click()
  await expect.poll(() => entries(page)).toEqual([])
  await expect.poll(() => status(page)).toEqual(['4', '4', 'never'])
})

test('keys and values are shown as text, whatever they hold', async ({ open }) => {
  const page = await open(playground)
  await save(page, '<b>bold</b>', '<img src=x onerror="document.title = 1">')
  await expect.poll(() => entries(page)).toEqual(['<b>bold</b>: <img src=x onerror="document.title = 1">'])
  expect(await page.locator('main img, main b').count()).toBe(0)
})

test('the list shows the keys that begin with the prefix', async ({ open }) => {
  const page = await open(playground)
  await page.getByRole('button', { name: 'write an example' }).click()
  await expect.poll(() => status(page)).toEqual(['6', '6', 'never'])
  expect(await entries(page)).toEqual(['flag/theme: dark', 'user/ada: admin', 'user/alan: guest'])
  await page.getByLabel('Only keys that begin with').fill('user/a')
  await expect.poll(() => entries(page)).toEqual(['user/ada: admin', 'user/alan: guest'])
  await page.getByLabel('Only keys that begin with').fill('user/al')
  await expect.poll(() => entries(page)).toEqual(['user/alan: guest'])
})

test('the slider shows the store as it was, read only', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await save(page, 'size', 'small')
  await save(page, 'color', 'blue')
  await slide(page, 3)
  await expect.poll(() => entries(page)).toEqual(['color: red', 'size: small'])
  expect(await page.locator('#shown').textContent()).toBe('As it was at revision 3 of 4. The past is read only.')
  expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
  expect(await page.getByRole('button', { name: 'Delete color' }).isDisabled()).toBe(true)
  await slide(page, 2)
  await expect.poll(() => entries(page)).toEqual(['color: red'])
  await page.getByRole('button', { name: 'Now', exact: true }).click()
  await expect.poll(() => entries(page)).toEqual(['color: blue', 'size: small'])
  expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(false)
})

test('a key has its history, deletions included, and a revision of it can be visited', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await save(page, 'color', 'blue')
  await page.getByRole('button', { name: 'color', exact: true }).first().click()
  await expect.poll(() => lines(page, '#history')).toEqual(['2 put red', '3 put blue'])
  await page.getByRole('button', { name: 'Delete color' }).click()
  await expect.poll(() => lines(page, '#history')).toEqual(['2 put red', '3 put blue', '4 delete'])
  const second = page.getByRole('button', { name: 'Show the store at revision 2' })
  await second.click()
  await expect.poll(() => entries(page)).toEqual(['color: red'])
  expect(await second.evaluate((button) => button === document.activeElement), 'the focus stays').toBe(true)
})

test('compaction forgets what is before the shown revision', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await save(page, 'color', 'green')
  await save(page, 'color', 'blue')
  await page.getByRole('button', { name: 'color', exact: true }).first().click()
  await slide(page, 3)
  await page.getByRole('button', { name: 'Forget history before revision 3' }).click()
  await expect.poll(() => status(page)).toEqual(['4', '4', '3'])
  await expect.poll(() => page.getByLabel('Revision to show').getAttribute('min')).toBe('3')
  expect(await lines(page, '#history')).toEqual(['3 put green', '4 put blue'])
  expect(await entries(page)).toEqual(['color: green'])
})

test('a reload keeps the content, and the log goes on where it was', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await save(page, 'color', 'blue')
  await expect.poll(() => lines(page, '#log')).toEqual(['3 put color blue', '2 put color red'])

  // Somebody else writes while the playground is away.
  await page.goto(new URL('/pages/empty.html', page.url()).href)
  await page.evaluate(async () => {
    const store = await revkv.open({ name: 'playground', storage: indexedDb(), values: revkv.utf8 })
    await store.put('size', 'small')
    await store.delete('color')
    await store.close()
  })
  await page.goto(new URL('/', page.url()).href)
  await expect.poll(() => entries(page)).toEqual(['size: small'])
  const before = ['3 put color blue', '2 put color red']
  const missed = ['5 delete color', '4 put size small']
  await expect.poll(() => lines(page, '#log')).toEqual([...missed, goesOn(3), ...before])

  await page.reload()
  await expect.poll(() => entries(page)).toEqual(['size: small'])
  await save(page, 'size', 'large')
  await expect.poll(() => lines(page, '#log')).toEqual(['6 put size large', goesOn(5), ...missed, ...before])
  await slide(page, 2)
  await expect.poll(() => entries(page)).toEqual(['color: red'])
})

test('a log whose place was compacted away starts from what there is', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  await page.goto(new URL('/pages/empty.html', page.url()).href)
  await page.evaluate(async () => {
    const store = await revkv.open({ name: 'playground', storage: indexedDb(), values: revkv.utf8 })
    await store.put('color', 'green')
    await store.put('color', 'blue')
    await store.compact(4)
    await store.close()
  })
  await page.goto(new URL('/', page.url()).href)
  await expect
    .poll(() => lines(page, '#log'))
    .toEqual(['4 put color blue', 'History up to revision 4 is forgotten. This is what there is:', goesOn(2)])
})

test('a second tab shows the same, and says what each of them is', async ({ open }) => {
  const first = await open(playground)
  await save(first, 'color', 'red')
  const second = await open(playground)
  await expect.poll(() => entries(second)).toEqual(['color: red'])
  await expect.poll(() => role(first)).toBe('leader, followed by 1')
  expect(await role(second)).toBe('follower, up to date')
  await save(second, 'color', 'blue')
  await expect.poll(() => entries(first)).toEqual(['color: blue'])
  await first.close()
  await expect.poll(() => role(second)).toMatch(/^leader/)
  await save(second, 'color', 'green')
  await expect.poll(() => entries(second)).toEqual(['color: green'])
})

test('a visitor whose data is cleared is told, and can start anew', async ({ open }) => {
  const page = await open(playground)
  await save(page, 'color', 'red')
  const other = await open()
  await other.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase('revkv:playground')
        request.onsuccess = () => resolve()
        request.onerror = () => reject(request.error)
      }),
  )
  await page.getByRole('button', { name: 'Delete color' }).click()
  await expect.poll(() => page.getByRole('alert').textContent()).toContain('STORAGE_LOST')
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect.poll(() => status(page)).toEqual(['1', '1', 'never'])
  await save(page, 'size', 'small')
  expect(await entries(page)).toEqual(['size: small'])
  await expect.poll(() => lines(page, '#log')).toEqual(['2 put size small'])
})

test('a phone shows all of it without scrolling sideways', async ({ open }) => {
  const page = await open(playground)
  await page.setViewportSize({ width: 360, height: 740 })
  await save(page, 'a/rather/long/key/with/many/parts/in/it', 'a value '.repeat(30))
  await page.getByRole('button', { name: 'a/rather/long/key/with/many/parts/in/it', exact: true }).first().click()
  await expect.poll(() => lines(page, '#history')).toHaveLength(1)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
})

async function save(page: Page, key: string, value: string): Promise<void> {
  await page.getByLabel('Key', { exact: true }).fill(key)
  await page.getByLabel('Value', { exact: true }).fill(value)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText(`${key} is saved.`, { exact: true }).waitFor()
  await expect.poll(() => page.getByLabel('Key', { exact: true }).inputValue()).toBe('')
}

async function slide(page: Page, revision: number): Promise<void> {
  await page.getByLabel('Revision to show').fill(String(revision))
}

function entries(page: Page): Promise<string[]> {
  return page
    .locator('#entries li')
    .evaluateAll((rows) =>
      rows.map((row) => `${row.querySelector('.key')?.textContent}: ${row.querySelector('.value')?.textContent}`),
    )
}

/** The lines of a list: what stands in each, with one space between. */
function lines(page: Page, list: string): Promise<string[]> {
  return page.locator(`${list} li`).evaluateAll((items) =>
    items.map((item) => {
      const parts = item.children.length === 0 ? [item] : [...item.children]
      return parts
        .map((part) => part.textContent)
        .join(' ')
        .trim()
    }),
  )
}

/** The line that stands between what an earlier page has seen and what the watch of this one delivers. */
function goesOn(seen: number): string {
  return `Seen before, up to revision ${seen}. The watch goes on from there.`
}

/** Revision, durable revision, compact revision. */
function role(page: Page): Promise<string | null> {
  return page.locator('#role').textContent()
}

function status(page: Page): Promise<string[]> {
  return page.locator('.status dd:not(#role)').allTextContents()
}
