// What a run has found, as it is kept: benches/results/*.json.

import { median } from './measure.js'
import type { Environment, Medium } from './peer.js'
import type { Stage, Unit } from './works.js'

export const format = 1

/** The reason of a dash where the run came to its end first. */
export const notMeasured = 'was not measured'

export interface Results {
  readonly format: typeof format
  readonly date: string
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGiB: number
    readonly system: string
  }
  readonly seed: number
  readonly entries: number
  readonly rounds: number
  readonly updates: number
  /** Of Chromium, Node, revkv and each peer's packages. */
  readonly versions: Readonly<Record<string, string>>
  readonly peers: readonly PeerResult[]
  readonly works: readonly WorkResult[]
}

export interface PeerResult {
  readonly name: string
  readonly environment: Environment
  readonly medium: Medium
  readonly packages: readonly string[]
  readonly how?: string
}

export interface WorkResult {
  readonly name: string
  readonly title: string
  readonly unit: Unit
  readonly cells: readonly Cell[]
}

export type Cell = Measured | Dash

export interface Measured {
  readonly environment: Environment
  readonly peer: string
  /** One of each round. */
  readonly rounds: readonly number[]
  readonly median: number
  /** Divided by what revkv on the same medium took in the same round. */
  readonly ratio?: Spread
}

/** What is not measured, and why. */
export interface Dash {
  readonly environment: Environment
  readonly peer: string
  readonly because: string
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Sample {
  readonly environment: Environment
  readonly peer: string
  readonly work: string
  readonly round: number
  readonly value: number
}

export type { Stage }

export function isMeasured(cell: Cell): cell is Measured {
  return 'rounds' in cell
}

export function spreadOf(numbers: readonly number[]): Spread {
  return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) }
}

export function rounded(number: number): number {
  return Number(number.toPrecision(4))
}
