// One opener of a database at a time, by a Web Lock on its name.

import { RevkvError, storageError } from './errors.js'
import { hasLocks } from './tabs/election.js'
import type { StorageAdapter } from './types.js'

/** A page that is just closing lets go well within this; beyond it someone is really there. */
const waitMsMax = 2000

export interface Lock {
  /** Resolves when others can have it. */
  release(): Promise<void>
}

/** The lock of a database that other tabs see, where there are locks. */
export function lockOf(storage: StorageAdapter, name: string, signal: AbortSignal | undefined) {
  return storage.supports.sharedByTabs && hasLocks() ? takeLock(storage.name, name, signal) : undefined
}

/** Takes the lock of a database, or STORAGE_BLOCKED when it is not to be had in time. */
function takeLock(storage: string, name: string, signal: AbortSignal | undefined): Promise<Lock> {
  return new Promise((resolve, reject) => {
    const giveUp = new AbortController()
    const abort = () => giveUp.abort()
    const timer = setTimeout(abort, waitMsMax)
    signal?.addEventListener('abort', abort, { once: true })
    const settled = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    let isHeld = false
    const request = navigator.locks.request(`revkv:${storage}:${name}`, { signal: giveUp.signal }, () => {
      settled()
      return new Promise<void>((free) => {
        isHeld = true
        const release = () => {
          free()
          return request.catch(() => {})
        }
        resolve({ release })
      })
    })
    request.catch((cause: unknown) => {
      settled()
      // Taken away: who salvages only reads.
      if (isHeld) return
      if (signal?.aborted) return reject(signal.reason)
      if (!giveUp.signal.aborted) return reject(storageError(cause))
      const text = `"${name}" is open in another tab or in another store of this page; close that first.`
      reject(new RevkvError('STORAGE_BLOCKED', text, { cause }))
    })
  })
}
