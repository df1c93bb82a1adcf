// Waiting that can be given up.

/** The promise, or the signal's reason when that comes first. */
export function detachable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    const detach = () => reject(signal.reason)
    signal.addEventListener('abort', detach, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', detach))
  })
}
