// How a database lies in a store of keys and values that it may share with others. Keys are ASCII, so every store orders
// them alike and none changes them.
//
//   revkv/<name>/blob/<id>  the bytes of a blob
//   revkv/<name>/meta       what was written last: { epoch, head }

import { RevkvError } from '../errors.js'
import type { StorageBatch } from '../types.js'

export interface Meta {
  epoch: number
  /** The highest id ever put. */
  head: string
}

export interface Keys {
  readonly meta: string
  /** What the keys of all blobs begin with. */
  readonly blobs: string
  /** The first key that is above them. */
  readonly blobsEnd: string
}

export function keysOf(database: string): Keys {
  const prefix = `revkv/${encodeURIComponent(database)}/`
  // "0" is the character behind "/".
  return { meta: `${prefix}meta`, blobs: `${prefix}blob/`, blobsEnd: `${prefix}blob0` }
}

/** What the meta will be behind this batch, or why it is refused. */
export function judged({ epoch, head }: Meta, batch: StorageBatch, maxBlobBytes: number): Meta {
  if (batch.epoch < epoch || batch.put.some(({ id }) => id <= head)) {
    throw new RevkvError('NOT_LEADER', `Another store has written to this database since (epoch ${epoch}).`)
  }
  for (const { id, bytes } of batch.put) {
    if (bytes.length > maxBlobBytes)
      throw new RevkvError('TOO_LARGE', `Blob ${id} is larger than ${maxBlobBytes} bytes.`)
    if (!/^[!-~]{1,64}$/.test(id)) throw new RevkvError('INVALID_ARGUMENT', `The id "${id}" is not short ASCII.`)
  }
  return { epoch: batch.epoch, head: batch.put.reduce((highest, { id }) => (id > highest ? id : highest), head) }
}
