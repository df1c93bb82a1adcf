// `revkv/testing` where there is a file system: Node, Bun, Deno.

import { find } from '../load/file.js'
import { createEtcdWith, type Etcd, type EtcdOptions } from '../testing/etcd.js'

export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
