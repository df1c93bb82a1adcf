// What an adapter may get wrong: it is told, not believed, and nothing stays open for it.

import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { StorageAdapter } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { changed, codeOf, openStore } from './open.js'

async function stored(): Promise<{ storage: StorageAdapter; blobs: { id: string; bytes: Uint8Array }[] }> {
  const storage = memory()
  const store = await openStore<string>({ storage })
  await store.put('a', 'value')
  await store.close()
  const blobs = []
  for await (const blob of (await storage.open('revkv')).read()) blobs.push(blob)
  return { storage, blobs }
}

const reading = (medium: StorageAdapter, blobs: unknown[]) =>
  changed(medium, () => ({
    async *read() {
      yield* blobs
    },
  }))

test('a blob that is none is CORRUPT, and named', async () => {
  const { storage, blobs } = await stored()
  const [{ id, bytes }] = blobs as [{ id: string; bytes: Uint8Array }]
  const detached = bytes.slice()
  structuredClone(detached, { transfer: [detached.buffer] })
  const rows: [unknown, string][] = [
    [{ id, bytes: [...bytes] }, id],
    [{ id, bytes: bytes.slice().buffer }, id],
    [{ id, bytes: new Uint16Array(bytes) }, id],
    [{ id, bytes: new DataView(bytes.slice().buffer) }, id],
    [{ id, bytes: undefined }, id],
    [{ id, bytes: detached }, id],
    [{ id: 1, bytes }, 'number'],
    [{ id: null, bytes }, 'object'],
    [{ bytes }, 'undefined'],
    [null, 'undefined'],
    [undefined, 'undefined'],
    ['blob', 'undefined'],
  ]
  for (const [blob, named] of rows) {
    await expect(openStore({ storage: reading(storage, [blob]) })).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(named),
    })
  }
})

test('bytes of another realm, and those whose class lies of their length, are read as they are', async () => {
  const { storage, blobs } = await stored()
  class Liar extends Uint8Array {
    override get length() {
      return 3
    }
  }
  for (const like of [Liar, runInNewContext('Uint8Array') as typeof Uint8Array, Buffer]) {
    const same = blobs.map(({ id, bytes }) => ({ id, bytes: like.from(bytes) }))
    const store = await openStore({ storage: reading(memory(), same) })
    expect(store.get('a')).toBe('value')
  }
  expect((await openStore({ storage })).get('a')).toBe('value')
})

test('a handle without its functions is refused, and closed where it can be', async () => {
  let closed = 0
  const close = async () => {
    closed++
  }
  const handle = await memory().open('db')
  const { read, write } = { read: () => handle.read(), write: async () => {} }
  for (const odd of [
    undefined,
    null,
    5,
    {},
    { read, write },
    { read, close },
    { write, close },
    { read, write: 1, close },
  ]) {
    const storage = { ...memory(), open: async () => odd } as unknown as StorageAdapter
    expect([odd, await codeOf(() => openStore({ storage }))]).toEqual([odd, 'INVALID_ARGUMENT'])
  }
  expect(closed).toBe(3)
})

test('whatever of it throws, the opening fails and the medium is closed', async () => {
  const broken = () => {
    throw new Error('odd')
  }
  const parts: Record<string, unknown>[] = [
    { read: broken },
    { read: () => undefined },
    { read: () => ({ [Symbol.asyncIterator]: () => ({ next: broken }) }) },
    { write: broken },
  ]
  for (const part of parts) {
    let closed = 0
    const storage = changed(memory(), () => ({ ...part, close: () => closed++ && broken() }))
    expect([await codeOf(() => openStore({ storage })), closed]).toEqual(['STORAGE_LOST', 1])
  }
  const twice = changed(memory(), () => ({ read: broken, close: broken }))
  expect(await codeOf(() => openStore({ storage: twice }))).toBe('STORAGE_LOST')
})
