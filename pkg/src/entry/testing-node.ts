// `revkv/testing` where there is a file system: Node, Bun, Deno.

import { find } from '../load/file.js'
import { createEtcdWith } from '../testing/etcd.js'
import type { Etcd, EtcdOptions } from '../testing/types.js'

export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
