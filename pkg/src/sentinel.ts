// What a database was last seen to hold, kept in another place of the browser: an empty database is not a new one.
//
// A browser may wipe a database and open it as if it had never been, or bring back an older state of it. The page's own
// storage is a different mechanism; where it is not there (workers, Node), nothing is noticed.

import { RevkvError } from './errors.js'
import type { StorageAdapter } from './types.js'
import type { Core } from './wasm.js'

interface Seen {
  incarnation: string
  revision: number
  /** It was told that this is gone; whoever opens again accepts it. */
  told?: true
}

/** So often at most is it written; a loss of what came within is not noticed. */
const everyMs = 1000

export class Sentinel {
  readonly #key: string
  readonly #place: globalThis.Storage
  #writtenMs = 0
  #ended = false

  private constructor(key: string, place: globalThis.Storage) {
    this.#key = key
    this.#place = place
  }

  static of(adapter: StorageAdapter, name: string): Sentinel | undefined {
    if (!adapter.supports.persistent || !adapter.supports.sharedByTabs) return undefined
    try {
      // Node has one that is not the page's.
      if (typeof document === 'undefined' || typeof localStorage === 'undefined') return undefined
      return new Sentinel(`revkv:${adapter.name}:${name}`, localStorage)
    } catch {
      // Storage is forbidden here; the database will say so itself.
      return undefined
    }
  }

  /**
   * Compares a started engine with what was seen last. Where something is gone it throws EVICTED, once: the next opening
   * goes on with what there is. `true`: it is to go on as another life of the store.
   */
  compare(core: Core): boolean {
    const seen = this.#read()
    if (!seen) return false
    const { incarnation, revision } = holds(core)
    const isWiped = revision === 1 && seen.revision > 1
    if (!isWiped && (incarnation !== seen.incarnation || revision >= seen.revision)) return false
    if (seen.told) return true
    this.#write({ ...seen, told: true })
    const found = isWiped ? 'is empty' : `reaches to revision ${revision}`
    const advice = 'Opening it again goes on with what there is.'
    throw new RevkvError('EVICTED', `The database held revision ${seen.revision} and ${found}. ${advice}`, { revision })
  }

  /** What was noted is known to be gone, and told: the next opening goes on with what there is. */
  accept(): void {
    const seen = this.#read()
    if (seen) this.#write({ ...seen, told: true })
    this.#ended = true
  }

  /** Notes what the storage is known to hold. */
  note(core: Core, now = false): void {
    if (this.#ended || core.trap) return
    const nowMs = Date.now()
    if (!now && Math.abs(nowMs - this.#writtenMs) < everyMs) return
    this.#writtenMs = nowMs
    const { incarnation } = holds(core)
    this.#write({ incarnation, revision: core.call((engine) => engine.durableRevision) })
  }

  #read(): Seen | undefined {
    try {
      const seen = JSON.parse(this.#place.getItem(this.#key) ?? 'null') as Partial<Seen> | null
      return typeof seen?.incarnation === 'string' && typeof seen.revision === 'number' ? (seen as Seen) : undefined
    } catch {
      return undefined
    }
  }

  #write(seen: Seen): void {
    try {
      this.#place.setItem(this.#key, JSON.stringify(seen))
    } catch {
      // Full, or forbidden since: what is not noted is not noticed.
    }
  }
}

function holds(core: Core): { incarnation: string; revision: number } {
  const bytes = core.call((engine) => engine.incarnation)
  const incarnation = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return { incarnation, revision: core.call((engine) => engine.revision) }
}
