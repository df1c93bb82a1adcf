import { readFileSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import {
  type OpenOptions,
  open,
  RevkvError,
  type StorageAdapter,
  type StorageHandle,
  type Store,
} from '../src/index.js'
import { memory } from '../src/storage/memory.js'

/** The engine as wasm-bindgen left it; the sources have no .wasm beside them. */
export const wasm = readFileSync(new URL('../wasm/revkv_bg.wasm', import.meta.url))

/** Opens a store that is closed when the test is over. */
export async function openStore<V = unknown>(options: OpenOptions<V> = {}): Promise<Store<V>> {
  const store = await open({ wasm, ...options })
  // A test of a storage that fails has the store closed before.
  onTestFinished(() => store.close().catch(() => {}))
  return store
}

/** The code of what a call throws or rejects with; 'none' when it does neither. */
export async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call()
    return 'none'
  } catch (e) {
    if (RevkvError.is(e)) return e.code
    throw e
  }
}

/** Lets every microtask that is due run, and those that they queue. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** `medium`, with parts of each handle replaced by those that `change` gives. */
export function changed(
  medium: StorageAdapter,
  change: (handle: StorageHandle) => Record<string, unknown>,
): StorageAdapter {
  const open: StorageAdapter['open'] = async (database, signal) => {
    const handle = await medium.open(database, signal)
    return {
      read: () => handle.read(),
      write: (batch, durability) => handle.write(batch, durability),
      bytesUsed: () => handle.bytesUsed(),
      close: () => handle.close(),
      ...change(handle),
    }
  }
  return { ...medium, open }
}

export interface WriteCall {
  puts: number
  bytes: number
  durability: 'relaxed' | 'strict'
}

/** An adapter as a user may write one: it passes everything on to another, and can hold, refuse and count batches. */
export class Gate implements StorageAdapter {
  readonly name = 'gate'
  readonly supports = { strict: true, persistent: false, sharedByTabs: false }
  readonly maxBlobBytes: number
  readonly batches: WriteCall[] = []
  /** What the next write fails with. */
  refusal: Error | undefined
  closed = 0
  readonly #medium: StorageAdapter
  #gate: Promise<void> = Promise.resolve()
  #lift: () => void = () => {}

  constructor(medium: StorageAdapter = memory()) {
    this.#medium = medium
    this.maxBlobBytes = medium.maxBlobBytes
  }

  /** Writes wait from now on until `lift`. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#lift = resolve
    })
  }

  lift(): void {
    this.#lift()
  }

  async open(database: string, signal?: AbortSignal) {
    const handle = await this.#medium.open(database, signal)
    return {
      read: () => handle.read(),
      bytesUsed: () => handle.bytesUsed(),
      close: async () => {
        this.closed++
        await handle.close()
      },
      write: async (batch: Parameters<typeof handle.write>[0], durability: 'relaxed' | 'strict') => {
        const bytes = batch.put.reduce((total, blob) => total + blob.bytes.length, 0)
        this.batches.push({ puts: batch.put.length, bytes, durability })
        await this.#gate
        if (this.refusal) throw this.refusal
        await handle.write(batch, durability)
      },
    }
  }
}
