// `revkv/salvage` where there is a file system: Node, Bun, Deno.

import { find } from '../load/file.js'
import { salvageWith } from '../salvage.js'
import type { OpenOptions, Salvaged } from '../types.js'

export function salvage<V = unknown>(options: OpenOptions<V>): Promise<Salvaged<V>> {
  return salvageWith(find, options)
}
