// Reading a file from front to back in pieces large enough that the disk is what takes the time.

import type { LogFile } from './folder.js'

/** Larger ones read no faster and are in the way of small stores. */
const windowBytes = 256 * 1024

export class Window {
  readonly #file: LogFile
  #at = 0
  #bytes: Uint8Array = new Uint8Array()

  constructor(file: LogFile) {
    this.#file = file
  }

  /** A view that holds until the next call, shorter than asked for only at the end of the file. */
  async read(at: number, length: number): Promise<Uint8Array> {
    const from = at - this.#at
    if (from >= 0 && from + length <= this.#bytes.length) return this.#bytes.subarray(from, from + length)
    this.#bytes = await this.#file.read(at, Math.max(length, windowBytes))
    this.#at = at
    return this.#bytes.subarray(0, length)
  }
}
