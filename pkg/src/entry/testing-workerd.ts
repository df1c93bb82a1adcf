// `revkv/testing` in workerd.

import { find } from '../load/workerd.js'
import { createEtcdWith, type Etcd, type EtcdOptions } from '../testing/etcd.js'

export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
