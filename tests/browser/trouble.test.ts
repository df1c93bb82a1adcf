// What the storage and the browser can do to an open store: take the lock, the database or the page away.
import { expect } from 'vitest'
import { test } from './browser.js'

declare global {
  var acknowledged: (revision: number) => void
}

test('a second tab is told that the store is open elsewhere, and gets in when it is closed there', async ({ open }) => {
  const first = await open()
  await first.evaluate(async () => {
    globalThis.store = await revkv.open<string>({ name: 'locked', storage: indexedDb() })
    await store.put('a', 'one')
  })

  const second = await open()
  const refused = await second.evaluate(async () => {
    try {
      await revkv.open({ name: 'locked', storage: indexedDb() })
      return 'opened'
    } catch (error) {
      return revkv.RevkvError.is(error) ? { code: error.code, retryable: error.retryable } : String(error)
    }
  })
  expect(refused).toEqual({ code: 'STORAGE_BLOCKED', retryable: true })

  await first.evaluate(() => store.close())
  const value = await second.evaluate(async () => {
    const store = await revkv.open({ name: 'locked', storage: indexedDb() })
    const value = store.get('a')
    await store.close()
    return value
  })
  expect(value).toBe('one')
})

test('a deposed writer is refused by the storage itself', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const store = await revkv.open<string>({ name: 'deposed', storage: indexedDb() })
    await store.put('a', 'one')
    const heard: string[] = []
    store.addEventListener('error', ({ detail }) => heard.push(code(detail.error)))
    // The next leader: it has the storage without the lock, and a newer epoch.
    const next = await indexedDb().open('deposed')
    await next.write({ epoch: 1_000_000, put: [], delete: [] }, 'strict')
    const put = await store.put('a', 'two').then(() => 'written', code)
    const older = await next.write({ epoch: 999_999, put: [], delete: [] }, 'strict').then(() => 'written', code)
    await next.close()
    const read = [store.get('a', { revision: 2 }), store.durableRevision]
    await store.close()
    return { put, older, heard, read }
  })
  expect(seen).toEqual({ put: 'NOT_LEADER', older: 'NOT_LEADER', heard: ['NOT_LEADER'], read: ['one', 2] })
})

test('a store whose database is deleted says so at the next write, and goes on reading', async ({ open }) => {
  const first = await open()
  await first.evaluate(async () => {
    globalThis.store = await revkv.open<string>({ name: 'deleted', storage: indexedDb() })
    await store.put('a', 'one')
  })

  const second = await open()
  await second.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase('revkv:deleted')
        request.onsuccess = () => resolve()
        request.onerror = () => reject(request.error)
      }),
  )
  const seen = await first.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const heard: string[] = []
    store.addEventListener('error', ({ detail }) => heard.push(code(detail.error)))
    const put = () => store.put('a', 'two').then(() => 'written', code)
    const puts = [await put(), await put()]
    const read = [store.get('a', { revision: 2 }), store.list().length, store.durableRevision]
    await store.close().catch(() => {})
    return { puts, heard, read }
  })
  expect(seen).toEqual({ puts: ['STORAGE_LOST', 'STORAGE_LOST'], heard: ['STORAGE_LOST'], read: ['one', 1, 2] })
})

test('a full storage refuses the write, and loses nothing that was acknowledged', async ({
  open,
  chromium,
  server,
}) => {
  const first = await open()
  const session = await chromium.context.newCDPSession(first)
  const origin = new URL(server.url).origin
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2_000_000 })
  const full = await first.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const store = await revkv.open({ name: 'full', storage: indexedDb(), values: revkv.bytes })
    const heard: string[] = []
    store.addEventListener('error', ({ detail }) => heard.push(code(detail.error)))
    let acknowledged = store.revision
    let refused: string | undefined
    while (refused === undefined) {
      // Noise, which no storage can make smaller.
      const value = crypto.getRandomValues(new Uint8Array(60_000))
      await store.put('noise', value).then(
        (result) => {
          acknowledged = result.revision
        },
        (error: unknown) => {
          refused = code(error)
        },
      )
    }
    const kept = store.get('noise', { revision: acknowledged })?.length
    await store.close()
    return { refused, heard, acknowledged, kept }
  })
  expect(full).toMatchObject({ refused: 'QUOTA_EXCEEDED', heard: ['QUOTA_EXCEEDED'], kept: 60_000 })
  await session.send('Storage.overrideQuotaForOrigin', { origin })

  const found = await first.evaluate(async () => {
    const store = await revkv.open({ name: 'full', storage: indexedDb(), values: revkv.bytes })
    const revision = store.revision
    const puts = store.history('noise').length
    const next = await store.put('noise', new Uint8Array())
    await store.close()
    return { revision, puts, next: next.revision }
  })
  const { acknowledged } = full
  expect(found).toEqual({ revision: acknowledged, puts: acknowledged - 1, next: acknowledged + 1 })
})

test.for(['closed', 'crashed'] as const)(
  'a page that is %s in the middle of writing loses nothing acknowledged',
  async (how, { open, chromium }) => {
    const first = await open()
    let last = 0
    const many = new Promise<void>((resolve) => {
      void first.exposeFunction('acknowledged', (revision: number) => {
        last = revision
        if (revision > 100) resolve()
      })
    })
    await first.waitForFunction(() => 'acknowledged' in globalThis)
    await first.evaluate(async () => {
      const store = await revkv.open<string>({ name: 'killed', storage: indexedDb() })
      const write = async () => {
        for (;;) {
          const { revision } = await store.put('n', `value ${store.revision + 1}`)
          acknowledged(revision)
        }
      }
      void write()
    })
    await many
    if (how === 'closed') {
      await first.close()
    } else {
      const session = await chromium.context.newCDPSession(first)
      const crash = first.waitForEvent('crash')
      // It has nobody left to answer it.
      session.send('Page.crash').catch(() => {})
      await crash
    }

    const second = await open()
    const found = await second.evaluate(async () => {
      const store = await revkv.open<string>({ name: 'killed', storage: indexedDb() })
      const history = store.history('n').map((change) => (change.type === 'put' ? change.entry.value : 'deleted'))
      const { revision } = store
      await store.close()
      return { history, revision }
    })
    expect(found.revision).toBeGreaterThanOrEqual(last)
    expect(found.history).toEqual(Array.from({ length: found.revision - 1 }, (_, i) => `value ${i + 2}`))
  },
)
