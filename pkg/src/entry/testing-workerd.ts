// `revkv/testing` in workerd.

import { find } from '../load/workerd.js'
import { createEtcdWith } from '../testing/etcd.js'
import type { Etcd, EtcdOptions } from '../testing/types.js'

export function createEtcd(options?: EtcdOptions): Promise<Etcd> {
  return createEtcdWith(find, options)
}
