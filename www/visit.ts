// One open store and what is looked at in it: a revision, or now; and the key whose history is shown.
import type { Store } from 'revkv'
import type { Notice } from './notice.js'

export class Visit {
  readonly store: Store<string>
  readonly #end = new AbortController()
  readonly #notice: Notice
  readonly #parts: (() => void)[] = []
  #revision: number | undefined
  #key: string | undefined

  constructor(store: Store<string>, notice: Notice) {
    this.store = store
    this.#notice = notice
  }

  /** Aborted when the visit ends: listeners and watches end with it. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  get isNow(): boolean {
    return this.#revision === undefined
  }

  /** The revision that the page shows. Nothing older than the compact revision can be read. */
  get revision(): number {
    return Math.max(this.#revision ?? this.store.revision, this.oldest)
  }

  /** The oldest revision that can be shown. */
  get oldest(): number {
    return Math.max(this.store.compactRevision, 1)
  }

  get key(): string | undefined {
    return this.#key
  }

  /** Calls `draw` now and whenever something it may show has changed. */
  onDraw(draw: () => void): void {
    this.#parts.push(draw)
    draw()
  }

  draw(): void {
    if (this.signal.aborted) return
    try {
      for (const draw of this.#parts) draw()
    } catch (error) {
      this.#notice.show(error)
    }
  }

  /** Shows the store as it was at `revision`; the newest one and undefined mean now, whatever comes. */
  show(revision?: number): void {
    this.#revision = revision === this.store.revision ? undefined : revision
    this.draw()
  }

  select(key: string): void {
    this.#key = key
    this.draw()
  }

  /** Awaits a write and says how it went. False when it failed. */
  async write(said: string, write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write()
      this.#notice.say(said)
      return true
    } catch (error) {
      this.#notice.show(error)
      return false
    } finally {
      this.draw()
    }
  }

  async end(): Promise<void> {
    this.#end.abort()
    await this.store.close()
  }
}
