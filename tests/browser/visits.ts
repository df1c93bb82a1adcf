// Plays the two visits of the quickstart, each in a page of its own.
import type { Chromium } from './chromium.js'

export interface Played {
  readonly lines: string[]
  readonly seen: number
}

/** Longer than this, and something waits for what never comes. */
const visitMsMax = 30_000

export async function playFirstVisit(chromium: Chromium, url: string): Promise<Played> {
  const page = await chromium.open(`${url}pages/empty.html`)
  const visit = page.evaluate(async () => {
    const lines: string[] = []
    const seen = await quickstart.firstVisit((line) => lines.push(line))
    return { lines, seen }
  })
  const played = await inTime(visit, 'the first visit')
  await page.close()
  return played
}

export async function playSecondVisit(chromium: Chromium, url: string, seen: number): Promise<string[]> {
  const page = await chromium.open(`${url}pages/empty.html`)
  const visit = page.evaluate(async (seen) => {
    const lines: string[] = []
    await quickstart.secondVisit(seen, (line) => lines.push(line))
    return lines
  }, seen)
  const lines = await inTime(visit, 'the second visit')
  await page.close()
  return lines
}

async function inTime<T>(visit: Promise<T>, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not end in ${visitMsMax / 1000} s`)), visitMsMax)
  })
  try {
    return await Promise.race([visit, late])
  } finally {
    clearTimeout(timer)
  }
}
