import { expect, test } from 'vitest'
import type { StorageBatch, StorageHandle } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
import { codeOf } from './open.js'

const blob = (id: string, ...bytes: number[]) => ({ id, bytes: new Uint8Array(bytes) })
const batch = (epoch: number, put: StorageBatch['put'], gone: string[] = []): StorageBatch => ({
  epoch,
  put,
  delete: gone,
})

async function content(handle: StorageHandle): Promise<[string, ...number[]][]> {
  const blobs: [string, ...number[]][] = []
  for await (const { id, bytes } of handle.read()) blobs.push([id, ...bytes])
  return blobs
}

test('reads what was written, ids ascending, also by a handle opened later', async () => {
  const storage = memory()
  const handle = await storage.open('db')
  await handle.write(batch(1, [blob('0a', 1), blob('0b', 2)]), 'relaxed')
  await handle.write(batch(1, [blob('0c', 3), blob('0d')], ['0b', '0d', 'none']), 'strict')
  expect(await content(handle)).toEqual([
    ['0a', 1],
    ['0c', 3],
  ])
  expect(await handle.bytesUsed()).toBe(2)
  await handle.close()
  expect(await content(await storage.open('db'))).toEqual([
    ['0a', 1],
    ['0c', 3],
  ])
  expect(await content(await storage.open('other'))).toEqual([])
  expect(await content(await memory().open('db'))).toEqual([])
})

test('keeps copies: neither the writer nor a reader can change what is stored', async () => {
  const handle = await memory().open('db')
  const written = blob('a', 1)
  await handle.write(batch(1, [written]), 'strict')
  written.bytes[0] = 7
  for await (const { bytes } of handle.read()) bytes[0] = 8
  expect(await content(handle)).toEqual([['a', 1]])
})

test('a batch that is refused leaves nothing', async () => {
  const storage = memory()
  const handle = await storage.open('db')
  await handle.write(batch(2, [blob('a', 1)]), 'strict')
  expect(await codeOf(() => handle.write(batch(1, [blob('b', 1)], ['a']), 'strict'))).toBe('NOT_LEADER')
  const large = { id: 'c', bytes: new Uint8Array(storage.maxBlobBytes + 1) }
  expect(await codeOf(() => handle.write(batch(3, [blob('b', 1), large], ['a']), 'strict'))).toBe('TOO_LARGE')
  expect(await content(handle)).toEqual([['a', 1]])
  await handle.write(batch(2, [blob('b', 1)]), 'strict')
})

test('no blob is written over, nor is the id of a deleted one used again', async () => {
  const storage = memory()
  const [one, other] = [await storage.open('db'), await storage.open('db')]
  await one.write(batch(1, [blob('b', 1)]), 'strict')
  expect(await codeOf(() => other.write(batch(1, [blob('b', 2)]), 'strict'))).toBe('NOT_LEADER')
  expect(await codeOf(() => other.write(batch(9, [blob('b', 2), blob('c', 2)]), 'strict'))).toBe('NOT_LEADER')
  await one.write(batch(1, [blob('c', 1)], ['b']), 'strict')
  expect(await codeOf(() => other.write(batch(9, [blob('b', 2)]), 'strict'))).toBe('NOT_LEADER')
  expect(await content(other)).toEqual([['c', 1]])
})

test('a closed handle does nothing more', async () => {
  const handle = await memory().open('db')
  await handle.close()
  await handle.close()
  expect(await codeOf(() => handle.write(batch(1, []), 'strict'))).toBe('CLOSED')
  expect(await codeOf(() => handle.bytesUsed())).toBe('CLOSED')
  expect(await codeOf(() => content(handle))).toBe('CLOSED')
})

test('a signal that is aborted opens nothing', async () => {
  await expect(memory().open('db', AbortSignal.abort('enough'))).rejects.toBe('enough')
})
