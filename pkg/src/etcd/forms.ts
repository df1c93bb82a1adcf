// etcd's keys and events as the engine takes them: `Record`s, packed.

import type { KeyValue } from '../wire.js'
import { fromBase64 } from './base64.js'
import { int64, type Json, malformed, natural, object } from './gateway.js'

export function bytes(value: unknown, name: string): Uint8Array<ArrayBuffer> {
  if (value === undefined) return new Uint8Array(0)
  if (typeof value !== 'string') throw malformed(`${name} is no base64`)
  try {
    return fromBase64(value)
  } catch (e) {
    throw malformed(`${name} is no base64`, e)
  }
}

export function keyValue(kv: Json): KeyValue {
  return {
    key: bytes(kv.key, 'key'),
    createRevision: natural(kv.create_revision, 'create_revision'),
    modRevision: natural(kv.mod_revision, 'mod_revision'),
    version: natural(kv.version, 'version'),
    lease: int64(kv.lease, 'lease'),
    value: bytes(kv.value, 'value'),
  }
}

/** The key after an event: of a deletion, with version 0 and nothing but its revision. */
export function changed(event: Json): KeyValue {
  const kv = keyValue(object(event.kv, 'kv'))
  if (event.type !== undefined && event.type !== 'PUT' && event.type !== 'DELETE') throw malformed('an unknown event')
  if (event.type !== 'DELETE') return kv
  return { ...kv, createRevision: 0, version: 0, lease: 0n, value: new Uint8Array(0) }
}
