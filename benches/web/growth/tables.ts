// The tables of growth in the documents, made from the results that are kept.
import type { Environment } from '../peer.js'
import { markdown, quantity, roundsOf, shortNumber } from '../report.js'
import { exponentOf, exponentText, type Measure, perTenfold } from './fit.js'
import { type Growth, type GrowthOfWork, grid, lineOf, type Point } from './results.js'

const environments: readonly (readonly [Environment, string])[] = [
  ['web', 'Chromium'],
  ['node', 'Node'],
]

export function growthTables(growth: Growth): string {
  const { date, machine, versions } = growth
  const where = `${date}, ${machine.cpu} (${machine.cores} cores), ${machine.system}`
  const what = `Chromium ${versions.Chromium}, Node ${versions.Node}, revkv ${versions.revkv}; in memory, ${roundsOf(growth)}.`
  return [`${where}, ${what}`, ...environments.map(([name, title]) => table(growth, name, title))].join('\n\n')
}

function table(growth: Growth, environment: Environment, title: string): string {
  const head = [
    title,
    'versions',
    ...grid.entries.map((entries) => entries.toLocaleString('en')),
    'exponent',
    'per tenfold',
  ]
  const rows = growth.works.flatMap((work) => [
    ...grid.versions.map((versions) => row(work, environment, versions)),
    overVersions(work, environment),
  ])
  return markdown(head, rows)
}

function row(work: GrowthOfWork, environment: Environment, versions: number): string[] {
  const points = lineOf(work, environment, versions)
  const cell = (entries: number) => points.find((point) => point.entries === entries)
  const shown = grid.entries.map((entries) => told(cell(entries)))
  return [
    versions === 1 ? work.title : '',
    String(versions),
    ...shown,
    ...growthOver(points.map(({ entries, ns }) => ({ count: entries, ns }))),
  ]
}

/** The exponents of the columns: the same number of entries, with ever more versions. */
function overVersions(work: GrowthOfWork, environment: Environment): string[] {
  const exponents = grid.entries.map((entries) => {
    const points = work.points.filter((point) => point.environment === environment && point.entries === entries)
    return growthOver(points.map(({ versions, ns }) => ({ count: versions, ns })))[0]
  })
  return ['', 'exponent', ...exponents, '', '']
}

function told(point: Point | undefined): string {
  return point ? quantity(point.ns, 'ns') : '–'
}

function growthOver(measures: readonly Measure[]): [exponent: string, perTenfold: string] {
  if (measures.length < 2) return ['–', '–']
  const exponent = exponentOf(measures)
  return [exponentText(exponent), `${shortNumber(perTenfold(exponent))}x`]
}
