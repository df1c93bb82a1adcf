// Files of Node, Bun and Deno as a medium: a log in a folder of its own for each database.

import { invalidArgument, RevkvError, storageError } from '../errors.js'
import { folderName, type LogFile, type LogFolder } from '../log/folder.js'
import { Log } from '../log/log.js'
import type { TornTail } from '../log/torn-tail.js'
import type { StorageAdapter } from '../types.js'
import { type FileLock, takeFileLock } from './file-lock.js'
import { codeOf, type NodeFileHandle, type NodeModules, nodeModules } from './node.js'

export type { TornTail } from '../log/torn-tail.js'

/** What `file` is told. */
export interface FileOptions {
  /** Where the databases are kept, each in a folder `revkv-<name>`. It is made when it is not there. */
  folder: string
  /** Is told at opening what was cut off the end: writes of a process that was stopped, none of them confirmed as strict. */
  onTornTail?: (tail: TornTail) => void
}

const maxBlobBytes = 256 * 1024
/** For the deletions and compactions of a full disk. */
const spareBytes = 256 * 1024

/**
 * Keeps a store in files. "strict" is fdatasync, and a sync of the folder where a file came or went.
 *
 * One process at a time has a database open; another is told STORAGE_BLOCKED after 2 s. The lock is a file that names its
 * process, and one whose process has ended does not count. That is known for processes of one machine that see each
 * other; so do not put a database on a network drive, nor in a folder that two containers have open at the same time.
 * Should a lock be taken away all the same, the next write of the one who had it is refused with NOT_LEADER.
 *
 * @example
 * const store = await open({ name: 'notes', storage: file({ folder: './data' }) })
 */
export function file(options: FileOptions): StorageAdapter {
  const { folder, onTornTail } = options ?? {}
  if (typeof folder !== 'string' || folder === '') throw invalidArgument('folder: expected the path of a folder.')
  return {
    name: 'file',
    maxBlobBytes,
    supports: { strict: true, persistent: true, sharedByTabs: false },
    async open(database, signal) {
      signal?.throwIfAborted()
      const node = nodeModules()
      const path = node.path.resolve(folder, folderName(database))
      const opened = await NodeFolder.open(node, path, signal)
      return Log.open(opened, { maxBlobBytes, spareBytes, onTornTail })
    },
  }
}

class NodeFolder implements LogFolder {
  readonly #node: NodeModules
  readonly #path: string
  readonly #lock: FileLock

  private constructor(node: NodeModules, path: string, lock: FileLock) {
    this.#node = node
    this.#path = path
    this.#lock = lock
  }

  static async open(node: NodeModules, path: string, signal: AbortSignal | undefined): Promise<NodeFolder> {
    try {
      await makeFolder(node, path)
      return new NodeFolder(node, path, await takeFileLock(node, path, signal))
    } catch (e) {
      throw signal?.aborted ? signal.reason : storageError(e)
    }
  }

  list(): Promise<string[]> {
    return this.#node.fs.readdir(this.#path)
  }

  async open(name: string, create: boolean): Promise<LogFile> {
    const handle = await this.#node.fs.open(this.#node.path.join(this.#path, name), create ? 'w+' : 'r+')
    if (create) await syncFolder(this.#node, this.#path)
    return new NodeFile(handle)
  }

  async remove(name: string): Promise<void> {
    await this.#node.fs.unlink(this.#node.path.join(this.#path, name))
    await syncFolder(this.#node, this.#path)
  }

  isOurs(): Promise<boolean> {
    return this.#lock.isHeld()
  }

  async isKept(): Promise<boolean> {
    return true
  }

  close(): Promise<void> {
    return this.#lock.release()
  }
}

class NodeFile implements LogFile {
  readonly #handle: NodeFileHandle

  constructor(handle: NodeFileHandle) {
    this.#handle = handle
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const size = await this.size()
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - at)))
    let done = 0
    while (done < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, at + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes.subarray(0, done)
  }

  async write(at: number, bytes: Uint8Array): Promise<number> {
    return (await this.#handle.write(bytes, 0, bytes.length, at)).bytesWritten
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  flush(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** Makes a folder and those above it. That they are there is durable. */
async function makeFolder(node: NodeModules, path: string): Promise<void> {
  const first = await node.fs.mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = node.path.dirname(made)) {
    await syncFolder(node, node.path.dirname(made))
  }
}

async function syncFolder(node: NodeModules, path: string): Promise<void> {
  // There a folder cannot be opened, and what is in it is kept by a journal of the system's.
  if (node.process.platform === 'win32') return
  const handle = await node.fs.open(path, 'r')
  try {
    await handle.sync()
  } catch (e) {
    // Some file systems have nothing to sync in a folder, and say so.
    if (codeOf(e) !== 'EINVAL') throw new RevkvError('STORAGE_LOST', `"${path}" cannot be synced.`, { cause: e })
  } finally {
    await handle.close()
  }
}
