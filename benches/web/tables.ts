// The tables of the documents, made from the results that are kept.
import type { Environment, Medium } from './peer.js'
import { markdown, quantity, roundsOf, shortNumber } from './report.js'
import { type Cell, isMeasured, notMeasured, type PeerResult, type Results, type WorkResult } from './results.js'

/** What a reader of the README sees: the works that most programs are made of. */
const chosen = [
  'load',
  'put',
  'puts-strict',
  'put-strict',
  'get',
  'get-hot',
  'range-100',
  'watchers',
  'open-all',
  'stored',
]

interface Part {
  readonly title: string
  readonly environment: Environment
  readonly medium: Medium
}

const parts: readonly Part[] = [
  { title: 'Chromium, IndexedDB', environment: 'web', medium: 'IndexedDB' },
  { title: 'Chromium, OPFS', environment: 'web', medium: 'OPFS' },
  { title: 'Chromium, in memory', environment: 'web', medium: 'memory' },
  { title: 'Node, files', environment: 'node', medium: 'file' },
  { title: 'Node, in memory', environment: 'node', medium: 'memory' },
]

export function summary(results: Results): string {
  const inBrowser = parts.filter(({ environment, medium }) => environment === 'web' && medium !== 'OPFS')
  const works = results.works.filter(({ name }) => chosen.includes(name))
  const tables = inBrowser.map((part) => table(results, part, works, medianOnly))
  return [conditions(results), ...tables].filter(Boolean).join('\n\n')
}

export function everything(results: Results): string {
  const tables = parts.map((part) => table(results, part, results.works, withSpread))
  return [conditions(results), ...tables, notes(results)].filter(Boolean).join('\n\n')
}

function conditions(results: Results): string {
  const { machine, versions, date, entries } = results
  const { Chromium, Node, ...packages } = versions
  const of = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  return `${date}, ${machine.cpu} (${machine.cores} cores), ${machine.system}, Chromium ${Chromium}, Node ${Node}; ${entries.toLocaleString('en')} entries, ${roundsOf(results)}. ${of.join(', ')}.`
}

type Show = (cell: Cell | undefined) => string

function table(
  results: Results,
  { title, environment, medium }: Part,
  works: readonly WorkResult[],
  show: Show,
): string {
  const all = results.peers.filter((peer) => peer.environment === environment && peer.medium === medium)
  const peers = all.filter(({ name }) => !isRevkv(name))
  const revkv = `revkv ${medium}`
  const row = (work: WorkResult): string[] => {
    const cell = (peer: string) => work.cells.find((cell) => cell.environment === environment && cell.peer === peer)
    const own = cell(revkv)
    if (!own || !isMeasured(own)) return []
    return [work.title, quantity(own.median, work.unit), ...peers.map(({ name }) => show(cell(name)))]
  }
  const rows = works.map(row).filter((cells) => cells.length > 0)
  if (rows.length === 0) return ''
  const head = [title, 'revkv', ...peers.map(({ name }) => name)]
  return markdown(head, rows)
}

function medianOnly(cell: Cell | undefined): string {
  return cell && isMeasured(cell) && cell.ratio ? `${shortNumber(cell.ratio.median)}x` : '–'
}

function withSpread(cell: Cell | undefined): string {
  if (!cell || !isMeasured(cell) || !cell.ratio) return '–'
  const { median, min, max } = cell.ratio
  const ends = [shortNumber(min), shortNumber(max)]
  return ends[0] === ends[1] ? `${shortNumber(median)}x` : `${shortNumber(median)}x (${ends.join('–')})`
}

/** How each is used, and why there is a dash. */
function notes(results: Results): string {
  const seen = new Set<string>()
  return results.peers
    .filter(({ name }) => !isRevkv(name) && !seen.has(name) && seen.add(name))
    .map((peer) => `- **${peer.name}**: ${peer.how ?? ''} ${reasons(results, peer)}`.trimEnd())
    .join('\n')
}

function reasons(results: Results, { name, environment }: PeerResult): string {
  const byReason = new Map<string, string[]>()
  for (const work of results.works) {
    const cell = work.cells.find((cell) => cell.peer === name && cell.environment === environment)
    if (!cell || isMeasured(cell) || ofOthers(cell.because)) continue
    byReason.set(cell.because, [...(byReason.get(cell.because) ?? []), work.title])
  }
  return [...byReason].map(([why, titles]) => `Not ${titles.join('; ')}: ${why}.`).join(' ')
}

/** A dash that says nothing of the peer. */
function ofOthers(because: string): boolean {
  return because === 'keeps nothing' || because === notMeasured || /^(of |measured in )/.test(because)
}

function isRevkv(name: string): boolean {
  return name.startsWith('revkv ')
}
