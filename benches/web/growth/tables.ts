// The tables of growth in the documents, made from the results that are kept.
import type { Environment } from '../peer.js'
import { quantity } from '../report.js'
import { exponentOf } from './fit.js'
import { type Growth, type GrowthOfWork, grid, lineOf, type Point } from './results.js'

const environments: readonly (readonly [Environment, string])[] = [
  ['web', 'Chromium'],
  ['node', 'Node'],
]

export function growthTables(growth: Growth): string {
  const { date, machine, versions, seed, rounds } = growth
  const where = `${date}, ${machine.cpu} (${machine.cores} cores), ${machine.system}`
  const what = `Chromium ${versions.Chromium}, Node ${versions.Node}, revkv ${versions.revkv}; in memory, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, seed ${seed}.`
  return [`${where}, ${what}`, ...environments.map(([name, title]) => table(growth, name, title))].join('\n\n')
}

function table(growth: Growth, environment: Environment, title: string): string {
  const head = [title, 'versions', ...grid.entries.map((entries) => entries.toLocaleString('en')), 'exponent']
  const rows = growth.works.flatMap((work) => grid.versions.map((versions) => row(work, environment, versions)))
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

function row(work: GrowthOfWork, environment: Environment, versions: number): string[] {
  const points = lineOf(work, environment, versions)
  const cell = (entries: number) => points.find((point) => point.entries === entries)
  const shown = grid.entries.map((entries) => told(cell(entries)))
  return [versions === 1 ? work.title : '', String(versions), ...shown, exponent(points)]
}

function told(point: Point | undefined): string {
  return point ? quantity(point.ns, 'ns') : '–'
}

function exponent(points: readonly Point[]): string {
  if (points.length < 2) return '–'
  return exponentOf(points.map(({ entries, ns }) => ({ count: entries, ns }))).toFixed(2)
}
