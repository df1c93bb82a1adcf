// `revkv/salvage` in workerd.

import { find } from '../load/workerd.js'
import { salvageWith } from '../salvage.js'
import type { OpenOptions, Salvaged } from '../types.js'

export function salvage<V = unknown>(options: OpenOptions<V>): Promise<Salvaged<V>> {
  return salvageWith(find, options)
}
