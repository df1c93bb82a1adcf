// What a user of the stand-in is given.

import type { OpenOptions } from '../types.js'

/** How a stand-in is set up. */
export interface EtcdOptions {
  /** The cluster's id, a random one if absent. Another cluster has another. */
  clusterId?: bigint
  /** How often a quiet watch that asked for it is told progress. Default 10 minutes, as etcd's. */
  progressIntervalMs?: number
  /** A watch response larger than this is sent in fragments, where the watch allows it. Default 2 MiB, as etcd's. */
  fragmentBytes?: number
  /** Requests have to carry this as their `authorization`; without it, or with another, they are refused as with a token that has expired. */
  token?: string
  /** The engine, where the default way of finding it does not suit: as for `open`. */
  wasm?: OpenOptions['wasm']
}

/** etcd's HTTP/JSON gateway, in memory. */
export interface Etcd extends AsyncDisposable {
  /** The id that every answer names. */
  readonly clusterId: bigint
  /** The newest revision. */
  readonly revision: number
  /** Answers a request to any host, as `globalThis.fetch` would one to etcd: give it to a client in that one's place. */
  readonly fetch: typeof globalThis.fetch
  /** In Node: answers on 127.0.0.1. `port` 0 or absent is a free one. */
  listen(port?: number): Promise<EtcdServer>
  /** Ends every watch and server. May be called twice. */
  close(): Promise<void>
}

/** An address that a stand-in answers at. */
export interface EtcdServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:40123`. */
  readonly url: string
  /** Ends the connections, watches included. The content stays: `listen` again to go on. */
  close(): Promise<void>
}
