// Change sets: the engine's bytes, with what they say of themselves beside them.

import { copyBytes, isBytes } from './codecs.js'
import { invalidArgument } from './errors.js'
import type { ChangeSet } from './types.js'
import { Reader } from './wire.js'

const incarnationAt = 8
const fromAt = 32

export function readChangeSet(bytes: Uint8Array): ChangeSet {
  const name = bytes.subarray(incarnationAt, incarnationAt + 16)
  const incarnation = Array.from(name, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const numbers = new Reader(bytes.subarray(fromAt))
  return { incarnation, from: numbers.u64(), to: numbers.u64(), bytes }
}

/** The bytes, a copy. What is said beside them counts for nothing: they are checked by the engine. */
export function checkChangeSet(value: unknown): Uint8Array {
  const bytes: unknown = (value as Partial<ChangeSet> | null | undefined)?.bytes
  if (!isBytes(bytes)) throw invalidArgument('changes: expected what `changes` gives, with its bytes.')
  return copyBytes(bytes)
}
