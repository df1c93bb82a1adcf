// One process at a time, by a file that names the process which has it. Node has no lock of the operating system's to
// offer, so whether that process is still there is judged: by its number, and on Linux by when it began and since which
// start of the machine, because numbers are given again.
//
//   lock.<number of the process>.<when it began>.<drawn>
//
// Whoever wants the folder makes a file of its own first and looks for others then. Of two that do so at once the later
// sees the earlier, so never do both get in; they may both step back, and try again. A file whose process has ended is
// removed by anyone: no other file ever has its name. (One name for all could only be taken from a dead owner by removing
// whatever is there, and by then that may be the lock of another who has come first.)

import { RevkvError } from '../errors.js'
import { codeOf, type NodeModules } from './node.js'

/** A process that is just ending lets go well within this; beyond it someone is really there. */
const waitMsMax = 2000
/** Between two tries, at least and at most: by chance, so that two who met do not meet again. */
const retryMs = [5, 40] as const

export interface FileLock {
  /** False when somebody has removed the file. */
  isHeld(): Promise<boolean>
  release(): Promise<void>
}

/** Takes the lock of a folder, or STORAGE_BLOCKED when a process that is alive keeps it. */
export async function takeFileLock(node: NodeModules, folder: string, signal?: AbortSignal): Promise<FileLock> {
  const { fs, path, process } = node
  const name = `lock.${process.pid}.${await startOf(node)}.${crypto.randomUUID()}`
  const own = path.join(folder, name)
  const remove = () => fs.unlink(own).catch(() => {})
  const until = Date.now() + waitMsMax
  for (;;) {
    signal?.throwIfAborted()
    await (await fs.open(own, 'wx')).close()
    try {
      const other = await otherOwner(node, folder, name)
      if (!other)
        return {
          isHeld: () =>
            fs.stat(own).then(
              () => true,
              () => false,
            ),
          release: remove,
        }
      if (Date.now() >= until) {
        const text = `Another process, or another store of this one, has it open: "${path.join(folder, other)}" names it.`
        throw new RevkvError('STORAGE_BLOCKED', text)
      }
    } catch (e) {
      await remove()
      throw e
    }
    await remove()
    await new Promise((resolve) => setTimeout(resolve, retryMs[0] + Math.random() * (retryMs[1] - retryMs[0])))
  }
}

/** The lock of someone who is alive. Those of the dead are removed. */
async function otherOwner(node: NodeModules, folder: string, own: string): Promise<string | undefined> {
  let alive: string | undefined
  for (const name of await node.fs.readdir(folder)) {
    const [lock, pid, started] = name.split('.')
    if (lock !== 'lock' || name === own) continue
    if (await isAlive(node, Number(pid), started ?? '')) alive = name
    else {
      await node.fs.unlink(node.path.join(folder, name)).catch((e: unknown) => {
        if (codeOf(e) !== 'ENOENT') throw e
      })
    }
  }
  return alive
}

async function isAlive(node: NodeModules, pid: number, started: string): Promise<boolean> {
  try {
    node.process.kill(pid, 0)
  } catch (e) {
    // EPERM: it is there, and another user's.
    if (codeOf(e) === 'ESRCH') return false
  }
  return started === '' || started === (await startOf(node, pid))
}

/** On Linux, which start of the machine and how long after it the process began; elsewhere nothing. */
async function startOf(node: NodeModules, pid = node.process.pid): Promise<string> {
  if (node.process.platform !== 'linux') return ''
  try {
    const boot = await node.fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const stat = await node.fs.readFile(`/proc/${pid}/stat`, 'utf8')
    // The second field is a name in parentheses, which may hold anything; the third is the state, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended is listed until its parent has taken notice.
    return fields[0] === 'Z' ? '' : `${boot.trim()}-${fields[19]}`
  } catch {
    return ''
  }
}
