// Web Locks as a browser has them, for the tests of tabs in Node: exclusive, waited for in order, taken away by `steal`.

import { onTestFinished } from 'vitest'

interface Request {
  grant(): void
  isSettled: boolean
  /** Of the one that holds it: another has taken it. */
  rob(): void
}

/** A tab that asked for a lock, and its end. */
export class Locks {
  readonly #queues = new Map<string, Request[]>()

  async request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    held: () => Promise<unknown> | undefined,
  ): Promise<unknown> {
    const queue = this.#queues.get(name) ?? []
    this.#queues.set(name, queue)
    return new Promise((resolve, reject) => {
      const leave = () => {
        request.isSettled = true
        const place = queue.indexOf(request)
        if (place >= 0) queue.splice(place, 1)
        if (place === 0) queue[0]?.grant()
      }
      let isHeld = false
      const request: Request = {
        isSettled: false,
        grant: () => {
          isHeld = true
          Promise.resolve()
            .then(held)
            .then(resolve, reject)
            .finally(() => request.isSettled || leave())
        },
        rob: () => {
          request.isSettled = true
          reject(new DOMException('The lock was stolen.', 'AbortError'))
        },
      }
      options.signal?.addEventListener('abort', () => {
        if (isHeld || request.isSettled) return
        leave()
        reject(options.signal?.reason)
      })
      if (options.steal) {
        queue.shift()?.rob()
        queue.unshift(request)
        request.grant()
      } else {
        queue.push(request)
        if (queue.length === 1) request.grant()
      }
    })
  }

  /** The tab that holds this lock is gone, without a word. */
  kill(name: string): void {
    const queue = this.#queues.get(name) as Request[]
    const gone = queue.shift()
    if (gone) gone.isSettled = true
    queue[0]?.grant()
  }
}

/** Puts them where a page has them, until the test is over. */
export function withLocks(): Locks {
  const locks = new Locks()
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true, writable: true })
  onTestFinished(() => {
    if (before) Object.defineProperty(globalThis, 'navigator', before)
    else Reflect.deleteProperty(globalThis, 'navigator')
  })
  return locks
}
