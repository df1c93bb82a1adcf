// Leases: the object a user holds, and the one timer that lets them expire.

import { asyncDispose } from './dispose.js'
import { type Form, showKey } from './entry.js'
import { RevkvError } from './errors.js'
import type { Write } from './host.js'
import type { Lease, WriteResult } from './types.js'
import { type LeaseInfo, packLeaseGrant, packLeaseKeepAlive, packLeaseRevoke, type Reader } from './wire.js'

/** What a lease asks of its store. */
export interface Leases {
  info(id: bigint): LeaseInfo | undefined
  write<R>(write: Write<R>): Promise<R>
}

/** A grant; its answer is the ttl. */
export function granting(id: bigint, ttlSeconds: number): Write<number> {
  const read = (reader: Reader) => {
    reader.u64() // The revision, which a grant does not move.
    reader.i64()
    return reader.u64()
  }
  return { request: packLeaseGrant(id, ttlSeconds), grows: false, read }
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

  async keepAlive(): Promise<number> {
    const read = (reader: Reader) => {
      reader.u64() // The revision, which a keep-alive does not move.
      return reader.u64()
    }
    return this.#leases.write({ request: packLeaseKeepAlive(this.id), grows: false, read })
  }

  async revoke(): Promise<WriteResult> {
    const read = (reader: Reader) => ({ revision: reader.u64() })
    return this.#leases.write({ request: packLeaseRevoke(this.id), grows: false, read })
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
  #deadlineMs: number | undefined

  constructor(expire: () => void) {
    this.#expire = () => {
      this.#deadlineMs = undefined
      expire()
    }
  }

  set(deadlineMs: number | undefined): void {
    if (deadlineMs === this.#deadlineMs) return
    this.stop()
    this.#deadlineMs = deadlineMs
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
    this.#deadlineMs = undefined
  }
}
