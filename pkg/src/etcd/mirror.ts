// A range of a cluster in a store: read whole at a revision, then followed by a watch that begins right behind it.
//
//   waiting ──► resyncing ──► in-sync ──┐
//      ▲           ▲             │      │ events
//      │           └─ compacted ─┤◄─────┘
//      └──── a member is lost ───┘
//
// The store itself is where this has come to: its revision is the last one that was taken over, its incarnation names the
// cluster and the range. So a store that is opened again goes on from there, and reads everything anew only where the cluster
// has forgotten what came since, or is another one.

import { detachable } from '../detachable.js'
import { RevkvError, storageError } from '../errors.js'
import type { Host } from '../host.js'
import { incarnationOf } from '../mirrored.js'
import type { KeyRange } from '../wire.js'
import { changed } from './forms.js'
import { Gateway, type GatewayOptions, int64, type Json, list, malformed, natural, object } from './gateway.js'
import { bounds, pages } from './range.js'
import type { MirrorStatus } from './types.js'

export interface FollowerEvents {
  status(status: MirrorStatus): void
  /** Why it waits, or reads everything anew. */
  failed(error: RevkvError): void
}

/** What the cluster tells is taken over while so many responses before it are on their way to the storage. */
const storingMax = 64
/** A wait between two tries doubles from the first to the last. */
const [waitMsMin, waitMsMax] = [100, 10_000]
/** A member is asked this often whether it is there: a connection that is dead says nothing. */
const beatMs = 5000
/**
 * A watch that begins in the past is told what came since within 100 ms, by etcd's loop for those who are behind; it says
 * nothing when it is done. So much later without an event, all of it was told.
 */
const quietMs = 1000

export class ClusterFollower {
  readonly #host: Host
  readonly #keys: KeyRange
  readonly #gateway: Gateway
  readonly #events: FollowerEvents
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  #status: MirrorStatus = 'waiting'
  #cluster: bigint | undefined
  /** When the cluster was last heard of. */
  heardMs: number | undefined

  constructor(host: Host, keys: KeyRange, gateway: GatewayOptions, events: FollowerEvents) {
    this.#host = host
    this.#keys = keys
    this.#gateway = new Gateway(gateway)
    this.#events = events
    this.#running = this.#run()
  }

  get status(): MirrorStatus {
    return this.#status
  }

  get gateway(): Gateway {
    return this.#gateway
  }

  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Resolves when the store has reached this revision; rejects when it is not followed any more. */
  reached(revision: number): Promise<void> {
    return this.until(() => this.#host.revision >= revision)
  }

  /** Resolves when this holds, which is asked after each change of the store; rejects when it is not followed any more. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await detachable(this.#host.change(), this.#end.signal)
  }

  async close(): Promise<void> {
    this.#end.abort(new RevkvError('CLOSED', 'The mirror is closed.'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#session(() => {
          failures = 0
        })
      } catch (e) {
        if (signal.aborted) break
        this.#setStatus('waiting')
        const error = storageError(e)
        this.#events.failed(error)
        if (error.code === 'CLOSED') break
        // What is compacted is read anew at once, by the same member.
        if (error.code === 'COMPACTED') continue
        this.#gateway.turn()
        const waitMs = Math.min(waitMsMin * 2 ** failures++, waitMsMax)
        await pause(waitMs / 2 + (Math.random() * waitMs) / 2, signal)
      }
    }
    this.#setStatus('waiting')
  }

  /** With one member, until it fails. */
  async #session(succeeded: () => void): Promise<void> {
    const host = this.#host
    await host.leads(this.#end.signal)
    const { cluster, revision } = this.#heard(await this.#call('/v3/maintenance/status', {}))
    // A member may be behind the others, and says so of itself; but what it reads is what all of them have.
    const isNewer = () => host.revision <= revision || this.#agreed().then((agreed) => host.revision <= agreed)
    const goesOn = host.isMirrorOf(incarnationOf(cluster, this.#keys)) && (await isNewer())
    if (!goesOn) await this.#snapshot(cluster)
    succeeded()
    const session = new AbortController()
    const signal = AbortSignal.any([this.#end.signal, session.signal])
    const beating = this.#beat(session, signal)
    try {
      await this.#watch(signal)
    } catch (e) {
      if (RevkvError.is(e) && e.code === 'COMPACTED') await this.#snapshot(cluster)
      throw session.signal.aborted ? session.signal.reason : e
    } finally {
      session.abort()
      await beating
    }
  }

  /** The cluster's revision, as most of its members have it. */
  async #agreed(): Promise<number> {
    const { key } = bounds(this.#keys)
    return this.#heard(await this.#call('/v3/kv/range', { key, count_only: true })).revision
  }

  async #snapshot(cluster: bigint): Promise<void> {
    this.#setStatus('resyncing')
    const records = []
    let at = 0
    for await (const { answer, kvs } of pages((body) => this.#call('/v3/kv/range', body), this.#keys)) {
      const header = this.#heard(answer)
      if (header.cluster !== cluster) throw malformed('another cluster in the middle of a snapshot')
      at ||= header.revision
      records.push(...kvs)
    }
    await this.#host.mirror(incarnationOf(cluster, this.#keys), at, records)
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { key, rangeEnd } = bounds(this.#keys)
    const start = this.#host.revision + 1
    const create = { key, range_end: rangeEnd, start_revision: String(start), progress_notify: true, fragment: true }
    /** All up to here was told by this watch; what comes of before it would have been overtaken. */
    let told = start - 1
    let held: Json[] = []
    const storing: Promise<void>[] = []
    const quiet = new Quiet(() => this.#setStatus('in-sync'))
    try {
      for await (const result of this.#gateway.stream('/v3/watch', { create_request: create }, signal)) {
        const header = this.#heard(result)
        if (result.canceled === true) throw canceled(result)
        if (result.created === true) {
          if (header.revision <= told) this.#setStatus('in-sync')
          else quiet.begin()
          continue
        }
        held.push(...list(result.events, 'events'))
        if (result.fragment === true) continue
        const changes = held.map(changed)
        held = []
        if (changes.some(({ modRevision }) => modRevision <= told)) throw malformed('an event that comes too late')
        const newest = changes.at(-1)?.modRevision
        told = Math.max(told, newest ?? header.revision)
        const stored = this.#host.mirrorChanges(told, changes)
        // Told when it is waited for.
        stored.catch(() => {})
        storing.push(stored)
        if (storing.length > storingMax) await storing.shift()
        quiet.heard()
      }
    } finally {
      quiet.end()
    }
    throw new RevkvError('STORAGE_LOST', 'The cluster has ended the watch.', { retryable: true })
  }

  /** Ends the session when the member does not answer any more. */
  async #beat(session: AbortController, signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(beatMs, signal)
      if (signal.aborted) return
      try {
        this.#heard(await this.#gateway.call('/v3/maintenance/status', {}, signal))
      } catch (e) {
        return session.abort(e)
      }
    }
  }

  #call(path: string, body: object): Promise<Json> {
    return this.#gateway.call(path, body, this.#end.signal)
  }

  /** Of every answer: that it is of the same cluster. */
  #heard(answer: Json): { cluster: bigint; revision: number } {
    const header = object(answer.header, 'header')
    const cluster = BigInt.asUintN(64, int64(header.cluster_id, 'cluster_id'))
    if (this.#cluster !== undefined && this.#cluster !== cluster) {
      this.#cluster = undefined
      throw new RevkvError('DIVERGED', 'There is another cluster at this endpoint.', { retryable: true })
    }
    this.#cluster = cluster
    this.heardMs = Date.now()
    return { cluster, revision: natural(header.revision, 'revision') }
  }

  #setStatus(status: MirrorStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.#events.status(status)
  }
}

/** Says when nothing was heard for a while. */
class Quiet {
  readonly #tell: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #begun = false

  constructor(tell: () => void) {
    this.#tell = tell
  }

  begin(): void {
    this.#begun = true
    this.heard()
  }

  heard(): void {
    clearTimeout(this.#timer)
    if (!this.#begun) return this.#tell()
    this.#timer = setTimeout(() => {
      this.#begun = false
      this.#tell()
    }, quietMs)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

function canceled(result: Json): RevkvError {
  const compactRevision = natural(result.compact_revision, 'compact_revision')
  if (compactRevision > 0) return new RevkvError('COMPACTED', 'What came since is compacted.', { compactRevision })
  return new RevkvError('STORAGE_LOST', `The cluster ends the watch: ${String(result.cancel_reason)}`, {
    retryable: true,
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer: ReturnType<typeof setTimeout> = setTimeout(done, ms)
    ;(timer as { unref?(): void }).unref?.()
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}
