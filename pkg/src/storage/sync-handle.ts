// The handles that only a dedicated worker can have, and that are waited for.

import { RevkvError } from '../errors.js'

/** What the platform's types keep for programs that are workers as a whole. */
export interface SyncHandle {
  /** Not told by browsers that know one mode only. */
  readonly mode?: string
  getSize(): number
  read(bytes: Uint8Array, options: { at: number }): number
  write(bytes: Uint8Array, options: { at: number }): number
  truncate(length: number): void
  flush(): void
  close(): void
}

interface HandleOptions {
  create: boolean
  /** "readwrite", of which there is one at a time, if nothing else is said. */
  mode?: 'readwrite-unsafe'
  signal?: AbortSignal | undefined
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(options?: { mode: string }): Promise<SyncHandle> }

/** A handle outlives its worker while a write is in progress. Beyond this someone is really there, or frozen. */
const waitMsMax = 1000

/** The handle of a file; STORAGE_BLOCKED where another has it for longer than that of a worker that has just ended. */
export async function syncHandle(
  directory: FileSystemDirectoryHandle,
  name: string,
  { create, mode, signal }: HandleOptions,
): Promise<SyncHandle> {
  const handle = (await directory.getFileHandle(name, { create })) as FileHandle
  for (let waitedMs = 0, pauseMs = 10; ; ) {
    signal?.throwIfAborted()
    try {
      return await handle.createSyncAccessHandle(mode && { mode })
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
