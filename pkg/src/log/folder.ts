// What the log needs of a file system: one folder of plain files, which nobody else has open.

import { invalidArgument } from '../errors.js'

export interface LogFolder {
  /** The names of its files. */
  list(): Promise<string[]>
  /** Opens a file, made empty or new with `create`. That it is there is durable when this resolves. */
  open(name: string, create: boolean): Promise<LogFile>
  /** Removes a file that is not open. That it is gone is durable when this resolves. */
  remove(name: string): Promise<void>
  /** False when another has taken the folder away from us, wrongly or not: then not a byte may be written. */
  isOurs(): Promise<boolean>
  /** Whether what was written up to a sequence counts; false when another has taken the folder away without it. */
  isKept(sequence: number): Promise<boolean>
  /** Lets others have the folder. Every file has been closed before. */
  close(): Promise<void>
}

export interface LogFile {
  size(): Promise<number>
  /** The bytes from `at` on; fewer than asked for only at the end of the file. */
  read(at: number, length: number): Promise<Uint8Array>
  /** How many of the bytes were written, which can be fewer than there are. Not durable before `flush`. */
  write(at: number, bytes: Uint8Array): Promise<number>
  truncate(length: number): Promise<void>
  /** What was written and cut before is durable when this resolves. Once it has failed, nobody knows what is. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** File systems take names of so many bytes. */
const nameMax = 255

/**
 * The folder of a database: its name in small letters, digits and "-", anything else as the bytes of its UTF-8. So two
 * names that differ only in case stay two on a disk that does not tell them apart, and no name leads out of the folder.
 *
 *   notes      -> revkv-notes
 *   Notes/old  -> revkv-%4Eotes%2Fold
 */
export function folderName(database: string): string {
  const escaped = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  const safe = database.replace(/[^a-z0-9-]+/g, (part) => [...new TextEncoder().encode(part)].map(escaped).join(''))
  const name = `revkv-${safe}`
  if (name.length <= nameMax) return name
  throw invalidArgument(`name: "${database}" is too long for the name of a folder.`)
}
