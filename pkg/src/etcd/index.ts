// A real etcd cluster behind a store.

import * as args from '../arguments.js'
import { asyncDispose } from '../dispose.js'
import { invalidArgument, RevkvError } from '../errors.js'
import { type Elsewhere, type Host, hostOf } from '../host.js'
import { Keyspace } from '../keyspace.js'
import type { Store } from '../types.js'
import type { KeyRange } from '../wire.js'
import { type Json, natural } from './gateway.js'
import { ClusterFollower } from './mirror.js'
import { OfflineQueue } from './queue.js'
import { pages } from './range.js'
import { WriteThrough } from './through.js'
import type { Mirror, MirrorOptions, MirrorStatus } from './types.js'

export type * from './types.js'

/**
 * Keeps a range of a cluster in a store, with the cluster's own revisions: what the store held before is replaced, unless it is
 * of the same cluster. It is read whole at one revision, then followed; after a reload it goes on from where it was. Of
 * several tabs the one that leads does it. From then on only the cluster gives the store revisions, also when this is closed.
 *
 * The leases of keys are shown; that they end is the cluster's to do.
 *
 * @example
 * const store = await open({ name: 'flags', storage: indexedDb(), values: utf8 })
 * await using flags = mirror(store, { endpoints: ['http://127.0.0.1:2379'], range: { prefix: 'flags/' } })
 * await flags.inSync()
 */
export function mirror(store: Store<unknown>, options: MirrorOptions): Mirror {
  const host = hostOf(store)
  if (!host) throw invalidArgument('store: expected a store, not a namespace of one.')
  const names = ['endpoints', 'range', 'headers', 'fetch', 'signal', 'write', 'offline']
  const given = args.options(options, names, 'mirror')
  const keys = new Keyspace().range(given.range)
  return new ClusterMirror(host, keys, {
    endpoints: checkEndpoints(given.endpoints),
    headers: { ...(given.headers as Record<string, string> | undefined) },
    fetch: (given.fetch as typeof fetch | undefined) ?? ((...request) => fetch(...request)),
    signal: args.abortSignal(given.signal),
    write: args.flag(given.write, 'write'),
    offline: args.oneOf(given.offline, ['refuse', 'queue'], 'offline') ?? 'refuse',
  })
}

interface Checked {
  endpoints: string[]
  headers: Record<string, string>
  fetch: typeof fetch
  signal: AbortSignal | undefined
  write: boolean
  offline: 'refuse' | 'queue'
}

class ClusterMirror extends EventTarget implements Mirror {
  readonly #host: Host
  readonly #keys: KeyRange
  readonly #cluster: ClusterFollower
  #queue: OfflineQueue | undefined

  constructor(host: Host, keys: KeyRange, { signal, write, offline, ...gateway }: Checked) {
    super()
    if (host.mirrors) throw invalidArgument('store: it is mirrored already; close that mirror first.')
    this.#host = host
    this.#keys = keys
    this.#cluster = new ClusterFollower(host, keys, gateway, {
      status: (status) => this.#emit('status', { status }),
      failed: (error) => this.#emit('error', { error }),
    })
    host.mirrors = true
    if (write) host.elsewhere = this.#writer(offline)
    if (signal?.aborted) this.close()
    else signal?.addEventListener('abort', () => this.close(), { once: true })
  }

  #writer(offline: Checked['offline']): Elsewhere {
    const through = new WriteThrough(this.#host, this.#cluster, this.#keys)
    if (offline === 'refuse') return through
    this.#queue = new OfflineQueue(this.#host, through, {
      inSync: () => this.inSync(),
      isAway: () => this.status === 'waiting' && !this.#cluster.signal.aborted,
    })
    return this.#queue
  }

  get queued(): number {
    return this.#queue?.length ?? 0
  }

  get status(): MirrorStatus {
    return this.#cluster.status
  }

  get revision(): number {
    return this.#host.revision
  }

  get ageMs(): number | undefined {
    const { heardMs } = this.#cluster
    return heardMs === undefined ? undefined : Math.max(0, Date.now() - heardMs)
  }

  inSync(): Promise<void> {
    const { signal } = this.#cluster
    return new Promise((resolve, reject) => {
      if (this.status === 'in-sync') return resolve()
      if (signal.aborted) return reject(signal.reason)
      const ended = () => reject(signal.reason)
      const heard = () => {
        if (this.status !== 'in-sync') return
        this.removeEventListener('status', heard)
        signal.removeEventListener('abort', ended)
        resolve()
      }
      this.addEventListener('status', heard)
      signal.addEventListener('abort', ended, { once: true })
    })
  }

  async verify(): Promise<boolean> {
    const isAll = 'start' in this.#keys && this.#keys.start.length === 0 && !this.#keys.end
    if (!isAll) throw new RevkvError('INVALID_RANGE', 'Only a mirror of everything can be compared by hash.')
    const revision = this.#host.revision
    const hashed = await this.#call('/v3/maintenance/hashkv', { revision: String(revision) }).catch(() => undefined)
    const own = this.#host.hashOf(revision)
    const isComparable = hashed !== undefined && compactRevision(hashed) === own.compactRevision
    if (isComparable && natural(hashed.hash, 'hash') === own.hash) return true
    // A snapshot does not say where in its transaction a key is, which the hash covers; so the keys have the last word.
    return this.#compare(revision)
  }

  async close(): Promise<void> {
    this.#host.mirrors = false
    this.#host.elsewhere = undefined
    await this.#cluster.close()
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }

  async #compare(revision: number): Promise<boolean> {
    const ours = this.#host.keysOf(this.#keys, revision)
    let compared = 0
    for await (const { kvs } of pages((body) => this.#call('/v3/kv/range', body), this.#keys, revision)) {
      for (const kv of kvs) if (shown(kv) !== shown(ours[compared++] ?? {})) return false
    }
    return compared === ours.length
  }

  #call(path: string, body: object) {
    return this.#cluster.gateway.call(path, body, this.#cluster.signal)
  }

  #emit(type: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}

/** Two of these are the same where their keys, values and numbers are. */
function shown(kv: object): string {
  const parts = Object.values(kv).map((part) => (ArrayBuffer.isView(part) ? [...(part as Uint8Array)] : String(part)))
  return JSON.stringify(parts)
}

/** A cluster that was never compacted says -1. */
function compactRevision({ compact_revision: revision }: Json): number {
  return revision === '-1' ? 0 : natural(revision, 'compact_revision')
}

function checkEndpoints(endpoints: unknown): string[] {
  const given = args.iterable(endpoints, 'endpoints')
  if (given.length === 0) throw invalidArgument('endpoints: give at least one.')
  return given.map((endpoint) => {
    if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) {
      throw invalidArgument('endpoints: expected addresses such as http://127.0.0.1:2379.')
    }
    return endpoint.replace(/\/+$/, '')
  })
}
