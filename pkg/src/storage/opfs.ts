// The origin private file system as a medium: a log in a folder of its own for each database, by the handles that only a
// dedicated worker can have.
//
//   revkv-<name>/   fence   lock   mark   00000001.log ...
//                   moved-<the next place>/   lock   mark   00000001.log ...
//
// A database begins in its own folder, and is moved to a folder in that when a worker that does not answer has it open.

import { RevkvError, storageError } from '../errors.js'
import { folderName, type LogFile, type LogFolder } from '../log/folder.js'
import { Log } from '../log/log.js'
import { markName } from '../log/mark.js'
import { segmentNumber } from '../log/places.js'
import type { TornTail } from '../log/torn-tail.js'
import type { StorageAdapter } from '../types.js'
import { Fence, fenceName } from './fence.js'
import { type SyncHandle, syncHandle } from './sync-handle.js'

export type { TornTail } from '../log/torn-tail.js'

/** What `opfs` may be told. */
export interface OpfsOptions {
  /** Is told at opening what was cut off the end: writes of a tab that was stopped, none of them confirmed as strict. */
  onTornTail?: (tail: TornTail) => void
}

const maxBlobBytes = 256 * 1024
/** For the deletions and compactions of a full disk. */
const spareBytes = 256 * 1024
const lockName = 'lock'
const movedPrefix = 'moved-'
/** Copied at once. */
const copyBytes = 1024 * 1024
/** Whoever wakes up while its files are copied may change them once, before it finds out. */
const copyTriesMax = 5

/**
 * Keeps a store in the origin private file system, in the folder `revkv-<name>`. "strict" is a flush of the file.
 *
 * Only for a dedicated worker, which the page should tell by `tellPageLife` of `revkv/tabs` when it is put aside.
 *
 * Where another worker has it open and does not let go of it for a second, Chromium lets it be copied: then that one's next
 * write is `NOT_LEADER`, as in IndexedDB. Other browsers answer `STORAGE_BLOCKED`, and so does Chromium without room for a copy.
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
      const log = await Log.open(folder, { maxBlobBytes, spareBytes, onTornTail: options.onTornTail })
      try {
        folder.arrive(log.sequence)
      } catch (e) {
        await log.close()
        throw storageError(e)
      }
      return log
    },
  }
}

/** Where a database is, or was. */
interface Place {
  /** How often it has moved to get there. */
  number: number
  directory: FileSystemDirectoryHandle
}

class OpfsFolder implements LogFolder {
  readonly #place: Place
  readonly #fence: Fence
  /** Held open as long as the folder is ours: nobody else can open it. */
  readonly #lock: SyncHandle
  /** Its name for this place, while the database is on the way here. */
  #arriving: bigint | undefined

  private constructor(place: Place, fence: Fence, lock: SyncHandle, arriving?: bigint) {
    this.#place = place
    this.#fence = fence
    this.#lock = lock
    this.#arriving = arriving
  }

  static async open(name: string, signal: AbortSignal | undefined): Promise<OpfsFolder> {
    if (typeof navigator === 'undefined' || !navigator.storage?.getDirectory) {
      throw new RevkvError('STORAGE_LOST', 'There is no origin private file system here.')
    }
    if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) {
      throw new RevkvError('STORAGE_LOST', 'opfs() works in a dedicated worker only: open the store in one.')
    }
    let fence: Fence | undefined
    try {
      const root = await navigator.storage.getDirectory()
      const home = await root.getDirectoryHandle(name, { create: true })
      fence = await Fence.open(home, signal)
      return await OpfsFolder.#open(home, fence, signal)
    } catch (e) {
      fence?.close()
      throw signal?.aborted ? signal.reason : storageError(e)
    }
  }

  static async #open(home: FileSystemDirectoryHandle, fence: Fence, signal: AbortSignal | undefined) {
    for (;;) {
      const place = await lastPlace(home, fence)
      const lock = await syncHandle(place.directory, lockName, { create: true, signal }).catch((e: unknown) => {
        if (!fence.isShared || !RevkvError.is(e) || e.code !== 'STORAGE_BLOCKED') throw e
      })
      if (!lock) return OpfsFolder.#move(home, fence, place)
      if (isLeft(fence, place)) {
        // Moved while its lock was waited for.
        lock.close()
        continue
      }
      fence.stay(place.number)
      await removeOthers(home, place)
      return new OpfsFolder(place, fence, lock)
    }
  }

  /** Copies a database out of a place whose lock is not to be had. */
  static async #move(home: FileSystemDirectoryHandle, fence: Fence, from: Place): Promise<OpfsFolder> {
    const next = crypto.getRandomValues(new BigUint64Array(1))[0] as bigint
    let lock: SyncHandle | undefined
    try {
      fence.depart(from.number, { next, through: undefined })
      const directory = await home.getDirectoryHandle(movedName(next), { create: true })
      lock = await syncHandle(directory, lockName, { create: true })
      await copyLog(from.directory, directory)
      return new OpfsFolder({ number: from.number + 1, directory }, fence, lock, next)
    } catch (e) {
      lock?.close()
      if (fence.departure(from.number)?.next === next) fence.stay(from.number)
      const error = storageError(e)
      if (error.code !== 'QUOTA_EXCEEDED') throw error
      const text = 'Another tab or worker has the database open and does not answer; there is no room to copy it.'
      throw new RevkvError('STORAGE_BLOCKED', text, { cause: e })
    }
  }

  /** The database is here from now on, with what was found of it: up to a sequence, all of it durable. */
  arrive(through: number): void {
    const next = this.#arriving
    if (next === undefined) return
    const from = this.#place.number - 1
    if (this.#fence.departure(from)?.next !== next) {
      throw new RevkvError('STORAGE_BLOCKED', 'Another tab or worker is taking the database over.')
    }
    this.#fence.depart(from, { next, through })
    this.#arriving = undefined
  }

  list(): Promise<string[]> {
    return namesIn(this.#place.directory)
  }

  async open(name: string, create: boolean): Promise<LogFile> {
    const handle = await syncHandle(this.#place.directory, name, { create })
    if (create) handle.truncate(0)
    return new OpfsFile(handle)
  }

  remove(name: string): Promise<void> {
    return this.#place.directory.removeEntry(name)
  }

  async isOurs(): Promise<boolean> {
    return this.#fence.departure(this.#place.number) === undefined
  }

  isKept(sequence: number): Promise<boolean> {
    return this.#fence.isKept(this.#place.number, sequence)
  }

  async close(): Promise<void> {
    this.#lock.close()
    this.#fence.close()
  }
}

async function lastPlace(home: FileSystemDirectoryHandle, fence: Fence): Promise<Place> {
  let [number, name] = [0, '']
  for (;;) {
    const departure = fence.departure(number)
    // The places in between may be gone.
    if (departure?.through === undefined) break
    name = movedName(departure.next)
    number++
  }
  return { number, directory: name === '' ? home : await home.getDirectoryHandle(name) }
}

function isLeft(fence: Fence, place: Place): boolean {
  return fence.departure(place.number)?.through !== undefined
}

/** What is in other places is of no use any more; what somebody has open still goes another time. */
async function removeOthers(home: FileSystemDirectoryHandle, { number, directory }: Place): Promise<void> {
  for (const name of await namesIn(home)) {
    const isNeeded = number === 0 ? !name.startsWith(movedPrefix) : name === fenceName || name === directory.name
    if (!isNeeded) await home.removeEntry(name, { recursive: true }).catch(() => {})
  }
}

/** A copy as a crash at some moment would have left it. The mark goes before what it speaks of. */
async function copyLog(from: FileSystemDirectoryHandle, to: FileSystemDirectoryHandle): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      const mark = await markIn(from)
      for (const name of await namesIn(from)) {
        if (segmentNumber(name) !== undefined) await copyFile(await fileIn(from, name), to, name)
      }
      if ((await markIn(from)).join() === mark.join()) {
        // Without one, nothing was ever written.
        if (mark.length > 0) await copyFile(new Blob([mark]), to, markName)
        return
      }
    } catch (e) {
      // A file that was removed, or written to, after it was asked for.
      if (!(e instanceof Error) || (e.name !== 'NotFoundError' && e.name !== 'NotReadableError')) throw e
    }
    if (tries === copyTriesMax) throw new RevkvError('STORAGE_BLOCKED', `"${from.name}" is written to by another tab.`)
  }
}

async function markIn(directory: FileSystemDirectoryHandle) {
  const isThere = (await namesIn(directory)).includes(markName)
  return isThere ? new Uint8Array(await (await fileIn(directory, markName)).arrayBuffer()) : new Uint8Array()
}

async function fileIn(directory: FileSystemDirectoryHandle, name: string): Promise<File> {
  return (await directory.getFileHandle(name)).getFile()
}

async function copyFile(file: Blob, to: FileSystemDirectoryHandle, name: string): Promise<void> {
  const handle = await syncHandle(to, name, { create: true })
  try {
    handle.truncate(0)
    for (let at = 0; at < file.size; at += copyBytes) {
      const bytes = new Uint8Array(await file.slice(at, at + copyBytes).arrayBuffer())
      if (handle.write(bytes, { at }) !== bytes.length) {
        throw new RevkvError('QUOTA_EXCEEDED', 'There is no room for a copy of the database.')
      }
    }
    handle.flush()
  } finally {
    handle.close()
  }
}

async function namesIn(directory: FileSystemDirectoryHandle): Promise<string[]> {
  const names = []
  // Not known to the types of a page: the handle's own names.
  const { keys } = directory as unknown as { keys(): AsyncIterable<string> }
  for await (const name of keys.call(directory)) names.push(name)
  return names
}

function movedName(next: bigint): string {
  return movedPrefix + next.toString(16).padStart(16, '0')
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
