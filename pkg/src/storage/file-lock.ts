// One process at a time, by a file that names the process which has it. Node has no lock of the operating system's to
// offer, so whether that process is still there is judged: by its number, and on Linux by when it began and since which
// start of the machine, because numbers are given again.

import { RevkvError } from '../errors.js'
import { codeOf, type NodeModules } from './node.js'

/** A process that is just ending lets go well within this; beyond it someone is really there. */
const waitMsMax = 2000
const retryMs = 25

export interface FileLock {
  /** False when the file is not the one that was made here. */
  isHeld(): Promise<boolean>
  release(): Promise<void>
}

interface Owner {
  /** Drawn for each lock. */
  token: string
  pid: number
  /** What the system says of when it began; '' where it does not. */
  started: string
}

/** Takes the lock, or STORAGE_BLOCKED when a process that is alive keeps it. */
export async function takeFileLock(node: NodeModules, path: string, signal?: AbortSignal): Promise<FileLock> {
  const owner: Owner = { token: crypto.randomUUID(), pid: node.process.pid, started: await startOf(node) }
  for (let waitedMs = 0; ; ) {
    signal?.throwIfAborted()
    const lock = await create(node, path, owner)
    if (lock) return lock
    const text = await contents(node, path)
    if (text === undefined) continue
    const other = decoded(text)
    // A file without an owner is being written, or its writer was stopped in the middle.
    const dead = other ? !(await isAlive(node, other)) : waitedMs >= waitMsMax
    if (dead) {
      await retire(node, path, text)
      continue
    }
    if (waitedMs >= waitMsMax) {
      throw new RevkvError(
        'STORAGE_BLOCKED',
        `"${path}" is held by process ${other?.pid}; close the store there first.`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs))
    waitedMs += retryMs
  }
}

/** The lock, or nothing when there is a file already. */
async function create(node: NodeModules, path: string, owner: Owner): Promise<FileLock | undefined> {
  const { fs } = node
  let handle: Awaited<ReturnType<typeof fs.open>>
  try {
    handle = await fs.open(path, 'wx')
  } catch (e) {
    if (codeOf(e) === 'EEXIST') return undefined
    throw e
  }
  try {
    const bytes = new TextEncoder().encode(JSON.stringify(owner))
    await handle.write(bytes, 0, bytes.length, 0)
    const { ino, mtimeMs } = await handle.stat()
    const isHeld = async () => {
      const now = await fs.stat(path).catch(() => undefined)
      return now?.ino === ino && now.mtimeMs === mtimeMs
    }
    return {
      isHeld,
      async release() {
        if (await isHeld()) await fs.unlink(path).catch(() => {})
      },
    }
  } finally {
    await handle.close()
  }
}

/**
 * Takes the file of a dead owner away. Between the judgement and this another may have done so and made a lock of its own:
 * then that one is put back.
 */
async function retire(node: NodeModules, path: string, judged: string): Promise<void> {
  const { fs } = node
  const aside = `${path}.${crypto.randomUUID()}`
  try {
    await fs.rename(path, aside)
  } catch (e) {
    if (codeOf(e) === 'ENOENT') return
    throw e
  }
  // If a third has made a lock in the meantime, the second finds at its next write that its own is gone.
  if ((await contents(node, aside)) !== judged) await fs.link(aside, path).catch(() => {})
  await fs.unlink(aside)
}

async function contents(node: NodeModules, path: string): Promise<string | undefined> {
  try {
    return await node.fs.readFile(path, 'utf8')
  } catch (e) {
    if (codeOf(e) === 'ENOENT') return undefined
    throw e
  }
}

function decoded(text: string): Owner | undefined {
  try {
    const { token, pid, started } = JSON.parse(text) as Partial<Owner>
    return Number.isSafeInteger(pid)
      ? { token: String(token), pid: pid as number, started: String(started) }
      : undefined
  } catch {
    return undefined
  }
}

async function isAlive(node: NodeModules, { pid, started }: Owner): Promise<boolean> {
  try {
    node.process.kill(pid, 0)
  } catch (e) {
    // EPERM: it is there, and another user's.
    if (codeOf(e) === 'ESRCH') return false
  }
  return started === '' || started === (await startOf(node, pid))
}

/** On Linux, which start of the machine and how long after it the process began. */
async function startOf(node: NodeModules, pid = node.process.pid): Promise<string> {
  if (node.process.platform !== 'linux') return ''
  try {
    const boot = await node.fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const stat = await node.fs.readFile(`/proc/${pid}/stat`, 'utf8')
    // The second field is a name in parentheses, which may hold anything; the third is the state, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended is listed until its parent has taken notice.
    return fields[0] === 'Z' ? '' : `${boot.trim()} ${fields[19]}`
  } catch {
    return ''
  }
}
