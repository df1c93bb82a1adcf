// The newest values that were read by text keys, decoded, so that reading one again is a look into a map and gives the same
// object.
//
// What a write changes need not be told here. A value is known to be the newest while nothing at all was written since it
// was looked up; after that the engine is asked when its key last changed, which costs less than the value, and the value
// is kept if that is when it was. So there is nothing to forget, whatever changes keys: a txn, a lease that ends, a restore.

import { type Form, readValue } from './entry.js'
import type { Host } from './host.js'
import { keyValueFields, u64At } from './wire.js'

/** A generation ends with so many values, or so many bytes of them as they are stored. */
const slotsMax = 1000
const bytesMax = 1 << 20

interface Slot<V> {
  readonly value: V | undefined
  /** 0: the key is not there. */
  readonly modRevision: number
  readonly bytes: number
  /** The host's count of changes when this was known to be the newest. */
  seen: number
}

/** Two generations: what is used moves to the young one; when that is full, the old one goes. */
export class ValueCache<V> {
  readonly #host: Host
  readonly #form: Form<V>
  #young = new Map<string, Slot<V>>()
  #old = new Map<string, Slot<V>>()
  #youngBytes = 0
  /** The content that the slots are of. */
  #life = 0

  constructor(host: Host, form: Form<V>) {
    this.#host = host
    this.#form = form
  }

  get(key: string): V | undefined {
    const slot = this.#young.get(key)
    if (slot !== undefined && slot.seen === this.#host.changes) return slot.value
    return this.#lookUp(key)
  }

  #lookUp(key: string): V | undefined {
    if (this.#life !== this.#host.life) {
      this.#life = this.#host.life
      this.#young.clear()
      this.#old.clear()
      this.#youngBytes = 0
    }
    const seen = this.#host.changes
    const stored = this.#form.space.key(key)
    const found = this.#young.get(key) ?? this.#old.get(key)
    const isNewest = found && this.#host.core.call((engine) => engine.modRevision(stored)) === found.modRevision
    const slot = isNewest ? found : this.#read(stored)
    slot.seen = seen
    this.#keep(key, slot)
    return slot.value
  }

  #read(stored: Uint8Array): Slot<V> {
    const packed = this.#host.core.call((engine) => engine.get(stored, 0))
    if (!packed) return { value: undefined, modRevision: 0, bytes: stored.length, seen: 0 }
    const modRevision = u64At(packed, 8 + stored.length + keyValueFields.modRevision)
    return { value: readValue(packed, 0, this.#form), modRevision, bytes: packed.length, seen: 0 }
  }

  #keep(key: string, slot: Slot<V>): void {
    this.#youngBytes += slot.bytes - (this.#young.get(key)?.bytes ?? 0)
    this.#young.set(key, slot)
    if (this.#young.size <= slotsMax && this.#youngBytes <= bytesMax) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
  }
}
