// Writes that are asked for while no member of the cluster answers: they wait, and go to it one after the other.
//
// Each waits with what it goes on from: the keys that it may write, as the store had them when it was asked for, or as those
// before it have left them. It is sent in a transaction that is guarded by these, so that it cannot overwrite what somebody
// else wrote meanwhile, and that sending it again where the answer is lost cannot apply it twice. Whether it was applied the
// first time, the history shows that the store has of its keys.

import { RevkvError } from '../errors.js'
import type { Elsewhere, Host } from '../host.js'
import { compareBytes } from '../keyspace.js'
import type { KeyRange, KeyValue, Reader } from '../wire.js'
import { toBase64 } from './base64.js'
import { within } from './range.js'
import { guardsFailed, type Op, type Plan, type WriteThrough } from './through.js'

/** So many writes wait, and so many bytes of them. */
const queuedMax = 1000
const bytesMax = 8 << 20
/** Between two tries of a member that answers in part. */
const pauseMs = 100

/** Keys with their mod revisions, by their base64. */
type Seen = Map<string, Pick<KeyValue, 'key' | 'modRevision'>>

interface Queued {
  plan: Plan
  bytes: number
  seen: Seen
  /** The store's revision when it was first sent; no answer has come. */
  sentAt: number | undefined
  resolve(answer: Reader): void
  reject(reason: unknown): void
}

export class OfflineQueue implements Elsewhere {
  readonly #host: Host
  readonly #through: WriteThrough
  readonly #inSync: () => Promise<void>
  readonly #isAway: () => boolean
  #queued: Queued[] = []
  #bytes = 0
  #isSending = false

  /** `inSync` rejects when the mirror is closed. */
  constructor(host: Host, through: WriteThrough, cluster: { inSync(): Promise<void>; isAway(): boolean }) {
    this.#host = host
    this.#through = through
    this.#inSync = cluster.inSync
    this.#isAway = cluster.isAway
  }

  get length(): number {
    return this.#queued.length
  }

  ask(request: Uint8Array): Promise<Reader> {
    // Those behind others wait too, or they would overtake them.
    const waits = this.#isAway() || this.#queued.length > 0
    const plan = waits ? this.#through.plan(request) : undefined
    if (!plan) return this.#through.ask(request)
    if (this.#queued.length === queuedMax || this.#bytes + request.length > bytesMax) {
      return Promise.reject(new RevkvError('QUOTA_EXCEEDED', 'Too many writes wait for the cluster already.'))
    }
    return new Promise((resolve, reject) => {
      const seen = this.#now(writesOf(plan))
      this.#queued.push({ plan, bytes: request.length, seen, sentAt: undefined, resolve, reject })
      this.#bytes += request.length
      if (!this.#isSending) this.#send()
    })
  }

  async #send(): Promise<void> {
    this.#isSending = true
    try {
      for (let first = this.#queued[0]; first; first = this.#queued[0]) {
        await this.#inSync()
        await this.#try(first)
      }
    } catch (e) {
      for (const { reject } of this.#queued.splice(0)) reject(e)
      this.#bytes = 0
    } finally {
      this.#isSending = false
    }
  }

  async #try(first: Queued): Promise<void> {
    const { plan, sentAt } = first
    const writes = writesOf(plan)
    try {
      if (!isSame(first.seen, this.#now(writes))) throw guardsFailed()
      const guards = writes.flatMap((keys) => this.#through.guards(keys, this.#host.revision))
      first.sentAt ??= this.#host.revision
      const outcome = await this.#through.run(plan, guards)
      this.#done(first, () => plan.answer(outcome), outcome.revision)
    } catch (e) {
      if (isLost(e)) return new Promise((resolve) => setTimeout(resolve, pauseMs))
      const isOpen = sentAt !== undefined && RevkvError.is(e) && e.code === 'CONFLICT'
      if (isOpen) this.#settle(first, sentAt)
      else this.#done(first, () => thrown(e))
    }
  }

  /** What its keys are is not what it went on from: by itself, when it was sent before, or by somebody else. */
  #settle(first: Queued, sentAt: number): void {
    const { plan, seen } = first
    let isUnknown = false
    for (const [succeeded, ops] of [
      [true, plan.success],
      [false, plan.failure],
    ] as const) {
      const revision = this.#appliedAt(ops, sentAt)
      if (typeof revision === 'number') {
        const responses = ops.map((op) =>
          op.recall?.([...seen.values()].filter(({ key }) => isIn(op.writes, key)).length),
        )
        const answer = () => {
          if (responses.some((response) => response === undefined)) {
            throw new RevkvError('NOT_LEADER', 'It was written, but its answer was lost.', { retryable: false })
          }
          return plan.answer({ revision, succeeded, responses: responses as [], hasWritten: true })
        }
        return this.#done(first, answer, revision)
      }
      isUnknown ||= revision === undefined
    }
    const text = 'The answer of the cluster was lost, and its history tells no more whether this was written.'
    this.#done(first, () => thrown(isUnknown ? new RevkvError('STORAGE_LOST', text) : guardsFailed()))
  }

  /** The revision of these operations, if they were applied after another; undefined where the history does not tell. */
  #appliedAt(ops: readonly Op[], after: number): number | false | undefined {
    if (ops.length === 0) return false
    const puts = ops.flatMap(({ put }) => put ?? [])
    const [one] = puts
    try {
      if (!one) return this.#now(ops.flatMap(({ writes }) => writes)).size === 0 && this.#host.revision
      for (let at = 0; ; ) {
        const kv = this.#at(one.key, at)
        if (!kv) return at === 0 ? undefined : false
        if (kv.modRevision <= after) return false
        const { modRevision } = kv
        const isThere = ({ key, value }: NonNullable<Op['put']>) => {
          const found = this.#at(key, modRevision)
          return found?.modRevision === modRevision && (!value || compareBytes(found.value, value) === 0)
        }
        if (puts.every(isThere)) return modRevision
        if (modRevision - 1 <= after) return false
        at = modRevision - 1
      }
    } catch {
      // It is compacted.
      return undefined
    }
  }

  #at(key: Uint8Array, revision: number): KeyValue | undefined {
    return this.#host.keysOf({ key }, revision)[0]
  }

  /** It is settled. What was applied at a revision is what those behind it go on from. */
  #done(first: Queued, answer: () => Reader, revision?: number): void {
    this.#queued.shift()
    this.#bytes -= first.bytes
    if (revision !== undefined) {
      const now = this.#now(writesOf(first.plan))
      const changed: Seen = new Map([...first.seen, ...now])
      for (const { plan, seen } of this.#queued) {
        const writes = writesOf(plan)
        for (const [name, { key }] of changed) {
          const there = now.get(name)
          if (!isIn(writes, key)) continue
          if (!there) seen.delete(name)
          else if (there.modRevision === revision) seen.set(name, there)
        }
      }
    }
    try {
      first.resolve(answer())
    } catch (e) {
      first.reject(e)
    }
  }

  #now(ranges: readonly KeyRange[]): Seen {
    const seen: Seen = new Map()
    for (const keys of ranges) {
      for (const { key, modRevision } of this.#host.keysOf(keys, 0)) seen.set(toBase64(key), { key, modRevision })
    }
    return seen
  }
}

function writesOf({ success, failure }: Plan): KeyRange[] {
  return [...success, ...failure].flatMap(({ writes }) => writes)
}

function isSame(one: Seen, other: Seen): boolean {
  return (
    one.size === other.size && [...one].every(([name, { modRevision }]) => other.get(name)?.modRevision === modRevision)
  )
}

function isIn(ranges: readonly KeyRange[], key: Uint8Array): boolean {
  return ranges.some((keys) => within({ key }, keys))
}

/** No answer came, or the member cannot give one now. */
function isLost(e: unknown): boolean {
  return RevkvError.is(e) && e.retryable && (e.code === 'STORAGE_LOST' || e.code === 'CORRUPT')
}

function thrown(e: unknown): never {
  throw e
}
