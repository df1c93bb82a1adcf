// `revkv/testing` where there is a page or a worker of one, and wherever no other entry is meant.

import { find } from '../load/browser.js'
import { createEtcdWith } from '../testing/etcd.js'
import type { Etcd, EtcdOptions } from '../testing/types.js'

export type * from '../testing/types.js'

/**
 * An etcd for tests: its HTTP/JSON gateway in memory, with one member and nothing stored. Any client that speaks the gateway
 * works against its `fetch` or, in Node, an address that it listens at; the answers are those of etcd 3.5.
 *
 * @example
 * const etcd = await createEtcd()
 * const store = await open()
 * const cluster = mirror(store, { endpoints: ['http://etcd'], range: {}, fetch: etcd.fetch })
 */
export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
