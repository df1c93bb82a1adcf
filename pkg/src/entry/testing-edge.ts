// `revkv/testing` in Vercel's edge runtime.

import { find } from '../load/edge.js'
import { createEtcdWith, type Etcd, type EtcdOptions } from '../testing/etcd.js'

export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
