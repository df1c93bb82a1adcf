// Writes the tables into the documents, between their markers.
//   node --import tsx benches/web/docs.ts --write
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Growth } from './growth/results.js'
import { growthTables } from './growth/tables.js'
import type { Results } from './results.js'
import { everything, summary } from './tables.js'

const root = new URL('../../', import.meta.url)

/** What stands between the markers of each document. */
const documents: Record<string, Record<string, () => string>> = {
  'README.md': { benchmark: () => summary(keptResults()) },
  'docs/performance.md': { benchmark: () => everything(keptResults()), growth: () => growthTables(keptGrowth()) },
}

export function keptResults(): Results {
  return JSON.parse(readFileSync(new URL('benches/results/latest.json', root), 'utf8'))
}

export function keptGrowth(): Growth {
  return JSON.parse(readFileSync(new URL('benches/results/growth.json', root), 'utf8'))
}

/** Each document as it is, and as the results would have it. */
export function writtenDocuments(): { path: string; found: string; expected: string }[] {
  return Object.entries(documents).map(([path, contents]) => {
    const found = readFileSync(new URL(path, root), 'utf8')
    let expected = found
    for (const [marker, content] of Object.entries(contents)) expected = between(path, expected, marker, content())
    return { path, found, expected }
  })
}

function between(path: string, text: string, marker: string, content: string): string {
  const [begin, end] = [`<!-- ${marker} -->`, `<!-- /${marker} -->`]
  const [before, rest, more] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined || more !== undefined) {
    throw new Error(`${path} needs ${begin} and ${end}, once each`)
  }
  return `${before}${begin}\n${content}\n${end}${after}`
}

function main(): void {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
  for (const { path, found, expected } of writtenDocuments()) {
    if (found === expected) console.log(`${path} says what the results say`)
    else if (values.write) writeFileSync(new URL(path, root), expected)
    else throw new Error(`${path} says something else than the results: run "cargo xtask bench --write-docs"`)
    if (found !== expected) console.log(`${path} is written`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
