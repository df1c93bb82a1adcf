// Batches by chance, and what a log holds behind each of them.

import type { Random } from '../../src/conformance/random.js'
import { Log } from '../../src/log/log.js'
import type { TornTail } from '../../src/log/torn-tail.js'
import type { StorageBatch, StorageHandle } from '../../src/types.js'
import type { Disk } from './disk.js'

/** So small that a few batches fill a segment, and one takes several steps to be copied. */
export const small = { maxBlobBytes: 4096, segmentBytes: 1500, copyBytesMin: 300 }

export interface Step {
  batch: StorageBatch
  durability: 'relaxed' | 'strict'
}

const known = new Map<string, Uint8Array>()

/** A blob's bytes follow from its id, so that a wrong one is known by itself. */
export function bytesOf(id: string, length: number): Uint8Array {
  const key = `${id}:${length}`
  const seed = Number.parseInt(id, 16)
  const bytes = known.get(key) ?? Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + length) % 256)
  known.set(key, bytes)
  return bytes
}

export function workload(
  random: Random,
  batches: number,
  { strict = 3, purge = 12, gone: each = 6, large = 4 } = {},
): Step[] {
  const live: string[] = []
  let next = 1
  return Array.from({ length: batches }, (_, i) => {
    const put = Array.from({ length: random.below(4) }, () => {
      const id = (next++).toString(16).padStart(16, '0')
      return { id, bytes: bytesOf(id, random.below(large) === 0 ? random.below(900) : random.below(90)) }
    })
    // Now and then nearly all goes, as in a compaction.
    const odds = random.below(purge) === 0 ? 1 : each
    const gone = live.filter(() => random.below(odds) === 0)
    live.splice(0, live.length, ...live.filter((id) => !gone.includes(id)), ...put.map(({ id }) => id))
    return {
      batch: { epoch: 1 + (i >> 3), put, delete: gone },
      durability: random.below(strict) === 0 ? 'strict' : 'relaxed',
    }
  })
}

/** What is there behind each batch, the first of them none. */
export function statesOf(steps: Step[]): string[] {
  const model = new Map<string, Uint8Array>()
  const states = [fingerprint(model)]
  for (const { batch } of steps) {
    for (const { id, bytes } of batch.put) model.set(id, bytes)
    for (const id of batch.delete) model.delete(id)
    states.push(fingerprint(model))
  }
  return states
}

function fingerprint(blobs: Map<string, Uint8Array>): string {
  return [...blobs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, bytes]) => `${id}:${bytes.length}`)
    .join()
}

/** What is read, each byte compared. */
export async function found(handle: StorageHandle): Promise<string> {
  const blobs = new Map<string, Uint8Array>()
  for await (const { id, bytes } of handle.read()) {
    if (Buffer.compare(bytesOf(id, bytes.length), bytes) !== 0) throw new Error(`blob ${id} is wrong`)
    blobs.set(id, bytes)
  }
  return fingerprint(blobs)
}

export async function opened(disk: Disk, spareBytes = 0): Promise<{ log: Log; torn: TornTail | undefined }> {
  let torn: TornTail | undefined
  const log = await Log.open(disk, {
    ...small,
    spareBytes,
    onTornTail: (tail) => {
      torn = tail
    },
  })
  return { log, torn }
}
