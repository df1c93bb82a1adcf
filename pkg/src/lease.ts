// Leases: the object a user holds, and the one timer that lets them expire.

import { asyncDispose } from './dispose.js'
import { type Form, showKey } from './entry.js'
import { RevkvError } from './errors.js'
import type { Lease, WriteResult } from './types.js'
import type { LeaseInfo } from './wire.js'

/** What a lease asks of its store. */
export interface Leases {
  info(id: bigint): LeaseInfo | undefined
  keepAlive(id: bigint): Promise<number>
  revoke(id: bigint): Promise<WriteResult>
}

export class StoreLease implements Lease {
  readonly id: bigint
  readonly ttlSeconds: number
  readonly #leases: Leases
  readonly #form: Form<unknown>

  constructor(leases: Leases, form: Form<unknown>, id: bigint, ttlSeconds: number) {
    this.#leases = leases
    this.#form = form
    this.id = id
    this.ttlSeconds = ttlSeconds
  }

  remaining(): number {
    const info = this.#leases.info(this.id)
    // Past its deadline and not yet revoked, it has nothing left but is not gone.
    return info ? Math.max(0, info.remainingMs) / 1000 : -1
  }

  keys(): string[] {
    const keys = this.#leases.info(this.id)?.keys ?? []
    const mine = keys.filter((key) => this.#form.space.holds(key))
    return mine.map((key) => showKey(this.#form, key, 0, key.length))
  }

  keepAlive(): Promise<number> {
    return this.#leases.keepAlive(this.id)
  }

  revoke(): Promise<WriteResult> {
    return this.#leases.revoke(this.id)
  }

  async [asyncDispose](): Promise<void> {
    try {
      await this.revoke()
    } catch (e) {
      // Gone already, by its time or by hand, is what was wanted.
      if (!RevkvError.is(e) || e.code !== 'LEASE_NOT_FOUND') throw e
    }
  }
}

/** A random id, positive and not zero, in 63 bits. */
export function randomLeaseId(): bigint {
  const [word] = crypto.getRandomValues(new BigUint64Array(1))
  return BigInt.asUintN(63, word as bigint) || 1n
}

/** The longest a platform's timer can wait; it takes anything longer for nothing. */
const delayMsMax = 2 ** 31 - 1

/** One timer for the earliest deadline. It does not keep a process alive. */
export class ExpiryTimer {
  readonly #expire: () => void
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(expire: () => void) {
    this.#expire = expire
  }

  set(deadlineMs: number | undefined): void {
    this.stop()
    if (deadlineMs === undefined) return
    // At least one millisecond: a timer that fires early comes back here with the same deadline.
    const delayMs = Math.min(Math.max(deadlineMs - Date.now(), 1), delayMsMax)
    const timer: unknown = setTimeout(this.#expire, delayMs)
    this.#timer = timer as ReturnType<typeof setTimeout>
    ;(timer as { unref?(): void }).unref?.()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
