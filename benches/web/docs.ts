// Writes the tables into the documents, between their markers.
//   node --import tsx benches/web/docs.ts --write
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Results } from './results.js'
import { everything, summary } from './tables.js'

const root = new URL('../../', import.meta.url)

const documents = [
  { path: 'README.md', content: summary },
  { path: 'docs/performance.md', content: everything },
] as const

export function keptResults(): Results {
  return JSON.parse(readFileSync(new URL('benches/results/latest.json', root), 'utf8'))
}

/** Each document as it is, and as the results would have it. */
export function writtenDocuments(results: Results): { path: string; found: string; expected: string }[] {
  return documents.map(({ path, content }) => {
    const found = readFileSync(new URL(path, root), 'utf8')
    return { path, found, expected: between(path, found, content(results)) }
  })
}

function between(path: string, text: string, content: string): string {
  const [before, rest, more] = text.split('<!-- benchmark -->')
  const after = rest?.split('<!-- /benchmark -->')[1]
  if (before === undefined || after === undefined || more !== undefined) {
    throw new Error(`${path} needs <!-- benchmark --> and <!-- /benchmark -->, once each`)
  }
  return `${before}<!-- benchmark -->\n${content}\n<!-- /benchmark -->${after}`
}

function main(): void {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
  for (const { path, found, expected } of writtenDocuments(keptResults())) {
    if (found === expected) console.log(`${path} says what the results say`)
    else if (values.write) writeFileSync(new URL(path, root), expected)
    else throw new Error(`${path} says something else than the results: run "cargo xtask bench --write-docs"`)
    if (found !== expected) console.log(`${path} is written`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
