// The Watch service: one stream of responses for any number of watches, each a watcher of the engine.
//
// A response is made when its reader has room for it. Until then the watcher is a place in the history, however much is
// written; only a compaction can overtake it, and then the watch is cancelled with the revision to begin at.

import { RevkvError } from '../errors.js'
import { packWatch, Reader } from '../wire.js'
import { isZero, natural, readKv, readOptionalKv } from './kv.js'
import type { Member } from './member.js'
import { type Message, present } from './message.js'

/** etcd sends at most so many revisions at once of those that a watch has to catch up with. */
const eventsMax = 1000
/** So many responses may wait for their reader, as in etcd. */
export const responsesMax = 128

interface Watch {
  id: bigint
  watcher: number
  startRevision: number
  fragment: boolean
  progress: ReturnType<typeof setInterval> | undefined
  /** It was given events since progress was last told. */
  isBusy: boolean
}

type Send = (response: Record<string, unknown>) => void

export class WatchStream {
  readonly #member: Member
  readonly #send: Send
  readonly #hasRoom: () => boolean
  readonly #watches = new Map<bigint, Watch>()
  #nextId = 0n
  /** Hears of the end. */
  onClose: () => void = () => {}

  constructor(member: Member, send: Send, hasRoom: () => boolean) {
    this.#member = member
    this.#send = send
    this.#hasRoom = hasRoom
    member.streams.add(this)
  }

  /** One message of the client's. */
  take(message: Message): void {
    const create = message.message('create_request')
    if (create) this.#create(create)
    const cancel = message.message('cancel_request')
    if (cancel) this.#cancel(cancel.int64('watch_id'))
    if (message.has('progress_request')) this.#tellProgress()
  }

  /** Sends what the watches have not been given, as far as there is room. */
  deliver(): void {
    for (const watch of [...this.#watches.values()]) {
      while (this.#hasRoom() && this.#deliverTo(watch)) {}
    }
  }

  close(): void {
    this.#member.streams.delete(this)
    for (const watch of this.#watches.values()) this.#forget(watch)
    this.onClose()
  }

  #create(request: Message): void {
    const wanted = request.int64('watch_id')
    const watcher = this.#watcherOf(request)
    if (typeof watcher !== 'number') {
      const { reason, compactRevision } = watcher
      // A watch that begins too early is made, and cancelled by what comes next.
      if (compactRevision === 0) return this.#refuse(reason)
      const watch_id = wanted === 0n ? this.#freeId() : wanted
      this.#send({ header: this.#header(), ...present({ watch_id, created: true }) })
      this.#sendCompacted(watch_id, compactRevision)
      return
    }
    if (wanted !== 0n && (wanted === -1n || this.#watches.has(wanted))) {
      this.#member.core.call((engine) => engine.cancelWatch(watcher))
      return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream')
    }
    const id = wanted === 0n ? this.#freeId() : wanted
    const watch: Watch = {
      id,
      watcher,
      startRevision: natural(request, 'start_revision'),
      fragment: request.flag('fragment'),
      progress: undefined,
      isBusy: false,
    }
    if (request.flag('progress_notify')) {
      watch.progress = setInterval(() => this.#notify(watch), this.#member.options.progressIntervalMs)
    }
    this.#watches.set(id, watch)
    this.#send({ header: this.#header(), ...present({ watch_id: id, created: true }) })
    this.deliver()
  }

  /** A watcher of the engine's, or why there is none. */
  #watcherOf(request: Message): number | { reason: string; compactRevision: number } {
    const [first, end] = [request.bytes('key'), request.bytes('range_end')]
    const key = first.length === 0 ? Uint8Array.of(0) : first
    const keys = end.length === 0 ? { key } : isZero(end) ? { start: key } : { start: key, end }
    const filters = request.options('filters', ['NOPUT', 'NODELETE'])
    const startRevision = natural(request, 'start_revision')
    if (request.int64('start_revision') < 0n) {
      return { reason: 'etcdserver: mvcc: required revision has been compacted', compactRevision: 0 }
    }
    const packed = packWatch({
      keys,
      startRevision,
      prevKv: request.flag('prev_kv'),
      noPut: filters.includes('NOPUT'),
      noDelete: filters.includes('NODELETE'),
      resync: false,
    })
    try {
      return this.#member.core.call((engine) => engine.watch(packed))
    } catch (e) {
      if (!RevkvError.is(e)) throw e
      if (e.code === 'COMPACTED') return { reason: '', compactRevision: e.compactRevision ?? 0 }
      return { reason: e.code === 'INVALID_RANGE' ? 'mvcc: watcher range is empty' : e.message, compactRevision: 0 }
    }
  }

  #freeId(): bigint {
    while (this.#watches.has(this.#nextId)) this.#nextId++
    return this.#nextId++
  }

  #refuse(reason: string): void {
    const response = { watch_id: -1n, created: true, canceled: true, cancel_reason: reason }
    this.#send({ header: this.#header(), ...present(response) })
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id)
    if (!watch) return
    this.#forget(watch)
    this.#send({ header: this.#header(), ...present({ watch_id: id, canceled: true }) })
  }

  #forget(watch: Watch): void {
    clearInterval(watch.progress)
    this.#watches.delete(watch.id)
    this.#member.release(watch.watcher)
  }

  /** Sends one response; `false` if there was none to send. */
  #deliverTo(watch: Watch): boolean {
    const { core } = this.#member
    if (!this.#watches.has(watch.id) || !core.call((engine) => engine.pendingWatches()).includes(watch.watcher)) {
      return false
    }
    let taken: Uint8Array
    try {
      taken = core.call((engine) => engine.takeEvents(watch.watcher, 0, eventsMax))
    } catch (e) {
      if (!RevkvError.is(e) || e.code !== 'COMPACTED') throw e
      this.#forget(watch)
      this.#sendCompacted(watch.id, e.compactRevision ?? 0)
      return false
    }
    const events = readEvents(new Reader(taken))
    watch.isBusy ||= events.length > 0
    if (events.length > 0) this.#sendEvents(watch, events)
    return true
  }

  #sendEvents(watch: Watch, events: Record<string, unknown>[]): void {
    const header = this.#header()
    const portions = watch.fragment ? fragments(events, this.#member.options.fragmentBytes) : [events]
    for (const [i, portion] of portions.entries()) {
      const fragment = i < portions.length - 1
      this.#send({ header, ...present({ watch_id: watch.id, fragment, events: portion }) })
    }
  }

  #sendCompacted(watch_id: bigint, compactRevision: number): void {
    const response = { watch_id, canceled: true, compact_revision: BigInt(compactRevision) }
    this.#send({ header: this.#member.header(0), ...present(response) })
  }

  #notify(watch: Watch): void {
    if (!watch.isBusy && this.#isSynced(watch) && this.#hasRoom()) {
      this.#send({ header: this.#header(), ...present({ watch_id: watch.id }) })
    }
    watch.isBusy = false
  }

  /** Answered if every watch of the stream was given all there is, and there is one. */
  #tellProgress(): void {
    const watches = [...this.#watches.values()]
    if (watches.length === 0 || !watches.every((watch) => this.#isSynced(watch))) return
    this.#send({ header: this.#header(), watch_id: '-1' })
  }

  #isSynced({ watcher, startRevision }: Watch): boolean {
    const { core } = this.#member
    return startRevision <= this.#member.revision && !core.call((engine) => engine.pendingWatches()).includes(watcher)
  }

  #header(): Record<string, unknown> {
    return this.#member.header()
  }
}

function readEvents(reader: Reader): Record<string, unknown>[] {
  const batches = reader.list(() => {
    reader.u64() // The revision, which each event has too,
    reader.bool() // and whether it is the range as it is, which nobody asks for here.
    return reader.list(() => {
      const type = reader.u32() === 0 ? '' : 'DELETE'
      const kv = readKv(reader)
      return present({ type, kv, prev_kv: readOptionalKv(reader) })
    })
  })
  return batches.flat()
}

/** Portions of at least one event, and of about so many bytes at most. */
function fragments(events: Record<string, unknown>[], bytesMax: number): Record<string, unknown>[][] {
  const portions: Record<string, unknown>[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const event of events) {
    const size = JSON.stringify(event).length
    if (bytes + size > bytesMax) {
      portions.push([])
      bytes = 0
    }
    portions.at(-1)?.push(event)
    bytes += size
  }
  return portions
}
