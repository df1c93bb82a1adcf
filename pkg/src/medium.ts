// One opened database of a storage: read into an engine, written to, and opened again after it has failed.

import { copyBytes, isBytes } from './codecs.js'
import { RevkvError, storageError } from './errors.js'
import type { StorageAdapter, StorageBatch, StorageHandle } from './types.js'
import { Core } from './wasm.js'

/**
 * How long a storage may take to answer. A medium that is slow, or asked for a lot at once, needs seconds; whoever waits
 * longer than this would wait for ever. It is counted in ticks, because a sleep of the page, however long, is one of them.
 */
const answerTicksMax = 6
const tickMs = 10_000

/** A storage that has given no answer once is not waited for again. */
const silences = new WeakSet<RevkvError>()

export function isSilence(error: RevkvError): boolean {
  return silences.has(error)
}

/** The answer of a storage, or STORAGE_LOST when none comes. */
async function answered<T>(asking: Promise<T>, ticksMax = answerTicksMax): Promise<T> {
  let timer: ReturnType<typeof setInterval> | undefined
  const silence = new Promise<never>((_, reject) => {
    let ticks = 0
    timer = setInterval(() => {
      if (++ticks < ticksMax) return
      const text = 'The storage gives no answer; whether it was written is known after opening again.'
      const error = new RevkvError('STORAGE_LOST', text)
      silences.add(error)
      reject(error)
    }, tickMs)
  })
  try {
    return await Promise.race([asking, silence])
  } finally {
    clearInterval(timer)
  }
}

export class Medium {
  readonly adapter: StorageAdapter
  /** The highest id of a blob that was there when it was last read. */
  lastId = ''
  readonly #name: string
  readonly #maxBytes: number
  #handle: StorageHandle

  private constructor(adapter: StorageAdapter, name: string, maxBytes: number, handle: StorageHandle) {
    this.adapter = adapter
    this.#name = name
    this.#maxBytes = maxBytes
    this.#handle = handle
  }

  /** `maxBytes`: of the engines that are made of it. */
  static async open(adapter: StorageAdapter, name: string, maxBytes: number, signal?: AbortSignal): Promise<Medium> {
    return new Medium(adapter, name, maxBytes, await openedInTime(adapter, name, signal))
  }

  /** Opens it again: a handle that has failed once is not asked again. */
  async reopen(): Promise<void> {
    await this.close(1)
    this.#handle = await openedInTime(this.adapter, this.#name, undefined)
  }

  /**
   * An engine that has read all there is, and is not started: in an instance of its own, or beside another engine that is
   * to adopt it. `refused` is told of a blob that cannot be read.
   */
  async recover(how: { signal?: AbortSignal | undefined; refused?: (e: unknown) => void; beside?: Core } = {}) {
    const { signal, refused, beside } = how
    const limits = [this.adapter.maxBlobBytes, this.#maxBytes] as const
    const core = beside?.beside(newIncarnation(), ...limits) ?? newCore(...limits)
    this.lastId = ''
    try {
      const blobs = this.#handle.read()[Symbol.asyncIterator]()
      for (;;) {
        const { done, value: blob } = await answered(blobs.next())
        if (done) break
        signal?.throwIfAborted()
        try {
          const { id, bytes } = checkBlob(blob)
          this.lastId = id
          core.call((engine) => engine.recover(id, bytes))
        } catch (e) {
          if (!refused) throw e
          refused(e)
        }
      }
      signal?.throwIfAborted()
      return core
    } catch (e) {
      core.free()
      throw signal?.aborted ? signal.reason : storageError(e)
    }
  }

  /** Resolves when the storage has taken the batch. */
  async write(batch: StorageBatch, durability: 'relaxed' | 'strict'): Promise<void> {
    try {
      await answered(this.#handle.write(batch, durability))
    } catch (e) {
      throw storageError(e)
    }
  }

  /** How much the database takes, if the storage knows. */
  async bytesUsed(): Promise<number | undefined> {
    try {
      const bytes = await answered(this.#handle.bytesUsed())
      return Number.isFinite(bytes) ? bytes : undefined
    } catch {
      // Being closed, or without such an answer: nothing depends on it.
      return undefined
    }
  }

  /** Lets go of the storage, which has no say in it. */
  async close(ticksMax = answerTicksMax): Promise<void> {
    try {
      await answered(this.#handle.close(), ticksMax)
    } catch {
      // Everything that could be lost by it has been written before, or told.
    }
  }
}

/** `maxBytes` 0: without a bound. */
export function newCore(maxBlobBytes: number, maxBytes: number): Core {
  return new Core(newIncarnation(), maxBlobBytes, maxBytes)
}

/** Names a life of a store. */
export function newIncarnation(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16))
}

/** A handle, or STORAGE_LOST when none comes; one that comes after all is let go again. */
async function openedInTime(
  adapter: StorageAdapter,
  name: string,
  signal: AbortSignal | undefined,
): Promise<StorageHandle> {
  const opening = opened(adapter, name, signal)
  let late = false
  const letGo = async (handle: StorageHandle) => {
    if (late) await handle.close()
  }
  opening.then(letGo).catch(() => {})
  try {
    return await answered(opening)
  } catch (e) {
    late = true
    throw e
  }
}

async function opened(adapter: StorageAdapter, name: string, signal: AbortSignal | undefined): Promise<StorageHandle> {
  let handle: StorageHandle
  try {
    handle = await adapter.open(name, signal)
  } catch (e) {
    throw signal?.aborted ? signal.reason : storageError(e)
  }
  const has = (name: 'read' | 'write' | 'close') => typeof handle?.[name] === 'function'
  if (has('read') && has('write') && has('close')) return handle
  if (has('close')) await handle.close().catch(() => {})
  throw new RevkvError('INVALID_ARGUMENT', 'storage: its open gave no handle with read, write and close.')
}

/** What a medium gives can be anything, and the engine's memory is no place to find out. */
function checkBlob(blob: unknown): { id: string; bytes: Uint8Array } {
  const { id, bytes } = (blob ?? {}) as Record<string, unknown>
  if (typeof id !== 'string') throw new RevkvError('CORRUPT', `A blob's id is no text but of type ${typeof id}.`)
  try {
    if (isBytes(bytes)) return { id, bytes: copyBytes(bytes) }
  } catch {
    // Of a buffer that was transferred: as good as none.
  }
  throw new RevkvError('CORRUPT', `Blob ${id} is no Uint8Array.`)
}
