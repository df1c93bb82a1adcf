// What a user of mirrors is given.

import type { RevkvError } from '../errors.js'
import type { Range } from '../types.js'

/** "waiting": for a member that answers; "resyncing": it is read; "in-sync": every change is there as it comes. */
export type MirrorStatus = 'waiting' | 'resyncing' | 'in-sync'

/** What is mirrored, and from where. */
export interface MirrorOptions {
  /** The members' addresses, such as `http://127.0.0.1:2379`; one is asked at a time, the next when it fails. */
  endpoints: string[]
  /** What is mirrored; `{}` is everything. */
  range: Range
  /** Sent with each request, such as `authorization`. */
  headers?: Record<string, string>
  /** Instead of the platform's. */
  fetch?: typeof fetch
  /** Aborting closes the mirror. */
  signal?: AbortSignal
  /** Writes of the store go to the cluster. Without it they are refused with `NOT_LEADER`. */
  write?: boolean
  /**
   * What becomes of `put`, `delete`, `txn` and `transact` while no member answers. `refuse` (default): they reject with
   * `STORAGE_LOST`. `queue`: they wait in memory, 1,000 and 8 MiB at most (`QUOTA_EXCEEDED`), and go to the cluster in their order
   * when it is there again. Each is applied at most once, and only if nobody else has changed its keys since; else it rejects with
   * `CONFLICT`, and the others go on. Closing the mirror rejects those that wait with `CLOSED`.
   */
  offline?: 'refuse' | 'queue'
}

/** The events of a mirror, by name. */
export interface MirrorEventMap {
  /** `status` has changed. */
  status: CustomEvent<{ status: MirrorStatus }>
  /** Why it waits, or reads everything anew. It goes on by itself. */
  error: CustomEvent<{ error: RevkvError }>
}

/** A range of a cluster, kept in a store. */
export interface Mirror extends EventTarget, AsyncDisposable {
  readonly status: MirrorStatus
  /** The cluster's revision up to which everything of the range is in the store. */
  readonly revision: number
  /** Milliseconds since the cluster was last heard of; undefined where it was not, since this mirror began. */
  readonly ageMs: number | undefined
  /** How many writes wait for the cluster. */
  readonly queued: number
  /** Resolves when it is in sync, or the next time it is. Rejects when it is closed before. */
  inSync(): Promise<void>
  /**
   * Compares with the cluster: by its HashKV, where it has one and both have the same history, and else key by key at one
   * revision. Only of a mirror of everything; errors: `INVALID_RANGE`, `STORAGE_LOST`.
   */
  verify(): Promise<boolean>
  /** Ends it; the store keeps what it has. May be called twice. */
  close(): Promise<void>
  addEventListener<T extends keyof MirrorEventMap>(
    type: T,
    listener: (event: MirrorEventMap[T]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
}
