// The quickstart is what the docs show, what the demo plays and what this runs: one file.
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { test } from './browser.js'
import { firstVisitLines, firstVisitSeen, secondVisitLines } from './transcript.js'
import { playFirstVisit, playSecondVisit } from './visits.js'

const root = new URL('../../', import.meta.url)
const shownBlock = /<!-- quickstart -->\s*```ts\n([\s\S]*?)```\s*<!-- \/quickstart -->/

test('a second page finds what the first one wrote and watches on from there', async ({ chromium, server }) => {
  const { lines, seen } = await playFirstVisit(chromium, server.url)
  expect(lines).toEqual(firstVisitLines)
  expect(seen).toBe(firstVisitSeen)
  expect(await playSecondVisit(chromium, server.url, seen)).toEqual(secondVisitLines)
})

test('the docs show the quickstart as it is', async () => {
  const page = await readFile(new URL('docs/quickstart.md', root), 'utf8')
  const shown = shownBlock.exec(page)?.[1]
  expect(
    shown,
    'docs/quickstart.md has a ```ts block between <!-- quickstart --> and <!-- /quickstart -->',
  ).toBeDefined()
  expect(shown).toBe(await readFile(new URL('www/quickstart.ts', root), 'utf8'))
})
