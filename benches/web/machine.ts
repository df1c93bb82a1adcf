// Where a run was made, as its results say.
import { arch, cpus, platform, release, totalmem } from 'node:os'
import type { Results } from './results.js'

export function machine(): Results['machine'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
  }
}
