// A medium in memory: the reference of what an adapter does, and a store's contents for as long as the adapter lives.

import { RevkvError } from '../errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from '../types.js'

/** As large as what the browser's storage takes well, so that a store behaves the same on both. */
const maxBlobBytes = 48 * 1024

interface Medium {
  blobs: Map<string, Uint8Array>
  epoch: number
  /** The highest id ever put. */
  head: string
}

/**
 * Keeps databases in memory, by name, as long as this adapter object is kept: closing a store and opening it again with
 * the same adapter finds everything. Two calls of `memory()` share nothing.
 *
 * @example
 * const storage = memory()
 * const store = await open({ storage })
 */
export function memory(): StorageAdapter {
  const media = new Map<string, Medium>()
  return {
    name: 'memory',
    maxBlobBytes,
    supports: { strict: true, persistent: false, sharedByTabs: false },
    async open(database, signal) {
      signal?.throwIfAborted()
      let medium = media.get(database)
      if (!medium) {
        medium = { blobs: new Map(), epoch: 0, head: '' }
        media.set(database, medium)
      }
      return new MemoryHandle(medium)
    },
  }
}

class MemoryHandle implements StorageHandle {
  readonly #medium: Medium
  #closed = false

  constructor(medium: Medium) {
    this.#medium = medium
  }

  async *read(): AsyncGenerator<{ id: string; bytes: Uint8Array }> {
    this.#checkOpen()
    const blobs = [...this.#medium.blobs].sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [id, bytes] of blobs) yield { id, bytes: bytes.slice() }
  }

  async write(batch: StorageBatch): Promise<void> {
    this.#checkOpen()
    const medium = this.#medium
    if (batch.epoch < medium.epoch || batch.put.some(({ id }) => id <= medium.head)) {
      throw new RevkvError('NOT_LEADER', `Another store has written to this database since (epoch ${medium.epoch}).`)
    }
    const large = batch.put.find(({ bytes }) => bytes.length > maxBlobBytes)
    if (large) throw new RevkvError('TOO_LARGE', `Blob ${large.id} is larger than ${maxBlobBytes} bytes.`)
    medium.epoch = batch.epoch
    for (const { id, bytes } of batch.put) {
      medium.blobs.set(id, new Uint8Array(bytes))
      if (id > medium.head) medium.head = id
    }
    for (const id of batch.delete) medium.blobs.delete(id)
  }

  async bytesUsed(): Promise<number> {
    this.#checkOpen()
    let total = 0
    for (const bytes of this.#medium.blobs.values()) total += bytes.length
    return total
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw new RevkvError('CLOSED', 'This handle of the medium is closed.')
  }
}
