// Who leads: whoever holds the Web Lock of the database. The others wait for it, and are given it when the tab that has it
// is closed, or dies.
//
// A tab that is frozen keeps its lock. So those who wait ask for a sign of life, and where none comes for a few seconds, one
// of them takes the lock away. Silence is counted in beats of their own, because who was frozen itself has heard nothing
// either. Should the leader only have been slow, nothing is lost but a little time: it finds out at its next write, which
// the storage refuses.

import { RevkvError, storageError } from '../errors.js'

const beatMs = 500
/** Half of what a takeover from a frozen leader may take; the rest is for reading the storage. */
const silentBeatsMax = 4

export interface Candidate {
  /** This tab holds the lock. */
  elected(): void
  /** Another tab has taken it. */
  deposed(): void
  /** Asks whoever leads for a sign of life, which is told by `heard`. */
  ask(): void
  /** There is no lock to be had here at all. */
  failed(error: RevkvError): void
}

export class Election {
  readonly #lock: string
  readonly #candidate: Candidate
  /** Of the request that waits, or holds the lock. */
  #standing: AbortController | undefined
  /** Lets go of the lock. */
  #free: (() => void) | undefined
  #request: Promise<unknown> = Promise.resolve()
  #beat: ReturnType<typeof setInterval> | undefined
  #silentBeats = 0

  constructor(lock: string, candidate: Candidate) {
    this.#lock = lock
    this.#candidate = candidate
  }

  get isElected(): boolean {
    return this.#free !== undefined
  }

  /** Waits for the lock from now on. */
  stand(): void {
    if (this.#standing) return
    this.#enter(false)
    this.#silentBeats = 0
    const beat: unknown = setInterval(() => this.#listen(), beatMs)
    this.#beat = beat as ReturnType<typeof setInterval>
    ;(beat as { unref?(): void }).unref?.()
  }

  /** Takes the lock, whoever has it. */
  seize(): void {
    if (this.isElected) return
    this.#leave()
    this.#enter(true)
  }

  /** There is a leader, and it is awake. */
  heard(): void {
    this.#silentBeats = 0
  }

  /** Lets go of the lock, or waits for it no more. Resolves when another can have it. */
  async resign(): Promise<void> {
    clearInterval(this.#beat)
    this.#leave()
    await this.#request
  }

  #listen(): void {
    if (this.isElected) return
    // One more beat now and then, so that not all of them take the lock from each other.
    if (this.#silentBeats > silentBeatsMax || (this.#silentBeats === silentBeatsMax && Math.random() < 0.5)) {
      this.#silentBeats = 0
      return this.seize()
    }
    if (this.#silentBeats++ > 0 || Math.random() < 0.5) this.#candidate.ask()
  }

  #leave(): void {
    this.#standing?.abort()
    this.#free?.()
    this.#standing = undefined
    this.#free = undefined
  }

  #enter(steal: boolean): void {
    const standing = new AbortController()
    this.#standing = standing
    const held = () => {
      // It may be given after all to who does not want it any more.
      if (standing.signal.aborted) return
      return new Promise<void>((free) => {
        this.#free = free
        this.#candidate.elected()
      })
    }
    const options = steal ? { steal } : { signal: standing.signal }
    this.#request = navigator.locks.request(this.#lock, options, held).catch((cause: unknown) => {
      if (standing.signal.aborted) return
      const wasElected = this.isElected
      this.#standing = undefined
      this.#free = undefined
      if (wasElected) {
        this.#enter(false)
        this.#candidate.deposed()
      } else if ((cause as Error | undefined)?.name === 'AbortError') {
        // Taken away between being given and being used.
        this.#enter(false)
      } else {
        this.#candidate.failed(storageError(cause))
      }
    })
  }
}

/** Whether there are such locks here: in a secure context. */
export function hasLocks(): boolean {
  return typeof navigator === 'object' && typeof navigator.locks?.request === 'function'
}

/** What was written is not stored, since another tab leads. */
export function notLeader(): RevkvError {
  return new RevkvError('NOT_LEADER', 'Another tab has taken over the database; this was not written.', {
    retryable: true,
  })
}
