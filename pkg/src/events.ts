// The store as an EventTarget, with errors that are never lost for want of a listener. A namespace's events are those of
// the store it is of, which hears for it: so that nothing has to know of the namespaces there are.

import type { StoreEventMap } from './types.js'

export class StoreEvents extends EventTarget {
  /** Who hears "error", by listener; kept beside the platform's own list because that cannot be asked. */
  readonly #hearing = new Map<EventListenerOrEventListenerObject, AddEventListenerOptions>()
  readonly #above: StoreEvents | undefined

  constructor(above?: StoreEvents) {
    super()
    this.#above = above
  }

  override addEventListener<T extends keyof StoreEventMap>(
    type: T,
    listener: (event: StoreEventMap[T]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    if (this.#above) return this.#above.addEventListener(type, listener, options)
    super.addEventListener(type, listener, options)
    if (type !== 'error' || !listener || this.#hearing.has(listener)) return
    this.#hearing.set(listener, typeof options === 'object' ? options : {})
  }

  override removeEventListener<T extends keyof StoreEventMap>(
    type: T,
    listener: (event: StoreEventMap[T]) => void,
    options?: boolean | EventListenerOptions,
  ): void
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    if (this.#above) return this.#above.removeEventListener(type, listener, options)
    super.removeEventListener(type, listener, options)
    if (type === 'error' && listener) this.#hearing.delete(listener)
  }

  override dispatchEvent(event: Event): boolean {
    return this.#above ? this.#above.dispatchEvent(event) : super.dispatchEvent(event)
  }

  emit<T extends keyof StoreEventMap>(type: T, detail: StoreEventMap[T]['detail']): void {
    this.dispatchEvent(customEvent(type, detail))
  }

  /** Tells of a failure that no call can throw. */
  report(error: unknown): void {
    for (const [listener, options] of this.#hearing) {
      if (options.signal?.aborted) this.#hearing.delete(listener)
    }
    if (this.#hearing.size === 0) return reportToPlatform(error)
    this.emit('error', { error })
    for (const [listener, options] of this.#hearing) {
      if (options.once) this.#hearing.delete(listener)
    }
  }
}

/** Vercel's edge runtime has events, but none of this kind. */
function customEvent(type: string, detail: unknown): Event {
  if (typeof CustomEvent === 'function') return new CustomEvent(type, { detail })
  return Object.assign(new Event(type), { detail })
}

function reportToPlatform(error: unknown): void {
  if (typeof reportError === 'function') reportError(error)
  else console.error(error)
}
