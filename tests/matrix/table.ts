// The matrix as the README shows it: what was tried, by the versions that the lockfiles pin.
import { readFile, writeFile } from 'node:fs/promises'
import { type Cell, cells } from './cells.js'

const readme = new URL('../../README.md', import.meta.url)
const block = /(<!-- matrix -->\n)[\s\S]*?(<!-- \/matrix -->)/

/** What a cell is an app of, with its version. */
export async function nameOf({ app, of, module }: Cell): Promise<string> {
  if (module === undefined) return of
  const manifest = JSON.parse(await readFile(new URL(`apps/${app}/package.json`, import.meta.url), 'utf8'))
  return `${of} ${{ ...manifest.dependencies, ...manifest.optionalDependencies }[module]}`
}

async function table(): Promise<string> {
  const rows = cells.map(async (cell) => {
    const name = await nameOf(cell)
    return `| ${cell.quick ? `**${name}**` : name} | ${cell.how} | ${cell.storage} | ${cell.engine ?? ''} |\n`
  })
  const head = '| | run as | kept in | a page has the engine from |\n|---|---|---|---|\n'
  return head + (await Promise.all(rows)).join('')
}

/** Whether the README shows the matrix as it is. */
export async function isInReadme(): Promise<boolean> {
  const text = await readFile(readme, 'utf8')
  return text === (await withTable(text))
}

export async function writeToReadme(): Promise<void> {
  await writeFile(readme, await withTable(await readFile(readme, 'utf8')))
}

async function withTable(text: string): Promise<string> {
  if (!block.test(text)) throw new Error('README.md has no place for it, from <!-- matrix --> to <!-- /matrix -->')
  const rows = await table()
  return text.replace(block, (_, start, end) => start + rows + end)
}
