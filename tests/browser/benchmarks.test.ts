// What is said of speed: the documents and the charts say what the results say that are kept.
import { expect } from 'vitest'
import { keptGrowth, keptResults, writtenDocuments } from '../../benches/web/docs.js'
import { exponentOf, perTenfold } from '../../benches/web/growth/fit.js'
import { isMeasured } from '../../benches/web/results.js'
import { test } from './browser.js'

test('the documents say what the results say', () => {
  for (const { path, found, expected } of writtenDocuments()) expect(found, path).toBe(expected)
})

test('each work that revkv was measured in has its chart or its reasons, in every part', async ({ open }) => {
  const page = await open('benchmarks.html')
  const results = keptResults()
  const parts = await page.locator('#part option').allTextContents()
  expect(parts.length).toBeGreaterThan(0)
  for (const part of parts) {
    await page.getByLabel('Where').selectOption(part)
    const [environment, medium] = part.split(', ')
    const isOf = (peer: { environment: string; medium: string }) =>
      peer.environment === (environment === 'Node' ? 'node' : 'web') &&
      ({ memory: 'in memory', file: 'files' }[peer.medium] ?? peer.medium) === medium
    const own = results.peers.find((peer) => isOf(peer) && peer.name.startsWith('revkv '))
    const works = results.works.filter((work) =>
      work.cells.some((cell) => cell.peer === own?.name && cell.environment === own.environment && isMeasured(cell)),
    )
    expect(await page.locator('#works h2').allTextContents()).toEqual(works.map(({ title }) => title))
  }
})

test('exponents are those of the times', () => {
  const counts = [1000, 10_000, 100_000, 1_000_000]
  const times: [(count: number) => number, number][] = [
    [() => 7, 0],
    [(count) => 3 * count, 1],
    [(count) => 2 * count ** 0.25, 0.25],
    // Of the logarithm itself.
    [(count) => Math.log(count), 0.1],
  ]
  for (const [time, exponent] of times) {
    expect(exponentOf(counts.map((count) => ({ count, ns: time(count) })))).toBeCloseTo(exponent, 2)
  }
})

test('a growth of ten times as many is that of the exponent', () => {
  const measures = [10, 1000].map((count) => ({ count, ns: 5 * count ** 0.5 }))
  expect(perTenfold(exponentOf(measures))).toBeCloseTo(Math.sqrt(10), 6)
  expect(perTenfold(0)).toBe(1)
})

test('each work that was measured with ever more entries has its chart', async ({ open }) => {
  const page = await open('benchmarks.html')
  const titles = keptGrowth().works.map(({ title }) => title)
  expect(titles.length).toBeGreaterThan(5)
  expect(await page.locator('#growth h3').allTextContents()).toEqual(titles)
})

test('a phone shows the charts without scrolling to the side', async ({ open }) => {
  const page = await open('benchmarks.html')
  await page.setViewportSize({ width: 360, height: 800 })
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  const charts = await page.locator('canvas').evaluateAll((canvases) => canvases.map(({ clientWidth }) => clientWidth))
  expect(charts.length).toBeGreaterThan(0)
  for (const width of charts) expect(width).toBeLessThan(360)
})
