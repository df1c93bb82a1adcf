// The origin private file system as a medium: a log in a folder of its own for each database, by the handles that only a
// dedicated worker can have.

import { RevkvError, storageError } from '../errors.js'
import { folderName, type LogFile, type LogFolder } from '../log/folder.js'
import { Log } from '../log/log.js'
import type { TornTail } from '../log/torn-tail.js'
import type { StorageAdapter } from '../types.js'

export type { TornTail } from '../log/torn-tail.js'

/** What `opfs` may be told. */
export interface OpfsOptions {
  /** Is told at opening what was cut off the end: writes of a tab that was stopped, none of them confirmed as strict. */
  onTornTail?: (tail: TornTail) => void
}

const maxBlobBytes = 256 * 1024
/** For the deletions and compactions of a full disk. */
const spareBytes = 256 * 1024
/** A handle outlives its worker while a write is in progress. Beyond this someone is really there. */
const waitMsMax = 2000

/**
 * Keeps a store in the origin private file system, in the folder `revkv-<name>`. "strict" is a flush of the file.
 *
 * Only for a dedicated worker, which the page should tell by `tellPageLife` of `revkv/tabs` when it is put aside: in the
 * back/forward cache it would keep its files, and other tabs would wait.
 *
 * @example
 * const store = await open({ name: 'notes', storage: opfs() })
 */
export function opfs(options: OpfsOptions = {}): StorageAdapter {
  return {
    name: 'opfs',
    maxBlobBytes,
    supports: { strict: true, persistent: true, sharedByTabs: true },
    async open(database, signal) {
      signal?.throwIfAborted()
      const folder = await OpfsFolder.open(folderName(database), signal)
      return Log.open(folder, { maxBlobBytes, spareBytes, onTornTail: options.onTornTail })
    },
  }
}

/** What the platform's types keep for programs that are workers as a whole. */
interface SyncHandle {
  getSize(): number
  read(bytes: Uint8Array, options: { at: number }): number
  write(bytes: Uint8Array, options: { at: number }): number
  truncate(length: number): void
  flush(): void
  close(): void
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncHandle> }

class OpfsFolder implements LogFolder {
  readonly #directory: FileSystemDirectoryHandle
  /** Held open as long as the folder is ours: nobody else can open it. */
  readonly #lock: SyncHandle

  private constructor(directory: FileSystemDirectoryHandle, lock: SyncHandle) {
    this.#directory = directory
    this.#lock = lock
  }

  static async open(name: string, signal: AbortSignal | undefined): Promise<OpfsFolder> {
    if (typeof navigator === 'undefined' || !navigator.storage?.getDirectory) {
      throw new RevkvError('STORAGE_LOST', 'There is no origin private file system here.')
    }
    if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) {
      throw new RevkvError('STORAGE_LOST', 'opfs() works in a dedicated worker only: open the store in one.')
    }
    try {
      const root = await navigator.storage.getDirectory()
      const directory = await root.getDirectoryHandle(name, { create: true })
      return new OpfsFolder(directory, await syncHandle(directory, 'lock', true, signal))
    } catch (e) {
      throw signal?.aborted ? signal.reason : storageError(e)
    }
  }

  async list(): Promise<string[]> {
    const names = []
    // Not known to the types of a page: the handle's own names.
    const { keys } = this.#directory as unknown as { keys(): AsyncIterable<string> }
    for await (const name of keys.call(this.#directory)) names.push(name)
    return names
  }

  async open(name: string, create: boolean): Promise<LogFile> {
    const handle = await syncHandle(this.#directory, name, create)
    if (create) handle.truncate(0)
    return new OpfsFile(handle)
  }

  remove(name: string): Promise<void> {
    return this.#directory.removeEntry(name)
  }

  async isOurs(): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {
    this.#lock.close()
  }
}

/** The only handle of a file. It is waited for, because that of a worker which has just ended may still be there. */
async function syncHandle(
  directory: FileSystemDirectoryHandle,
  name: string,
  create: boolean,
  signal?: AbortSignal,
): Promise<SyncHandle> {
  const handle = (await directory.getFileHandle(name, { create })) as FileHandle
  for (let waitedMs = 0, pauseMs = 10; ; ) {
    signal?.throwIfAborted()
    try {
      return await handle.createSyncAccessHandle()
    } catch (e) {
      if (!(e instanceof Error) || e.name !== 'NoModificationAllowedError') throw e
      if (waitedMs >= waitMsMax) {
        const text = `"${directory.name}" is open in another tab or worker; close that first.`
        throw new RevkvError('STORAGE_BLOCKED', text, { cause: e })
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    waitedMs += pauseMs
    pauseMs = Math.min(2 * pauseMs, 200)
  }
}

class OpfsFile implements LogFile {
  readonly #handle: SyncHandle

  constructor(handle: SyncHandle) {
    this.#handle = handle
  }

  async size(): Promise<number> {
    return this.#handle.getSize()
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#handle.getSize() - at)))
    return bytes.subarray(0, this.#handle.read(bytes, { at }))
  }

  async write(at: number, bytes: Uint8Array): Promise<number> {
    return this.#handle.write(bytes, { at })
  }

  async truncate(length: number): Promise<void> {
    this.#handle.truncate(length)
  }

  async flush(): Promise<void> {
    this.#handle.flush()
  }

  async close(): Promise<void> {
    this.#handle.close()
  }
}
