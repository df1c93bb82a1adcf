// The one member of the cluster: an engine in memory, its clock, and what it says of itself.

import { ExpiryTimer } from '../lease.js'
import { newCore } from '../medium.js'
import type { Core } from '../wasm.js'
import { Reader } from '../wire.js'
import type { WatchStream } from './watch.js'

export interface MemberOptions {
  clusterId: bigint
  progressIntervalMs: number
  fragmentBytes: number
  token: string | undefined
}

export const memberId = 0x7265766b76n
/** The version of etcd whose answers these are. */
export const version = '3.5.30'

export class Member {
  readonly options: MemberOptions
  readonly core: Core
  readonly streams = new Set<WatchStream>()
  /** Where it listens. */
  readonly clientUrls = new Set<string>()
  /** Requests that have changed something, as the log of a cluster counts them. */
  applied = 0
  readonly #expiry = new ExpiryTimer(() => this.#expire())
  #isClosed = false

  constructor(options: MemberOptions) {
    this.options = options
    this.core = newCore(0, 0).start()
  }

  get revision(): number {
    return this.core.call((engine) => engine.revision)
  }

  /** What a response begins with; a `revision` of 0 is left out. */
  header(revision = this.revision): Record<string, unknown> {
    const { clusterId } = this.options
    const header = { cluster_id: String(clusterId), member_id: String(memberId) }
    return { ...header, ...(revision > 0 ? { revision: String(revision) } : {}), raft_term: '2' }
  }

  /** One request to the engine. The reader stands behind the kind of the answer, which is that of the request. */
  apply(request: Uint8Array): Reader {
    const reader = new Reader(this.core.call((engine) => engine.apply(request, Date.now())))
    reader.u32()
    this.applied++
    this.#changed()
    return reader
  }

  /** Removes what a compaction has made unreachable. */
  removeCompacted(): void {
    while (this.core.call((engine) => engine.compactStep())) {}
  }

  release(watcher: number): void {
    if (!this.#isClosed) this.core.call((engine) => engine.cancelWatch(watcher))
  }

  close(): void {
    if (this.#isClosed) return
    this.#expiry.stop()
    for (const stream of [...this.streams]) stream.close()
    this.#isClosed = true
    this.core.free()
  }

  #changed(): void {
    this.#expiry.set(this.core.call((engine) => engine.nextDeadline()))
    for (const stream of [...this.streams]) stream.deliver()
  }

  #expire(): void {
    if (this.#isClosed) return
    this.core.call((engine) => engine.tick(Date.now()))
    this.#changed()
  }
}
