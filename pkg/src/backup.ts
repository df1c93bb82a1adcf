// Backups: what the engine packs, as one piece or as a stream, and read from either.

import { copyBytes, isBytes } from './codecs.js'
import { invalidArgument } from './errors.js'
import type { Backup } from './types.js'

/** What a stream gives at a time: little enough for any sink, and few enough turns. */
const chunkBytes = 64 * 1024

export class StoreBackup implements Backup {
  readonly revision: number
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, revision: number) {
    this.#bytes = bytes
    this.revision = revision
  }

  get size(): number {
    return this.#bytes.length
  }

  stream(): ReadableStream<Uint8Array> {
    const bytes = this.#bytes
    let at = 0
    return new ReadableStream({
      pull(controller) {
        if (at < bytes.length) controller.enqueue(bytes.slice(at, at + chunkBytes))
        at += chunkBytes
        if (at >= bytes.length) controller.close()
      },
    })
  }

  async bytes(): Promise<Uint8Array> {
    return this.#bytes.slice()
  }
}

/** All bytes of a backup. */
export async function readBackup(source: unknown): Promise<Uint8Array> {
  if (isBytes(source)) return copyBytes(source)
  const reader = (source as ReadableStream<Uint8Array> | undefined)?.getReader?.()
  if (!reader) throw invalidArgument('source: expected a ReadableStream of bytes, or a Uint8Array.')
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    if (!isBytes(value)) throw invalidArgument('source: the stream gave something that is no Uint8Array.')
    chunks.push(copyBytes(value))
    size += value.length
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
