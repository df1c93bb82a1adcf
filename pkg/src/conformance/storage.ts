// The tests that every storage adapter has to pass. They know no test framework: they are given `test`, and fail by throwing.

import { RevkvError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'
import { Random } from './random.js'

/** What is tested, and with what. */
export interface ConformanceOptions {
  /** What is tested; each test's name begins with it. */
  name: string
  /** Registers a test, as `test` of vitest, node:test, jest or Deno does. */
  test: (name: string, run: () => Promise<void>) => unknown
  /**
   * Gives an adapter. Adapters of one `place` share what they hold if it is persistent; those of two share nothing. A place
   * is a word that is new in each test, such as "conformance-7".
   */
  create: (place: string) => StorageAdapter | Promise<StorageAdapter>
}

/**
 * Registers the tests of an adapter.
 *
 * @example
 * import { test } from 'vitest'
 * import { storageConformance } from 'revkv/conformance'
 *
 * storageConformance({ name: 'file', test, create: (place) => file({ folder: `data/${place}` }) })
 */
export function storageConformance({ name, test, create }: ConformanceOptions): void {
  let places = 0
  for (const [title, run] of Object.entries({ ...contents, ...refusals, ...handles })) {
    test(`${name}: ${title}`, async () => {
      const place = `conformance-${++places}`
      const medium = new Medium(() => create(place))
      try {
        await run(medium)
      } finally {
        await medium.closeAll()
      }
    })
  }
}

type Blobs = { id: string; bytes: Uint8Array }[]
type Tests = Record<string, (medium: Medium) => Promise<void>>

/** The place of one test, and what it has open there. */
class Medium {
  readonly create: () => Promise<StorageAdapter>
  #adapter: Promise<StorageAdapter> | undefined
  #open = new Set<StorageHandle>()

  constructor(create: () => StorageAdapter | Promise<StorageAdapter>) {
    this.create = async () => create()
  }

  adapter(): Promise<StorageAdapter> {
    this.#adapter ??= this.create()
    return this.#adapter
  }

  async open(database = 'db'): Promise<StorageHandle> {
    const handle = await (await this.adapter()).open(database)
    this.#open.add(handle)
    return handle
  }

  async close(handle: StorageHandle): Promise<void> {
    this.#open.delete(handle)
    await handle.close()
  }

  async reopen(handle: StorageHandle): Promise<StorageHandle> {
    await this.close(handle)
    return this.open()
  }

  async closeAll(): Promise<void> {
    for (const handle of [...this.#open]) await this.close(handle)
  }
}

const contents: Tests = {
  async 'a new database is empty'(medium) {
    equal(await read(await medium.open()), [])
  },

  async 'what was put is read, whole and ascending, as often as one likes'(medium) {
    const { maxBlobBytes } = await medium.adapter()
    const handle = await medium.open()
    const random = new Random(1)
    const blobs = [0, 1, 255, 1000, maxBlobBytes].map((length, i) => ({ id: id(i), bytes: random.bytes(length) }))
    for (const blob of blobs) await put(handle, [blob])
    equal(await read(handle), blobs)
    equal(await read(handle), blobs)
  },

  async 'it is there after closing and opening again'(medium) {
    const handle = await medium.open()
    const blobs = [blob(1), blob(2)]
    await handle.write({ epoch: 1, put: blobs, delete: [] }, 'relaxed')
    equal(await read(await medium.reopen(handle)), blobs)
  },

  async 'if it is persistent, another adapter of the same place finds it'(medium) {
    const adapter = await medium.adapter()
    if (!adapter.supports.persistent) return
    const handle = await medium.open()
    await put(handle, [blob(1)])
    await medium.close(handle)
    const other = await (await medium.create()).open('db')
    equal(await read(other), [blob(1)])
    await other.close()
  },

  async 'one batch puts and deletes'(medium) {
    const handle = await medium.open()
    await put(handle, [blob(1), blob(2), blob(3)])
    await handle.write({ epoch: 1, put: [blob(4)], delete: [id(1), id(3)] }, 'strict')
    equal(await read(handle), [blob(2), blob(4)])
    equal(await read(await medium.reopen(handle)), [blob(2), blob(4)])
  },

  async 'deleting what is not there is nothing'(medium) {
    const handle = await medium.open()
    await put(handle, [blob(1)])
    await handle.write({ epoch: 1, put: [], delete: [id(0), id(1), id(1), id(9)] }, 'strict')
    equal(await read(handle), [])
    // The highest id ever put is still the first.
    await put(handle, [blob(2)])
    equal(await read(handle), [blob(2)])
  },

  async 'a batch has any number of blobs'(medium) {
    const handle = await medium.open()
    const many = Array.from({ length: 700 }, (_, i) => blob(i))
    await put(handle, many)
    equal(await read(await medium.reopen(handle)), many)
  },

  async 'a batch has any number of deletions'(medium) {
    const handle = await medium.open()
    const many = Array.from({ length: 700 }, (_, i) => blob(i))
    await put(handle, many)
    await handle.write({ epoch: 1, put: [blob(700)], delete: many.map(({ id }) => id) }, 'strict')
    equal(await read(handle), [blob(700)])
  },

  async 'a batch has many large blobs'(medium) {
    const length = Math.min((await medium.adapter()).maxBlobBytes, 128 * 1024)
    const handle = await medium.open()
    const large = Array.from({ length: 40 }, (_, i) => ({ id: id(i), bytes: new Uint8Array(length).fill(i) }))
    await put(handle, large)
    equal(await read(await medium.reopen(handle)), large)
  },

  async 'bytes are those of the view, and belong to the medium'(medium) {
    const handle = await medium.open()
    const bytes = new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)
    await put(handle, [{ id: id(1), bytes }])
    bytes.fill(9)
    const [found] = await read(handle)
    found?.bytes.fill(8)
    equal(await read(handle), [{ id: id(1), bytes: new Uint8Array([1, 2, 3]) }])
  },

  async 'two databases are two, whatever their names'(medium) {
    const names = ['db', 'DB', 'db/x', '../db', '.', 'a b', 'ä', '데이터', 'db:x', 'db%2Fx', '\u0000']
    for (const [i, name] of names.entries()) {
      const handle = await medium.open(name)
      await put(handle, [blob(i)])
      await medium.close(handle)
    }
    for (const [i, name] of names.entries()) {
      const handle = await medium.open(name)
      equal(await read(handle), [blob(i)], name)
      await medium.close(handle)
    }
  },

  async 'it holds what a plain map would, through reopenings'(medium) {
    const random = new Random(7)
    const model = new Map<string, Uint8Array>()
    let handle = await medium.open()
    let next = 0
    for (let step = 0; step < 150; step++) {
      const blobs = Array.from({ length: random.below(4) }, () => ({
        id: id(next++),
        bytes: random.bytes(random.below(300)),
      }))
      const gone = [...model.keys()].filter(() => random.below(5) === 0)
      const durability = random.pick(['relaxed', 'strict'] as const)
      await handle.write({ epoch: 1 + (step >> 4), put: blobs, delete: gone }, durability)
      for (const { id, bytes } of blobs) model.set(id, bytes)
      for (const id of gone) model.delete(id)
      if (random.below(15) === 0) handle = await medium.reopen(handle)
      if (random.below(5) === 0) equal(await read(handle), sorted(model), `step ${step}`)
    }
    equal(await read(await medium.reopen(handle)), sorted(model))
  },
}

const refusals: Tests = {
  async 'a smaller epoch is NOT_LEADER, and nothing of it is written'(medium) {
    let handle = await medium.open()
    await handle.write({ epoch: 5, put: [blob(1)], delete: [] }, 'strict')
    for (const epoch of [4, 0]) {
      await refused(handle, { epoch, put: [blob(2)], delete: [id(1)] }, 'NOT_LEADER')
      await refused(handle, { epoch, put: [], delete: [] }, 'NOT_LEADER')
    }
    equal(await read(handle), [blob(1)])
    handle = await medium.reopen(handle)
    await refused(handle, { epoch: 4, put: [blob(2)], delete: [] }, 'NOT_LEADER')
    await handle.write({ epoch: 5, put: [blob(2)], delete: [] }, 'strict')
    await handle.write({ epoch: 1e15, put: [blob(3)], delete: [] }, 'strict')
    equal(await read(handle), [blob(1), blob(2), blob(3)])
  },

  async 'an epoch holds though its batch had no blobs'(medium) {
    let handle = await medium.open()
    await handle.write({ epoch: 7, put: [], delete: [] }, 'relaxed')
    await refused(handle, { epoch: 6, put: [blob(1)], delete: [] }, 'NOT_LEADER')
    handle = await medium.reopen(handle)
    await refused(handle, { epoch: 6, put: [blob(1)], delete: [] }, 'NOT_LEADER')
    equal(await read(handle), [])
  },

  async 'an id that is not above every id ever put is NOT_LEADER, and nothing of its batch is written'(medium) {
    let handle = await medium.open()
    await put(handle, [blob(3), blob(5)])
    for (const used of [1, 3, 4, 5]) {
      await refused(handle, { epoch: 2, put: [blob(used), blob(6)], delete: [id(3)] }, 'NOT_LEADER')
    }
    equal(await read(handle), [blob(3), blob(5)])
    await handle.write({ epoch: 1, put: [], delete: [id(3), id(5)] }, 'strict')
    await refused(handle, { epoch: 1, put: [blob(5)], delete: [] }, 'NOT_LEADER')
    handle = await medium.reopen(handle)
    await refused(handle, { epoch: 1, put: [blob(5)], delete: [] }, 'NOT_LEADER')
    await put(handle, [blob(6)])
    equal(await read(handle), [blob(6)])
  },

  async 'a blob above maxBlobBytes is TOO_LARGE, and nothing of its batch is written'(medium) {
    const { maxBlobBytes } = await medium.adapter()
    const handle = await medium.open()
    await put(handle, [blob(1)])
    const large = { id: id(3), bytes: new Uint8Array(maxBlobBytes + 1) }
    await refused(handle, { epoch: 9, put: [blob(2), large], delete: [id(1)] }, 'TOO_LARGE')
    equal(await read(handle), [blob(1)])
    await put(handle, [blob(2)])
    equal(await read(await medium.reopen(handle)), [blob(1), blob(2)])
  },
}

const handles: Tests = {
  async 'a batch without blobs is a flush'(medium) {
    const handle = await medium.open()
    await handle.write({ epoch: 0, put: [], delete: [] }, 'strict')
    await handle.write({ epoch: 1, put: [blob(1)], delete: [] }, 'relaxed')
    await handle.write({ epoch: 1, put: [], delete: [] }, 'strict')
    await handle.write({ epoch: 1, put: [], delete: [] }, 'relaxed')
    equal(await read(handle), [blob(1)])
  },

  async 'a closed handle is CLOSED'(medium) {
    const handle = await medium.open()
    await put(handle, [blob(1)])
    await medium.close(handle)
    equal(await codeOf(() => put(handle, [blob(2)])), 'CLOSED')
    equal(await codeOf(() => read(handle)), 'CLOSED')
    equal(await codeOf(() => handle.bytesUsed()), 'CLOSED')
    equal(await read(await medium.open()), [blob(1)])
  },

  async 'a second handle is STORAGE_BLOCKED, or deposes the first'(medium) {
    const first = await medium.open()
    await put(first, [blob(1)])
    let second: StorageHandle
    try {
      second = await medium.open()
    } catch (e) {
      equal([RevkvError.is(e) && e.code, RevkvError.is(e) && e.retryable], ['STORAGE_BLOCKED', true])
      await put(first, [blob(2)])
      equal(await read(await medium.reopen(first)), [blob(1), blob(2)])
      return
    }
    equal(await read(second), [blob(1)])
    await second.write({ epoch: 2, put: [blob(2)], delete: [] }, 'strict')
    await refused(first, { epoch: 1, put: [blob(3)], delete: [] }, 'NOT_LEADER')
    await refused(first, { epoch: 1, put: [], delete: [] }, 'NOT_LEADER')
    await refused(first, { epoch: 3, put: [blob(2)], delete: [] }, 'NOT_LEADER')
    equal(await read(second), [blob(1), blob(2)])
  },

  async 'of two that have read the same, one gets its batch in'(medium) {
    const first = await medium.open()
    const second = await medium.open().catch((e) => {
      if (RevkvError.is(e) && e.code === 'STORAGE_BLOCKED') return undefined
      throw e
    })
    if (!second) return
    const codes = await Promise.all(
      [first, second].map((handle) => codeOf(() => handle.write({ epoch: 1, put: [blob(1)], delete: [] }, 'strict'))),
    )
    equal(codes.sort(), ['NOT_LEADER', 'none'])
  },

  async 'a signal that has been aborted ends the opening with its reason'(medium) {
    const reason = new Error('no more')
    const opening = (await medium.adapter()).open('db', AbortSignal.abort(reason))
    equal(
      await opening.then(
        () => 'opened',
        (e) => e === reason,
      ),
      true,
    )
    equal(await read(await medium.open()), [])
  },

  async 'the bytes used are not known, or not fewer than there are'(medium) {
    const handle = await medium.open()
    await put(handle, [{ id: id(1), bytes: new Uint8Array(5000) }])
    const used = await handle.bytesUsed()
    if (used !== undefined && !(Number.isSafeInteger(used) && used >= 5000)) throw new Error(`bytesUsed() is ${used}`)
  },
}

function id(number: number): string {
  return number.toString(16).padStart(16, '0')
}

/** One whose bytes follow from its id. */
function blob(number: number): Blobs[number] {
  return { id: id(number), bytes: Uint8Array.from({ length: 1 + (number % 40) }, (_, i) => (7 * number + i) % 256) }
}

async function put(handle: StorageHandle, blobs: Blobs): Promise<void> {
  await handle.write({ epoch: 1, put: blobs, delete: [] }, 'strict')
}

async function read(handle: StorageHandle): Promise<Blobs> {
  const blobs = []
  for await (const blob of handle.read()) blobs.push(blob)
  return blobs
}

function sorted(model: Map<string, Uint8Array>): Blobs {
  return [...model].map(([id, bytes]) => ({ id, bytes })).sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
    return 'none'
  } catch (e) {
    if (RevkvError.is(e)) return e.code
    throw e
  }
}

async function refused(handle: StorageHandle, batch: StorageBatch, code: string): Promise<void> {
  equal(await codeOf(() => handle.write(batch, 'strict')), code)
}

function equal(actual: unknown, expected: unknown, where = ''): void {
  const [a, b] = [shown(actual), shown(expected)]
  if (a === b) return
  const short = (text: string) => (text.length > 400 ? `${text.slice(0, 400)}… (${text.length})` : text)
  throw new Error(`${where && `${where}: `}expected ${short(b)}, got ${short(a)}`)
}

/** Text that is equal when the values are, whatever the class of bytes. */
function shown(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, part) {
    const own = this[key]
    if (!(own instanceof Uint8Array)) return part
    if (own.length > 100)
      return `${own.length} bytes, ${own.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 5)}`
    return Array.from(own, (byte) => byte.toString(16).padStart(2, '0')).join('')
  })
}
