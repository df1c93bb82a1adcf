// Backups: read out of the engine portion by portion, and read from bytes or a stream.

import { copyBytes, isBytes } from './codecs.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { Backup } from './types.js'
import type { Core } from './wasm.js'
import { type BackupInfo, readBackupInfo } from './wire.js'

/** What a backup needs of its store. */
export interface BackupSource {
  core: Core
  /** Counts its contents. */
  readonly life: number
  /** Nothing keeps a compaction from going on any more. */
  ended(): void
}

/**
 * A backup as it was cut: its revision and its size. Each reading takes the records from the engine as they are asked for;
 * until it ends, compaction removes nothing.
 */
export class StoreBackup implements Backup {
  readonly size: number
  readonly revision: number
  readonly #source: BackupSource
  readonly #life: number
  readonly #history: boolean

  constructor(source: BackupSource, revision: number, history: boolean) {
    this.#source = source
    this.#life = source.life
    this.#history = history
    const info = this.#begin(revision)
    this.#end(info.id)
    this.size = info.size
    this.revision = info.revision
  }

  stream(): ReadableStream<Uint8Array> {
    let id: number | undefined
    return new ReadableStream(
      {
        pull: (controller) => {
          id ??= this.#reopen()
          const portion = this.#read(id)
          if (portion) controller.enqueue(portion)
          else controller.close()
        },
        cancel: () => {
          if (id !== undefined) this.#end(id)
        },
      },
      // Nothing is read before somebody asks, so that a stream nobody reads holds nothing up.
      { highWaterMark: 0 },
    )
  }

  async bytes(): Promise<Uint8Array> {
    const bytes = new Uint8Array(this.size)
    const id = this.#reopen()
    let at = 0
    for (let portion = this.#read(id); portion; portion = this.#read(id)) {
      bytes.set(portion, at)
      at += portion.length
    }
    return bytes
  }

  #begin(revision: number): BackupInfo {
    return readBackupInfo(this.#source.core.call((engine) => engine.beginBackup(revision, this.#history)))
  }

  /** Begins a reading of what was cut, if it is all there still. */
  #reopen(): number {
    this.#checkLife()
    const { id, size } = this.#begin(this.revision)
    if (size === this.size) return id
    this.#end(id)
    throw new RevkvError(
      'COMPACTED',
      'Compaction has removed something of this backup, or its leases changed: make it again.',
    )
  }

  #read(id: number): Uint8Array | undefined {
    this.#checkLife()
    const portion = this.#source.core.call((engine) => engine.readBackup(id))
    if (!portion) this.#end(id)
    return portion
  }

  /** In another engine, or over another content, the number of a reading may be that of another's. */
  #checkLife(): void {
    if (this.#source.life === this.#life) return
    throw new RevkvError('RESTORED', "The store's content was replaced; what was there is gone.")
  }

  #end(id: number): void {
    if (this.#source.life !== this.#life) return
    try {
      this.#source.core.call((engine) => engine.endBackup(id))
    } catch (e) {
      // An engine that is gone holds nothing up.
      if (!RevkvError.is(e)) throw e
    }
    this.#source.ended()
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
