// etcd's Watch service: one stream of requests and one of answers, with any number of watches on them.

import { RevkvError } from '../errors.js'
import type { Change, Key, Range, Watch, WatchOptions } from '../types.js'
import { type Answer, type Bytes, isZero, keyOf, keyValue, natural } from './kv.js'
import type { Lines } from './lines.js'
import { bytes, flag, int64, type Message } from './message.js'
import { compacted, Status } from './status.js'

/** What is longer is sent in parts to whoever asks for `fragment`; etcd's bound, counted here in keys and values. */
const responseBytesMax = 1.5 * 1024 * 1024 + 512 * 1024

const noWatch = -1n
const filterNames = ['NOPUT', 'NODELETE']

export interface WatchSettings {
  store: Bytes
  progressIntervalMs: number
  header(revision: number): Answer
}

interface Watcher {
  readonly id: bigint
  readonly startRevision: number
  readonly watch: Watch<Uint8Array>
  readonly isFragmented: boolean
  /** Both filters: nothing is left to send, but how far it has come. */
  readonly isSilent: boolean
  timer?: ReturnType<typeof setInterval>
  hadEvents: boolean
  progressDue: boolean
  ended: boolean
  /** Those who wait for it to say how far it has come. */
  waiting: ((revision: number) => void)[]
}

export class WatchStream {
  readonly #settings: WatchSettings
  readonly #lines: Lines
  readonly #watchers = new Map<bigint, Watcher>()
  #nextId = 0n

  constructor(settings: WatchSettings, lines: Lines) {
    this.#settings = settings
    this.#lines = lines
    void lines.ended.then(() => this.#end())
  }

  /** What one request of the client's asks for. Doing it rejects when the reader is gone. */
  read(request: Message): () => Promise<void> {
    if (request.has('create_request')) {
      const wish = readCreate(request.message('create_request'))
      return () => this.#create(wish)
    }
    if (request.has('cancel_request')) {
      const id = request.message('cancel_request').int64('watch_id')
      return () => this.#cancel(id)
    }
    return request.has('progress_request') ? () => this.#progress() : async () => {}
  }

  async #create(wish: Wish): Promise<void> {
    const id = wish.id || this.#freeId()
    if (this.#watchers.has(id)) return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream')
    if (wish.startRevision < 0n) return this.#refuse(compacted)
    const { revision } = this.#settings.store
    const created = { watch_id: int64(id), created: true }
    try {
      const watcher = this.#begin(id, wish)
      await this.#send(revision, created)
      void this.#run(watcher)
    } catch (e) {
      if (!RevkvError.is(e)) throw e
      if (e.code === 'INVALID_RANGE') return this.#refuse('mvcc: watcher range is empty')
      if (e.code !== 'COMPACTED') throw e
      await this.#send(revision, created)
      await this.#sendCompacted(id, e)
    }
  }

  /** Where it begins is settled by the call. */
  #begin(id: bigint, { target, startRevision, options, ...rest }: Wish): Watcher {
    const start = natural(startRevision)
    const watch = this.#settings.store.watch(target, { ...options, ...(start > 0 ? { from: start } : {}) })
    const { isFragmented, isSilent } = rest
    const state = { hadEvents: false, progressDue: false, ended: false, waiting: [] }
    const watcher: Watcher = { id, startRevision: start, watch, isFragmented, isSilent, ...state }
    this.#watchers.set(id, watcher)
    if (rest.notifiesProgress) this.#tick(watcher)
    return watcher
  }

  #refuse(reason: string): Promise<void> {
    const answer = { watch_id: int64(noWatch), created: true, canceled: true, cancel_reason: reason }
    return this.#send(this.#settings.store.revision, answer)
  }

  /** The counter goes on past the ids that clients have chosen, and never back. */
  #freeId(): bigint {
    while (this.#watchers.has(this.#nextId)) this.#nextId++
    return this.#nextId++
  }

  /** No answer where there is no such watch. */
  async #cancel(id: bigint): Promise<void> {
    const watcher = this.#watchers.get(id)
    if (!watcher) return
    this.#watchers.delete(id)
    this.#stop(watcher)
    await this.#send(this.#settings.store.revision, { watch_id: int64(id), canceled: true })
  }

  /** Sends what the store delivers. What it is to say of failures is said; the stream goes on without this watch. */
  async #run(watcher: Watcher): Promise<void> {
    try {
      for await (const { revision, changes } of watcher.watch) {
        if (changes.length > 0 && !watcher.isSilent) await this.#sendEvents(watcher, revision, changes)
        else await this.#sendProgress(watcher, revision)
      }
    } catch (e) {
      if (!watcher.ended && RevkvError.is(e)) await this.#sendFailure(watcher.id, e)
    } finally {
      this.#stop(watcher)
    }
  }

  async #sendEvents(watcher: Watcher, revision: number, changes: readonly Change<Uint8Array>[]): Promise<void> {
    watcher.hadEvents = true
    const parts = watcher.isFragmented ? inParts(changes) : [changes]
    for (const [i, part] of parts.entries()) {
      if (watcher.ended) return
      const fragment = flag(i < parts.length - 1)
      await this.#send(revision, { watch_id: int64(watcher.id), fragment, events: part.map(event) })
    }
  }

  async #sendProgress(watcher: Watcher, revision: number): Promise<void> {
    for (const resolve of watcher.waiting.splice(0)) resolve(revision)
    if (!watcher.progressDue || watcher.ended) return
    watcher.progressDue = false
    await this.#send(revision, { watch_id: int64(watcher.id) })
  }

  async #sendFailure(id: bigint, e: RevkvError): Promise<void> {
    // A reader that is gone needs no answer.
    try {
      if (e.code === 'COMPACTED') await this.#sendCompacted(id, e)
      else
        await this.#send(this.#settings.store.revision, {
          watch_id: int64(id),
          canceled: true,
          cancel_reason: Status.of(e).message,
        })
    } catch {}
  }

  #sendCompacted(id: bigint, { compactRevision = 0 }: RevkvError): Promise<void> {
    return this.#send(0, { watch_id: int64(id), canceled: true, compact_revision: int64(compactRevision) })
  }

  /** Answered when every watch has said all there is, and not at all while one waits for a revision to come. */
  async #progress(): Promise<void> {
    const watchers = [...this.#watchers.values()].filter(({ ended }) => !ended)
    const { revision } = this.#settings.store
    if (watchers.length === 0 || watchers.some(({ startRevision }) => startRevision > revision)) return
    const said = watchers.map((watcher) => {
      const saying = new Promise<number>((resolve) => watcher.waiting.push(resolve))
      watcher.watch.requestProgress()
      return saying
    })
    const through = Math.min(...(await Promise.all(said)))
    if (Number.isFinite(through)) await this.#send(through, { watch_id: int64(noWatch) })
  }

  /** Says from time to time how far a watch has come that had nothing to say. */
  #tick(watcher: Watcher): void {
    watcher.timer = setInterval(() => {
      const { hadEvents } = watcher
      watcher.hadEvents = false
      if (hadEvents || watcher.startRevision > this.#settings.store.revision) return
      watcher.progressDue = true
      watcher.watch.requestProgress()
    }, this.#settings.progressIntervalMs)
    ;(watcher.timer as { unref?(): void }).unref?.()
  }

  #stop(watcher: Watcher): void {
    watcher.ended = true
    clearInterval(watcher.timer)
    watcher.watch.close()
    for (const resolve of watcher.waiting.splice(0)) resolve(Number.POSITIVE_INFINITY)
  }

  #end(): void {
    for (const watcher of this.#watchers.values()) this.#stop(watcher)
    this.#watchers.clear()
  }

  #send(revision: number, answer: Answer): Promise<void> {
    return this.#lines.write({ result: { header: this.#settings.header(revision), ...answer } })
  }
}

type Wish = ReturnType<typeof readCreate>

function readCreate(request: Message) {
  const filters = request.choices('filters', filterNames)
  const [noPut, noDelete] = [filters.includes(0), filters.includes(1)]
  const options: WatchOptions = { prevEntry: request.flag('prev_kv') }
  if (noPut || noDelete) options.only = noPut ? 'delete' : 'put'
  return {
    id: request.int64('watch_id'),
    target: readTarget(request),
    startRevision: request.int64('start_revision'),
    options,
    isSilent: noPut && noDelete,
    isFragmented: request.flag('fragment'),
    notifiesProgress: request.flag('progress_notify'),
  }
}

/** Here, other than in a range, no key is the key "\0". */
function readTarget(request: Message): Key | Range {
  const [given, end] = [request.bytes('key'), request.bytes('range_end')]
  const key = given.length > 0 ? given : Uint8Array.of(0)
  if (end.length === 0) return key
  return isZero(end) ? { start: key } : { start: key, end }
}

function event(change: Change<Uint8Array>): Answer {
  const prev_kv = change.prevEntry && keyValue(change.prevEntry)
  if (change.type === 'put') return { kv: keyValue(change.entry), prev_kv }
  return { type: 'DELETE', kv: { key: bytes(keyOf(change)), mod_revision: int64(change.modRevision) }, prev_kv }
}

/** At least one event in each, and more while they fit. */
function inParts(changes: readonly Change<Uint8Array>[]): Change<Uint8Array>[][] {
  const parts: Change<Uint8Array>[][] = []
  let left = 0
  for (const change of changes) {
    const size = sizeOf(change)
    if (left < size || parts.length === 0) {
      parts.push([])
      left = responseBytesMax
    }
    parts.at(-1)?.push(change)
    left -= size
  }
  return parts
}

function sizeOf(change: Change<Uint8Array>): number {
  const entries = [change.type === 'put' ? change.entry : undefined, change.prevEntry]
  return entries.reduce((sum, entry) => sum + (entry ? keyOf(entry).length + entry.bytes.length : 0), 0)
}
