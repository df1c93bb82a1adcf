// The whole browser is killed at random moments in the middle of commits, and the profile opened again. Every revision
// that was acknowledged, as the test heard of it outside the browser, has to be there, and every one before it, whole.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Random } from '../../pkg/src/conformance/random.js'
import type { Found } from '../../pkg/test/kills/story.js'
import { durabilities, killsOr, seed, Tally } from '../../pkg/test/kills/tally.js'
import { type Killable, launchKillable } from './chromium.js'
import { serve } from './server.js'

type Durability = (typeof durabilities)[number]
type Told = { found: Found } | { acknowledged: number } | { failed: string }

declare global {
  var told: (storage: StorageName, told: Told) => void
  /** Of kills.js. */
  var visit: (given: { storage: StorageName; durability?: Durability | undefined }, tell: (told: Told) => void) => void
}

const storages = ['indexeddb', 'opfs'] as const
type StorageName = (typeof storages)[number]

const kills = killsOr(3)

/** One life of a storage, as far as it was heard of. */
class Life {
  readonly found: Promise<Found>
  /** The first write is acknowledged. */
  readonly writing: Promise<void>
  acknowledged = 0
  failed: string | undefined
  readonly tell: (told: Told) => void

  constructor() {
    const [find, write] = [deferred<Found>(), deferred<void>()]
    this.found = find.promise
    this.writing = write.promise
    this.tell = (told) => {
      if ('found' in told) {
        find.resolve(told.found)
      } else if ('acknowledged' in told) {
        this.acknowledged = Math.max(this.acknowledged, told.acknowledged)
        write.resolve()
      } else {
        this.failed = told.failed
        for (const { reject } of [find, write]) reject(new Error(told.failed))
      }
    }
  }
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((...settle) => {
    ;[resolve, reject] = settle
  })
  // Nobody waits for it when the browser is killed before.
  promise.catch(() => {})
  return { promise, resolve, reject }
}

/** Opens a page in which both storages check what they have and, with a durability, write on. */
async function open(browser: Killable, url: string, durability?: Durability): Promise<Record<StorageName, Life>> {
  const lives = { indexeddb: new Life(), opfs: new Life() }
  const page = await browser.context.newPage()
  await page.exposeFunction('told', (storage: StorageName, told: Told) => lives[storage].tell(told))
  await page.goto(`${url}pages/kills.html`)
  await page.evaluate((durability) => {
    const worker = new Worker('/pages/kills.js', { type: 'module' })
    worker.onmessage = ({ data }) => told('opfs', data)
    worker.postMessage({ storage: 'opfs', durability })
    void visit({ storage: 'indexeddb', durability }, (data) => told('indexeddb', data))
  }, durability)
  return lives
}

test(`a browser that is killed has lost nothing it was told of, ${kills} times`, {
  timeout: 30_000 * (kills + 1),
}, async ({ onTestFinished }) => {
  const profile = await mkdtemp(join(tmpdir(), 'revkv-kills-'))
  const server = await serve()
  let browser: Killable | undefined
  onTestFinished(async () => {
    await browser?.kill()
    await server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  const random = new Random(seed)
  const tallies = { indexeddb: new Tally(kills), opfs: new Tally(kills) }
  for (let run = 0; run <= kills; run++) {
    const durability = run < kills ? durabilities[run % 2] : undefined
    browser = await launchKillable(profile)
    const lives = await open(browser, server.url, durability)
    // One in five is killed while it opens; what it leaves is found by the next.
    const isOpening = durability !== undefined && run % 5 === 1
    if (!isOpening) {
      for (const storage of storages) tallies[storage].found(await lives[storage].found)
      if (durability) await Promise.all(storages.map((storage) => lives[storage].writing))
    }
    await new Promise((resolve) => setTimeout(resolve, random.below(isOpening ? 150 : 500)))
    await browser.kill()
    browser = undefined
    expect(storages.map((storage) => lives[storage].failed)).toEqual([undefined, undefined])
    if (durability) for (const storage of storages) tallies[storage].killed(durability, lives[storage].acknowledged)
  }
  for (const storage of storages) {
    console.log(`${storage}, seed ${seed}: ${tallies[storage]}`)
    tallies[storage].finish()
  }
})
