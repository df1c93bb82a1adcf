// What a run of growth has found, as it is kept: benches/results/growth.json.
import type { Environment } from '../peer.js'
import type { Results } from '../results.js'

export const format = 1

/** Numbers of entries, and of versions of each. */
export const grid = { entries: [1000, 10_000, 100_000, 1_000_000], versions: [1, 10, 100] } as const

/** With the index of it and some to spare, what 4 GiB of WebAssembly have room for: about 160 bytes each. */
export const changesMax = 12_000_000

export interface Growth extends Pick<Results, 'date' | 'machine' | 'seed'> {
  readonly format: typeof format
  readonly rounds: number
  readonly versions: Readonly<Record<string, string>>
  readonly works: readonly GrowthOfWork[]
}

export interface GrowthOfWork {
  readonly name: string
  readonly title: string
  readonly points: readonly Point[]
}

export interface Point {
  readonly environment: Environment
  readonly entries: number
  readonly versions: number
  /** The median of the rounds. */
  readonly ns: number
}

/** The points of one line: the same number of versions, entries ascending. */
export function lineOf(work: GrowthOfWork, environment: Environment, versions: number): Point[] {
  const points = work.points.filter((point) => point.environment === environment && point.versions === versions)
  return points.sort((a, b) => a.entries - b.entries)
}
