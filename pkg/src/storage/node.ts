// What is used of Node's own modules, which Bun and Deno have too. They are asked for when they are needed, and not
// imported, so that code which imports the file storage still loads in a browser.

import { RevkvError } from '../errors.js'

export interface NodeModules {
  fs: {
    mkdir(path: string, options: { recursive: true }): Promise<string | undefined>
    readdir(path: string): Promise<string[]>
    readFile(path: string, encoding: 'utf8'): Promise<string>
    unlink(path: string): Promise<void>
    stat(path: string): Promise<NodeStats>
    open(path: string, flags: 'r' | 'r+' | 'w+' | 'wx'): Promise<NodeFileHandle>
  }
  path: {
    resolve(...parts: string[]): string
    join(...parts: string[]): string
    dirname(path: string): string
  }
  process: {
    platform: string
    pid: number
    kill(pid: number, signal: 0): void
  }
}

export interface NodeFileHandle {
  stat(): Promise<NodeStats>
  read(bytes: Uint8Array, offset: number, length: number, at: number): Promise<{ bytesRead: number }>
  write(bytes: Uint8Array, offset: number, length: number, at: number): Promise<{ bytesWritten: number }>
  truncate(length: number): Promise<void>
  datasync(): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface NodeStats {
  size: number
}

export function nodeModules(): NodeModules {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } }
  const [fs, path] = ['node:fs/promises', 'node:path'].map((name) => process?.getBuiltinModule?.(name))
  if (fs && path) return { fs, path, process } as NodeModules
  throw new RevkvError('STORAGE_LOST', 'There are no files here: this is not Node, Bun or Deno.')
}

/** What a system call has failed with, such as ENOENT. */
export function codeOf(e: unknown): unknown {
  return (e as { code?: unknown } | null)?.code
}
