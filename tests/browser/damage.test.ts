// What happens to the files in which Chromium keeps a database, between two visits: a bit flips, a part is gone. Chromium
// says nothing of most of it: it opens an older state, or a new database. The store has to say so, and once it has, what
// it goes on with is a prefix of what was written, with no wrong value.
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchKillable } from './chromium.js'
import { type StaticServer, serve } from './server.js'

const puts = 40

/** A profile in which a store was written to and closed, and then the browser. Each test damages a copy of it. */
let healthy: string
let server: StaticServer

beforeAll(async () => {
  healthy = await mkdtemp(join(tmpdir(), 'revkv-damage-'))
  server = await serve()
  await withPage(healthy, (page) =>
    page.evaluate(async (puts) => {
      const store = await revkv.open<string>({ name: 'damaged', storage: indexedDb() })
      for (let i = 1; i <= puts; i++) await store.put('n', `${i},`.repeat(4000))
      await store.close()
    }, puts),
  )
})

afterAll(async () => {
  await server?.close()
  await rm(healthy, { recursive: true, force: true, maxRetries: 5 })
})

async function withPage<T>(profile: string, run: (page: Page) => Promise<T>): Promise<T> {
  const browser = await launchKillable(profile)
  try {
    const page = await browser.context.newPage()
    await page.goto(`${server.url}pages/empty.html`)
    const answer = await run(page)
    await browser.close()
    return answer
  } catch (error) {
    await browser.kill()
    throw error
  }
}

interface Visit {
  code: string
  message: string
  /** How many of the values are there, the first ones, when they are all right; -1 when one is wrong. */
  values: number
}

/** Opens the store twice: the first time may tell what has happened, and the second goes on with what there is. */
function visits(profile: string): Promise<Visit[]> {
  return withPage(profile, (page) =>
    page.evaluate(async () => {
      const visits: Visit[] = []
      for (let nth = 0; nth < 2; nth++) {
        try {
          const store = await revkv.open<string>({ name: 'damaged', storage: indexedDb() })
          const changes = store.history('n')
          const isRight = (change: (typeof changes)[number], i: number) =>
            change.type === 'put' &&
            change.entry.value === `${i + 1},`.repeat(4000) &&
            change.entry.modRevision === i + 2
          const isWhole = store.revision === changes.length + 1 && changes.every(isRight)
          visits.push({ code: 'opened', message: '', values: isWhole ? changes.length : -1 })
          await store.close()
        } catch (error) {
          if (!revkv.RevkvError.is(error)) throw error
          visits.push({ code: error.code, message: error.message, values: 0 })
        }
      }
      return visits
    }),
  )
}

/** The folder of the origin's databases in a copy of the profile. */
async function folderOf(profile: string): Promise<string> {
  const databases = join(profile, 'Default/IndexedDB')
  const [name] = (await readdir(databases)).filter((name) => name.endsWith('.leveldb'))
  if (!name) throw new Error('Chromium keeps its databases elsewhere')
  return join(databases, name)
}

/** The largest file of a kind. */
async function fileOf(folder: string, kind: RegExp): Promise<{ path: string; size: number }> {
  const paths = (await readdir(folder)).filter((name) => kind.test(name)).map((name) => join(folder, name))
  const files = await Promise.all(paths.map(async (path) => ({ path, size: (await stat(path)).size })))
  const [largest] = files.sort((a, b) => b.size - a.size)
  if (!largest?.size) throw new Error(`there is no ${kind} in ${await readdir(folder)}`)
  return largest
}

async function change(file: { path: string; size: number }, part: number, by: (bytes: Uint8Array) => void) {
  const bytes = await readFile(file.path)
  by(bytes.subarray(Math.floor(file.size * part)))
  await writeFile(file.path, bytes)
}

const flip = (bytes: Uint8Array) => {
  bytes[0] = (bytes[0] as number) ^ 4
}
const log = /\.log$/

const damages: [name: string, damage: (folder: string) => Promise<void>, codes: string[]][] = [
  ['a bit of the log is flipped early', async (folder) => change(await fileOf(folder, log), 0.1, flip), ['EVICTED']],
  ['a bit of the log is flipped late', async (folder) => change(await fileOf(folder, log), 0.9, flip), ['EVICTED']],
  [
    '4 KiB of the log are zeros',
    async (folder) => change(await fileOf(folder, log), 0.5, (bytes) => bytes.fill(0, 0, 4096)),
    ['EVICTED'],
  ],
  [
    'the log is cut',
    async (folder) => {
      const { path, size } = await fileOf(folder, log)
      await truncate(path, Math.floor(size * 0.6))
    },
    ['EVICTED'],
  ],
  ['the log is gone', async (folder) => rm((await fileOf(folder, log)).path), ['EVICTED']],
  ['MANIFEST is gone', async (folder) => rm((await fileOf(folder, /^MANIFEST/)).path), ['STORAGE_LOST']],
  // Chromium makes a new one.
  ['CURRENT is gone', (folder) => rm(join(folder, 'CURRENT')), ['opened', 'EVICTED', 'STORAGE_LOST']],
  ['the whole folder is gone', (folder) => rm(folder, { recursive: true }), ['EVICTED']],
]

test.for(damages)('%s: it is told of', { timeout: 60_000 }, async ([, damage, codes], { onTestFinished }) => {
  const profile = await mkdtemp(join(tmpdir(), 'revkv-damage-'))
  onTestFinished(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }))
  await cp(healthy, profile, { recursive: true })
  await damage(await folderOf(profile))
  const [first, second] = await visits(profile)
  expect(codes).toContain(first?.code)
  if (first?.code === 'opened') {
    expect([first.values, second?.values]).toEqual([puts, puts])
  } else {
    expect(first?.message).toMatch(/Opening it again goes on with what there is|only clearing the data of this site/)
    expect(second?.values).toBeGreaterThanOrEqual(0)
    expect(second?.values).toBeLessThan(puts)
  }
})

// A worker has no second place to remember anything in, but what Chromium itself says when it wipes.
test('a worker is told of a wiped database, too, and goes on', { timeout: 60_000 }, async ({ onTestFinished }) => {
  const profile = await mkdtemp(join(tmpdir(), 'revkv-damage-'))
  onTestFinished(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }))
  await cp(healthy, profile, { recursive: true })
  await change(await fileOf(await folderOf(profile), log), 0.5, flip)
  const told = await withPage(profile, (page) =>
    page.evaluate(async () => {
      const code = `
        import { open } from '${location.origin}/revkv/index.js'
        import { indexedDb } from '${location.origin}/revkv/storage/indexeddb.js'
        const visit = () => open({ name: 'damaged', storage: indexedDb() })
        const first = await visit().then(() => 'opened', (error) => error.code)
        postMessage([first, await visit().then((store) => store.revision, (error) => error.code)])
      `
      const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
      const worker = new Worker(url, { type: 'module' })
      return await new Promise<unknown>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = ({ message }) => reject(new Error(message))
      })
    }),
  )
  expect(told).toEqual(['EVICTED', 1])
})

test('without damage the copy is as good as the profile', { timeout: 60_000 }, async ({ onTestFinished }) => {
  const profile = await mkdtemp(join(tmpdir(), 'revkv-damage-'))
  onTestFinished(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }))
  await cp(healthy, profile, { recursive: true })
  const whole = { code: 'opened', message: '', values: puts }
  expect(await visits(profile)).toEqual([whole, whole])
})
