// One opener of a database at a time, by a Web Lock on its name.

import { RevkvError, storageError } from './errors.js'
import type { StorageAdapter } from './types.js'

/** A page that is just closing lets go well within this; beyond it someone is really there. */
const waitMsMax = 2000

export interface Lock {
  /** Resolves when others can have it. */
  release(): Promise<void>
  /** Resolves when the platform takes the lock away before it is released. */
  readonly lost: Promise<RevkvError>
}

/** The lock of a database that other tabs see, where there are locks. */
export function lockOf(storage: StorageAdapter, name: string, signal: AbortSignal | undefined) {
  return storage.supports.sharedByTabs && hasLocks() ? takeLock(storage.name, name, signal) : undefined
}

function hasLocks(): boolean {
  return typeof navigator === 'object' && navigator.locks !== undefined
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
    let lose: ((error: RevkvError) => void) | undefined
    const request = navigator.locks.request(`revkv:${storage}:${name}`, { signal: giveUp.signal }, () => {
      settled()
      return new Promise<void>((free) => {
        const lost = new Promise<RevkvError>((told) => {
          lose = told
        })
        const release = () => {
          free()
          return request.catch(() => {})
        }
        resolve({ release, lost })
      })
    })
    request.catch((cause: unknown) => {
      settled()
      if (lose) return lose(new RevkvError('STORAGE_LOST', `The lock on "${name}" was taken away.`, { cause }))
      if (signal?.aborted) return reject(signal.reason)
      if (!giveUp.signal.aborted) return reject(storageError(cause))
      const text = `"${name}" is open in another tab or in another store of this page; close that first.`
      reject(new RevkvError('STORAGE_BLOCKED', text, { cause }))
    })
  })
}
