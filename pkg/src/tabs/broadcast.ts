// How tabs of one origin hear of each other: a channel for all of them, and one for each.
//
// Why not one channel for everything? Because what a leader tells one of twenty followers would be copied to the other
// nineteen, and what each of them answers too.

import type { Transport, TransportChannel } from '../types.js'

/** So many channels to single tabs are kept open; the oldest goes first, and is opened again when it is needed. */
const channelsMax = 64

/**
 * Broadcast channels, which reach every tab, worker and window of the origin that has joined under the same name.
 *
 * @example
 * const store = await open({ storage: indexedDb(), tabs: broadcast() }) // as it is without `tabs`
 */
export function broadcast(): Transport {
  return { name: 'broadcast', join: (database, id, receive) => new Broadcast(database, id, receive) }
}

/** Whether there are such channels here. */
export function hasBroadcast(): boolean {
  return typeof BroadcastChannel === 'function'
}

class Broadcast implements TransportChannel {
  readonly #database: string
  readonly #receive: (message: Uint8Array) => void
  readonly #all: BroadcastChannel
  readonly #own: BroadcastChannel
  readonly #others = new Map<string, BroadcastChannel>()
  #closed = false

  constructor(database: string, id: string, receive: (message: Uint8Array) => void) {
    this.#database = database
    this.#receive = receive
    this.#all = this.#open(`revkv:${database}`)
    this.#own = this.#open(`revkv:${database}:${id}`)
  }

  send(message: Uint8Array, to?: string): void {
    if (this.#closed) return
    const channel = to === undefined ? this.#all : this.#other(to)
    channel.postMessage(message)
  }

  close(): void {
    this.#closed = true
    for (const channel of [this.#all, this.#own, ...this.#others.values()]) channel.close()
    this.#others.clear()
  }

  #other(id: string): BroadcastChannel {
    const known = this.#others.get(id)
    if (known) return known
    const channel = new BroadcastChannel(`revkv:${this.#database}:${id}`)
    this.#others.set(id, channel)
    for (const [oldest, other] of this.#others) {
      if (this.#others.size <= channelsMax) break
      other.close()
      this.#others.delete(oldest)
    }
    return channel
  }

  #open(name: string): BroadcastChannel {
    const channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!this.#closed) this.#receive(data as Uint8Array)
    }
    // In Node: it does not keep a process alive.
    ;(channel as { unref?(): void }).unref?.()
    return channel
  }
}
