// Where turns are taken: a browser, or processes of Node. The runner sees both through one interface.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Environment } from './peer.js'
import type { Description, Outcome, Step, Turn } from './turn.js'

export interface Host {
  readonly environment: Environment
  /** The version of Chromium or Node. */
  readonly version: string
  describe(): Promise<Description[]>
  /** Forgets what any database of the peers has kept. */
  clear(): Promise<void>
  /** A page, or a process, with nothing in it. */
  start(peer: Description): Promise<Guest>
  /** Bytes on the disk that the databases take now. */
  stored(): Promise<number>
  close(): Promise<void>
}

export interface Guest {
  takeTurn(turn: Turn): Promise<Outcome>
  step(step: Step, turn: Turn): Promise<number>
  /** Bytes in memory, after the garbage is gone. */
  memory(): Promise<number>
  /** Bytes that were sent to the disk so far, undefined where the system does not tell. */
  written(): Promise<number | undefined>
  close(): Promise<void>
}

/** Bytes that the files of a folder take on the disk. */
export async function diskUse(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const sizes = entries.map(async (entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return diskUse(path)
    // Some are removed while they are looked at.
    const { blocks } = await stat(path).catch(() => ({ blocks: 0 }))
    return blocks * 512
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** What Linux says that a process has sent to the disk, or will. */
export async function writtenBy(pid: number): Promise<number | undefined> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '')
  const written = /^write_bytes: (\d+)$/m.exec(io)?.[1]
  return written === undefined ? undefined : Number(written)
}
