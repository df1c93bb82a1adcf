// Forgetting by itself: when history is more than it may be, and up to where.
//
// Nothing is done at a write but to set a timer, if none is. What it finds to forget is compacted like by hand, in slices.
// A compaction passes over every key, so that it waits until there is some to forget: history may be an eighth, or a
// sixteenth of the bytes, beyond its bound.

import { RevkvError } from './errors.js'
import type { Retention } from './types.js'

/** How long writes gather before they are looked at. */
const delayMs = 100

/** In so many steps a revision grows to its age. */
const ageSteps = 16

/** The longest a platform's timer can wait. */
const delayMsMax = 2 ** 31 - 1

/** What it needs of an engine. */
export interface Retained {
  revision(): number
  compactRevision(): number
  bytes(): number
  compact(revision: number): Promise<void>
  report(error: unknown): void
}

/** When the store was at a revision: it, and all before it, are at least as old. */
interface Sample {
  atMs: number
  revision: number
}

export class Retainer {
  readonly #bounds: Retention
  readonly #store: Retained
  /**
   * Oldest first, at most `ageSteps` within the age and one beyond. The clock does not go back, and one that is set ahead
   * makes nothing older. It begins anew with the process: what was there then counts as made then, so that nothing is
   * forgotten too early, but in a store that is opened again and again within the age, nothing is by its age.
   */
  #samples: Sample[] = []
  /** After a compaction that left more bytes than there may be, so many are waited for before the next. */
  #bytesMin: number
  #timer: ReturnType<typeof setTimeout> | undefined
  /** "soon": the timer is about what was written. While "idle" it is about what grows old, if it is set. */
  #state: 'idle' | 'soon' | 'running' | 'stopped' = 'idle'

  constructor(bounds: Retention, store: Retained) {
    this.#bounds = bounds
    this.#store = store
    this.#bytesMin = bounds.bytes ?? 0
    if (Object.keys(bounds).length === 0) this.stop()
    this.changed()
  }

  /** Something may have been written. */
  changed(): void {
    if (this.#state !== 'idle') return
    this.#state = 'soon'
    this.#set(delayMs)
  }

  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#timer)
  }

  #set(ms: number): void {
    clearTimeout(this.#timer)
    const timer: unknown = setTimeout(() => this.#run(), ms)
    this.#timer = timer as ReturnType<typeof setTimeout>
    // It does not keep a process alive.
    ;(timer as { unref?(): void }).unref?.()
  }

  async #run(): Promise<void> {
    this.#state = 'running'
    try {
      let seen = 0
      for (;;) {
        seen = this.#store.revision()
        const revision = Math.max(this.#byRevisions(), this.#byAge(performance.now()), this.#byBytes())
        if (revision <= this.#store.compactRevision()) break
        await this.#store.compact(revision)
        if (this.#isStopped()) return
      }
      this.#state = 'idle'
      if (this.#store.revision() !== seen) this.changed()
      else this.#waitForAge()
    } catch (e) {
      if (this.#isStopped()) return
      this.#state = 'idle'
      // COMPACTED: somebody else was quicker.
      if (!RevkvError.is(e) || e.code !== 'COMPACTED') this.#store.report(e)
    }
  }

  /** Since it may have become so during an await, which a compiler does not see. */
  #isStopped(): boolean {
    return this.#state === 'stopped'
  }

  /** The newest `revisions` stay readable. */
  #byRevisions(): number {
    const { revisions } = this.#bounds
    if (revisions === undefined) return 0
    const oldest = this.#store.revision() - revisions + 1
    const slack = Math.max(1, revisions >> 3)
    return oldest >= this.#store.compactRevision() + slack ? oldest : 0
  }

  /** What the store held within the last `ageMs` stays readable. */
  #byAge(nowMs: number): number {
    const { ageMs } = this.#bounds
    if (ageMs === undefined) return 0
    const newest = this.#samples.at(-1)
    const revision = this.#store.revision()
    if (!newest || (newest.revision < revision && nowMs - newest.atMs >= ageMs / ageSteps)) {
      this.#samples.push({ atMs: nowMs, revision })
    }
    const isGrown = (sample: Sample | undefined) => sample !== undefined && nowMs - sample.atMs >= ageMs
    // Of those that are old enough, the newest counts.
    while (isGrown(this.#samples[1])) this.#samples.shift()
    const [oldest] = this.#samples
    return oldest && isGrown(oldest) ? oldest.revision : 0
  }

  /**
   * The older half of history goes while there are too many bytes: how many a revision takes is not known. When all of it
   * has gone, the keys themselves take them, and the next time is when they have become more.
   */
  #byBytes(): number {
    const { bytes } = this.#bounds
    if (bytes === undefined) return 0
    const [now, revision, compacted] = [this.#store.bytes(), this.#store.revision(), this.#store.compactRevision()]
    if (now <= bytes) this.#bytesMin = bytes
    if (now <= this.#bytesMin) return 0
    if (compacted < revision) return Math.ceil((compacted + revision) / 2)
    this.#bytesMin = now + bytes / 16
    return 0
  }

  /** When nothing more is written, what there is grows old all the same. */
  #waitForAge(): void {
    const { ageMs } = this.#bounds
    const isForgotten = this.#store.compactRevision() >= this.#store.revision()
    if (ageMs !== undefined && !isForgotten) this.#set(Math.min(Math.max(ageMs / ageSteps, 1), delayMsMax))
  }
}
