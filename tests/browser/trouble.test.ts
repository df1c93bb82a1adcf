// What the storage and the browser can do to an open store: take the lock, the database or the page away.
import { expect } from 'vitest'
import { test } from './browser.js'

declare global {
  var acknowledged: (revision: number) => void
}

test('a second tab shares the store, and goes on when the first is closed', async ({ open }) => {
  const [first, second] = [await open(), await open()]
  const enter = (page: typeof first) =>
    page.evaluate(async () => {
      globalThis.store = await revkv.open<string>({ name: 'shared', storage: indexedDb() })
      return store.role
    })
  expect([await enter(first), await enter(second)]).toEqual(['leader', 'follower'])
  await first.evaluate(() => store.put('a', 'one'))
  expect(await second.evaluate(() => store.put('b', 'two'))).toEqual({ revision: 3 })
  expect(await second.evaluate(() => [store.get('a'), store.get('b')])).toEqual(['one', 'two'])
  await first.evaluate(() => store.close())
  expect(await second.evaluate(() => store.put('a', 'three'))).toEqual({ revision: 4 })
  expect(await second.evaluate(() => [store.role, store.history('a').length])).toEqual(['leader', 2])
})

test('a deposed writer is refused by the storage itself', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const store = await revkv.open<string>({ name: 'deposed', storage: indexedDb(), tabs: false })
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
    const close = await store.close().then(() => 'closed', code)
    return { put, older, heard, read, close }
  })
  const refused = { put: 'NOT_LEADER', older: 'NOT_LEADER', heard: ['NOT_LEADER'], close: 'NOT_LEADER' }
  expect(seen).toEqual({ ...refused, read: ['one', 2] })
})

test('without Web Locks the second opener deposes the first, and nothing is written over', async ({ open }) => {
  const [first, second] = [await open(), await open()]
  for (const page of [first, second]) {
    await page.evaluate(() => Object.defineProperty(navigator, 'locks', { value: undefined }))
  }
  const enter = (page: typeof first) =>
    page.evaluate(async () => {
      globalThis.store = await revkv.open<string>({ name: 'lockless', storage: indexedDb() })
      store.addEventListener('error', () => {})
      return store.history({}).length
    })
  const put = (page: typeof first, value: string) =>
    page.evaluate(async (value) => {
      const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
      return store.put('n', value).then(() => 'written', code)
    }, value)

  await enter(first)
  expect(await put(first, 'a1')).toBe('written')
  expect(await enter(second)).toBe(1)
  expect([await put(first, 'a2'), await put(second, 'b1'), await put(first, 'a3')]).toEqual([
    'NOT_LEADER',
    'written',
    'STORAGE_LOST',
  ])
  // And back: whoever opens last is the writer.
  await first.evaluate(() => store.close().catch(() => {}))
  expect(await enter(first)).toBe(2)
  expect([await put(second, 'b2'), await put(first, 'a4')]).toEqual(['NOT_LEADER', 'written'])
  await first.evaluate(() => store.close())
  const found = await second.evaluate(async () => {
    await store.close().catch(() => {})
    const again = await revkv.open<string>({ name: 'lockless', storage: indexedDb() })
    const values = again.history('n').map((change) => change.type === 'put' && change.entry.value)
    await again.close()
    return values
  })
  expect(found).toEqual(['a1', 'b1', 'a4'])
})

test('without Web Locks openers that come at once get in one after the other', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    Object.defineProperty(navigator, 'locks', { value: undefined })
    const opening = () => revkv.open<string>({ name: 'rush', storage: indexedDb() })
    const stores = await Promise.all([opening(), opening(), opening()])
    for (const store of stores) store.addEventListener('error', () => {})
    const puts = await Promise.all(stores.map((store, i) => store.put('n', `${i}`).then(() => 'written', code)))
    await Promise.all(stores.map((store) => store.close().catch(() => {})))
    const again = await opening()
    const value = Number(again.get('n'))
    const { revision } = again
    await again.close()
    return { puts: [...puts].sort(), winner: puts[value], revision }
  })
  expect(seen).toEqual({ puts: ['NOT_LEADER', 'NOT_LEADER', 'written'], winner: 'written', revision: 2 })
})

test('a database that another writes while it is read is not taken for damaged', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    Object.defineProperty(navigator, 'locks', { value: undefined })
    // More blobs than are read at once, all of which a compaction replaces.
    const first = await revkv.open<number>({ name: 'moving', storage: indexedDb(), durability: 'relaxed' })
    first.addEventListener('error', () => {})
    for (let i = 0; i < 150; i++) await first.put('n', i)
    const medium = indexedDb()
    let meanwhile: (() => Promise<void>) | undefined = () => first.compact(first.revision)
    const storage: typeof medium = {
      ...medium,
      open: async (database, signal) => {
        const handle = await medium.open(database, signal)
        return {
          async *read() {
            for await (const blob of handle.read()) {
              yield blob
              await meanwhile?.()
              meanwhile = undefined
            }
          },
          write: (batch, durability) => handle.write(batch, durability),
          bytesUsed: () => handle.bytesUsed(),
          close: () => handle.close(),
        }
      },
    }
    const second = await revkv.open<number>({ name: 'moving', storage })
    const put = await first.put('n', -1).then(() => 'written', code)
    const found = [second.revision, second.compactRevision, second.get('n'), put]
    await second.close()
    await first.close().catch(() => {})
    return found
  })
  expect(seen).toEqual([151, 151, 149, 'NOT_LEADER'])
})

test('a lock that is taken away in the middle of a write is taken back from who gives no sign of life', async ({
  open,
}) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const medium = indexedDb()
    let hold: Promise<void> | undefined
    let written: (() => void) | undefined
    const storage: typeof medium = {
      ...medium,
      open: async (database, signal) => {
        const handle = await medium.open(database, signal)
        return {
          read: () => handle.read(),
          write: async (batch, durability) => {
            await handle.write(batch, durability)
            written?.()
            await hold
          },
          bytesUsed: () => handle.bytesUsed(),
          close: () => handle.close(),
        }
      },
    }
    const store = await revkv.open<string>({ name: 'stolen', storage })
    await store.put('a', 'one')
    const roles: string[] = []
    const followed = new Promise<void>((resolve) =>
      store.addEventListener('role', ({ detail }) => {
        roles.push(detail.role)
        resolve()
      }),
    )
    let goOn = () => {}
    hold = new Promise((resolve) => {
      goOn = resolve
    })
    const isWritten = new Promise<void>((resolve) => {
      written = resolve
    })
    const put = store.put('a', 'two').then(() => 'written', code)
    await isWritten
    const thief = navigator.locks.request('revkv:indexeddb:stolen', { steal: true }, () => new Promise(() => {}))
    thief.catch(() => {})
    await followed
    hold = undefined
    goOn()
    const codes = [await put, await store.put('a', 'three').then(() => 'written', code)]
    const values = store.history('a').map((change) => change.type === 'put' && change.entry.value)
    return { codes, roles, values, close: await store.close().then(() => 'closed', code) }
  })
  const written = ['written', 'written']
  const roles = ['follower', 'leader']
  expect(seen).toEqual({ codes: written, roles, values: ['one', 'two', 'three'], close: 'closed' })
})

test('a failed open leaves no lock behind', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const medium = indexedDb()
    const broken = () => {
      throw new Error('odd')
    }
    const handles = [
      () => Promise.reject(new Error('odd')),
      broken,
      async () => ({ read: broken, write: broken, close: broken }),
      async () => ({ read: async function* () {}, write: broken, close: broken }),
      async () => undefined,
    ]
    const codes: string[] = []
    for (const open of handles) {
      const storage = { ...medium, open } as unknown as typeof medium
      codes.push(await revkv.open({ name: 'free', storage }).then(() => 'opened', code))
      const { held } = await navigator.locks.query()
      if (held?.length) codes.push('held')
    }
    const store = await revkv.open({ name: 'free', storage: medium })
    await store.close()
    return codes
  })
  expect(seen).toEqual(['STORAGE_LOST', 'STORAGE_LOST', 'STORAGE_LOST', 'STORAGE_LOST', 'INVALID_ARGUMENT'])
})

test.for(['the last blob', 'all blobs'] as const)(
  'a database that has lost %s is CORRUPT, not a shorter or a new store',
  async (what, { open }) => {
    const page = await open()
    const seen = await page.evaluate(async (what) => {
      const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
      const opening = () => revkv.open<string>({ name: 'shortened', storage: indexedDb() })
      const store = await opening()
      await store.put('a', 'one')
      await store.put('a', 'two')
      await store.close()
      const database = await new Promise<IDBDatabase>((resolve) => {
        const request = indexedDB.open('revkv:shortened')
        request.onsuccess = () => resolve(request.result)
      })
      await new Promise<void>((resolve) => {
        const transaction = database.transaction('blobs', 'readwrite')
        const blobs = transaction.objectStore('blobs')
        blobs.getAllKeys().onsuccess = ({ target }) => {
          const keys = (target as IDBRequest<IDBValidKey[]>).result
          for (const key of what === 'all blobs' ? keys : keys.slice(-1)) blobs.delete(key)
        }
        transaction.oncomplete = () => resolve()
      })
      database.close()
      const codes = [await opening().then(() => 'opened', code), await opening().then(() => 'opened', code)]
      const { held } = await navigator.locks.query()
      return { codes, held: held?.length }
    }, what)
    expect(seen).toEqual({ codes: ['CORRUPT', 'CORRUPT'], held: 0 })
  },
)

test('no blob is written over, nor is the id of a deleted one used again', async ({ open }) => {
  const page = await open()
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    const blob = (id: string, byte: number) => ({ id, bytes: new Uint8Array([byte]) })
    const [one, other] = [await indexedDb().open('twice'), await indexedDb().open('twice')]
    const write = (handle: typeof one, epoch: number, put: ReturnType<typeof blob>[], gone: string[] = []) =>
      handle.write({ epoch, put, delete: gone }, 'strict').then(() => 'written', code)
    const codes = [
      await write(one, 1, [blob('b', 1)]),
      await write(other, 1, [blob('b', 2)]),
      await write(other, 9, [blob('b', 2), blob('c', 2)]),
      await write(one, 1, [blob('c', 1)], ['b']),
      await write(other, 9, [blob('b', 2)]),
      await write(one, 1, []),
    ]
    const blobs: unknown[] = []
    for await (const { id, bytes } of other.read()) blobs.push([id, ...bytes])
    const used = await other.bytesUsed()
    await one.close()
    await other.close()
    return { codes, blobs, used }
  })
  const refused = 'NOT_LEADER'
  expect(seen.codes).toEqual(['written', refused, refused, 'written', refused, 'written'])
  expect([seen.blobs, seen.used]).toEqual([[['c', 1]], 1])
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
    store.addEventListener('quota', ({ detail }) => heard.push(code(detail.error)))
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
    const close = await store.close().then(() => 'closed', code)
    return { refused, heard: [...new Set(heard)], acknowledged, kept, close }
  })
  const code = 'QUOTA_EXCEEDED'
  expect(full).toMatchObject({ refused: code, heard: [code], kept: 60_000, close: 'closed' })
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

test('a full storage is opened and read, and takes writes again when there is room', { timeout: 60_000 }, async ({
  open,
  chromium,
  server,
}) => {
  const page = await open()
  const session = await chromium.context.newCDPSession(page)
  const origin = new URL(server.url).origin
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2_000_000 })
  const seen = await page.evaluate(async () => {
    const code = (error: unknown) => (revkv.RevkvError.is(error) ? error.code : String(error))
    // Something else that the origin keeps.
    const root = await navigator.storage.getDirectory()
    const writable = await (await root.getFileHandle('other', { create: true })).createWritable()
    await writable.write(new Uint8Array(500_000))
    await writable.close()

    const opening = () => revkv.open({ name: 'freed', storage: indexedDb(), values: revkv.bytes })
    let store = await opening()
    // Noise, which no storage can make smaller.
    const put = () => store.put('noise', crypto.getRandomValues(new Uint8Array(60_000))).then(() => 'written', code)
    await store.put('kept', new Uint8Array([7]))
    let puts = 0
    let refused: string
    while ((refused = await put()) === 'written') puts++
    await store.close()

    store = await opening()
    const read = [store.get('kept')?.[0], store.history('noise').length === puts]
    const copy = await revkv.open({ values: revkv.bytes })
    await copy.restore(await store.backup().bytes())
    read.push(copy.revision === store.revision)
    const still = await put()

    await root.removeEntry('other')
    const codes = [await store.delete('noise').then(() => 'written', code)]
    codes.push(await store.compact(store.revision).then(() => 'written', code))
    for (let i = 0; i < 3; i++) codes.push(await put())
    const { revision } = store
    await store.close()
    store = await opening()
    const after = [
      store.revision === revision,
      store.get('kept')?.[0],
      store.history('noise').filter(({ type }) => type === 'put').length,
    ]
    await store.close()
    return { refused, still, read, codes: [...new Set(codes)], after }
  })
  await session.send('Storage.overrideQuotaForOrigin', { origin })
  const full = 'QUOTA_EXCEEDED'
  expect(seen).toEqual({ refused: full, still: full, read: [7, true, true], codes: ['written'], after: [true, 7, 3] })
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
