// The storages of a browser: the suite that all have to pass, and what only a real worker can do to one.
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { test } from './browser.js'

declare global {
  /** The workers of the page, by name. */
  var workers: Map<string, { ask(act: string, given?: unknown): Promise<unknown>; written: number; terminate(): void }>
}

/** Starts workers that `ask` reaches by name. */
async function withWorkers(page: Page, ...names: string[]): Promise<void> {
  await page.evaluate((names) => {
    globalThis.workers ??= new Map()
    for (const name of names) {
      const worker = new Worker('/pages/storage-worker.js', { type: 'module' })
      const waiting = new Map<number, (data: { answer?: unknown; error?: string }) => void>()
      const known = {
        written: 0,
        ask: (act: string, given: unknown = {}) =>
          new Promise<unknown>((resolve) => {
            const id = waiting.size
            waiting.set(id, ({ answer, error }) => resolve(error ?? answer))
            worker.postMessage({ act, given, id })
          }),
        terminate: () => worker.terminate(),
      }
      worker.onmessage = ({ data }) => {
        if (data.written) known.written = data.written
        else waiting.get(data.id)?.(data)
      }
      workers.set(name, known)
    }
  }, names)
}

function ask(page: Page, worker: string, act: string, given?: unknown): Promise<unknown> {
  return page.evaluate(([worker, act, given]) => workers.get(worker as string)?.ask(act as string, given), [
    worker,
    act,
    given,
  ] as const)
}

test('IndexedDB passes the suite', { timeout: 60_000 }, async ({ open }) => {
  const page = await open()
  const { tests, failures } = await page.evaluate(async () => {
    const failures: string[] = []
    const tests: [string, () => Promise<void>][] = []
    const test = (name: string, run: () => Promise<void>) => tests.push([name, run])
    conformance.storageConformance({ name: 'indexeddb', test, create: () => indexedDb() })
    for (const [name, run] of tests) {
      await run().catch((error) => failures.push(`${name}: ${error}`))
      // The tests share an origin, and each begins with nothing.
      for (const { name } of await indexedDB.databases()) {
        await new Promise((resolve) => {
          indexedDB.deleteDatabase(name ?? '').onsuccess = resolve
        })
      }
    }
    return { tests: tests.length, failures }
  })
  expect([failures, tests > 20]).toEqual([[], true])
})

test('OPFS passes the suite', { timeout: 60_000 }, async ({ open }) => {
  const page = await open()
  await withWorkers(page, 'a')
  const { tests, failures } = (await ask(page, 'a', 'conformance')) as { tests: number; failures: string[] }
  expect([failures, tests > 20]).toEqual([[], true])
})

test('OPFS outside a dedicated worker is told so', async ({ open }) => {
  const page = await open()
  const told = await page.evaluate(async () => {
    const error = await revkv.open({ storage: opfs() }).catch((error) => error)
    return [error.code, error.message]
  })
  expect(told).toEqual(['STORAGE_LOST', expect.stringContaining('dedicated worker')])
})

test('a store in OPFS is there for the next worker and the next page', async ({ open }) => {
  const first = await open()
  await withWorkers(first, 'a')
  expect(await ask(first, 'a', 'open', { name: 'kept' })).toEqual({ revision: 1, values: [] })
  await ask(first, 'a', 'put', ['k', 'one'])
  await ask(first, 'a', 'put', ['k', 'y'.repeat(500_000)])
  await withWorkers(first, 'b')
  // The second worker shares the store, and has the files when the first has let go of them.
  expect(await ask(first, 'b', 'open', { name: 'kept' })).toMatchObject({ revision: 3 })
  await ask(first, 'a', 'close')
  expect(await ask(first, 'b', 'put', ['other', 'two'])).toBe(4)
  await ask(first, 'b', 'close')
  await first.close()

  const second = await open()
  await withWorkers(second, 'a')
  expect(await ask(second, 'a', 'open', { name: 'kept' })).toEqual({
    revision: 4,
    values: [
      ['one', 3],
      ['yyyyyyyy', 500_000],
      ['two', 3],
    ],
  })
})

test('OPFS is taken from a worker that keeps it, with all that was acknowledged and nothing else', {
  timeout: 60_000,
}, async ({ open }) => {
  const page = await open()
  await withWorkers(page, 'holder', 'taker')
  let taken = 0
  for (const [i, stops] of ['before', 'after', 'never', 'before'].entries()) {
    const run = i + 1
    const held = ask(page, 'holder', 'hold', { name: 'taken', epoch: 2 * run, stops })
    await page.waitForFunction((most) => (workers.get('holder')?.written ?? 0) > most, taken + 30)
    const found = await ask(page, 'taker', 'take', { name: 'taken', epoch: 2 * run + 1 })
    // What it says, if it has not got it: the other would write for ever.
    expect(Array.isArray(found) || found).toBe(true)
    const { written, refused } = (await held) as { written: number; refused: string }
    expect(refused).toBe('NOT_LEADER')
    expect(found).toEqual(Array.from({ length: written }, (_, i) => [i + 1, 1 + (((i + 1) * 7919) % 6_000)]))
    taken = written + 1
  }
  expect(await ask(page, 'taker', 'take', { name: 'taken', epoch: 10 })).toHaveLength(taken)
  expect(await ask(page, 'taker', 'folders', { name: 'taken' })).toEqual(['fence', expect.stringMatching(/^moved-/)])
})

test('a full OPFS refuses the write, and loses nothing that was acknowledged', async ({ open, chromium, server }) => {
  const page = await open()
  const session = await chromium.context.newCDPSession(page)
  const origin = new URL(server.url).origin
  // Chromium sets aside some MB for each file that is open.
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 20_000_000 })
  await withWorkers(page, 'a')
  expect(await ask(page, 'a', 'open', { name: 'full' })).toEqual({ revision: 1, values: [] })
  const full = (await ask(page, 'a', 'fill')) as { acknowledged: number; refused: string; close: string }
  expect(full).toEqual({ acknowledged: full.acknowledged, refused: 'QUOTA_EXCEEDED', close: 'closed' })
  expect(full.acknowledged).toBeGreaterThan(10)

  // Under the same quota it is opened and read, and what is deleted and compacted makes room.
  const opened = (await ask(page, 'a', 'open', { name: 'full' })) as { values: unknown[] }
  expect(opened.values).toHaveLength(full.acknowledged - 1)
  const forgot = (await ask(page, 'a', 'forget')) as { written: number; revision: number }
  expect(forgot.written).toBe(50)
  await session.send('Storage.overrideQuotaForOrigin', { origin })
  await ask(page, 'a', 'close')

  const again = (await ask(page, 'a', 'open', { name: 'full' })) as { revision: number }
  expect(again.revision).toBe(forgot.revision)
  expect(await ask(page, 'a', 'put', ['k', 'one'])).toBe(forgot.revision + 1)
})

test('what a torn write has left behind is cut off and reported', async ({ open }) => {
  const page = await open()
  await withWorkers(page, 'a')
  await ask(page, 'a', 'open', { name: 'torn' })
  await ask(page, 'a', 'put', ['k', 'one'])
  await ask(page, 'a', 'close')
  expect(await ask(page, 'a', 'tear', { name: 'torn' })).toMatchObject({ file: '00000001.log', bytes: 500 })
  expect(await ask(page, 'a', 'open', { name: 'torn' })).toEqual({ revision: 2, values: [['one', 3]] })
})

test.for(['strict', 'relaxed'])(
  'a worker that is terminated in a %s write has lost nothing it was told of',
  async (durability, { open }) => {
    const page = await open()
    for (let run = 1; run <= 5; run++) {
      await withWorkers(page, 'writer')
      await ask(page, 'writer', 'open', { name: 'terminated' })
      const written = await page.evaluate(
        async ([durability, ms]) => {
          const writer = workers.get('writer')
          void writer?.ask('writeOn', { durability })
          await new Promise((resolve) => setTimeout(resolve, ms as number))
          writer?.terminate()
          return writer?.written
        },
        [durability, 60 + 37 * run] as const,
      )
      await withWorkers(page, 'reader')
      const { values } = (await ask(page, 'reader', 'open', { name: 'terminated' })) as { values: [string, number][] }
      await ask(page, 'reader', 'close')
      // Each run begins to count anew.
      const numbers = values.map(([begin]) => Number.parseInt(begin, 10))
      const last = numbers.slice(numbers.lastIndexOf(1))
      expect(last).toEqual(last.map((_, i) => i + 1))
      expect(last.length).toBeGreaterThanOrEqual(written ?? 0)
      expect(written).toBeGreaterThan(0)
    }
  },
)
