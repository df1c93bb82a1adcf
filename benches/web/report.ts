// Tables of a run, for the terminal and for the documents.
import { type Cell, isMeasured, type Results, type WorkResult } from './results.js'
import type { Unit } from './works.js'

export function printed(results: Results): string {
  const lines: string[] = []
  for (const environment of ['web', 'node'] as const) {
    const peers = results.peers.filter((peer) => peer.environment === environment)
    for (const medium of new Set(peers.map((peer) => peer.medium))) {
      const names = peers.filter((peer) => peer.medium === medium).map(({ name }) => name)
      lines.push('', `${environment}, ${medium}: median, and the ratio to revkv (least to most of the rounds)`)
      for (const work of results.works) lines.push(...printedWork(work, environment, names))
    }
  }
  return lines.join('\n')
}

function printedWork(work: WorkResult, environment: string, names: readonly string[]): string[] {
  const cells = work.cells.filter((cell) => cell.environment === environment && names.includes(cell.peer))
  if (!cells.some(isMeasured)) return []
  return [work.title, ...cells.map((cell) => `  ${cell.peer.padEnd(24)}${printedCell(cell, work.unit)}`)]
}

function printedCell(cell: Cell, unit: Unit): string {
  if (!isMeasured(cell)) return `        - (${cell.because})`
  const { ratio } = cell
  const spread = ratio ? `${shortNumber(ratio.median)}x (${shortNumber(ratio.min)} to ${shortNumber(ratio.max)})` : ''
  return `${quantity(cell.median, unit).padStart(9)}   ${spread}`
}

export function quantity(value: number, unit: Unit): string {
  if (unit === 'bytes') return `${shortNumber(value)} B`
  if (unit === 'ratio') return shortNumber(value)
  if (value < 1e3) return `${shortNumber(value)} ns`
  if (value < 1e6) return `${shortNumber(value / 1e3)} µs`
  if (value < 1e9) return `${shortNumber(value / 1e6)} ms`
  return `${shortNumber(value / 1e9)} s`
}

export function shortNumber(value: number): string {
  if (value >= 99.5) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(2)))
}

export function roundsOf({ rounds, seed }: { rounds: number; seed: number }): string {
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, seed ${seed}`
}

/** A table of Markdown: the first column is of names, the others are of numbers. */
export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}
