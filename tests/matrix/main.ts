// The matrix: installs the packed tarball into small real apps and runs them, one line for each.
//   node --import tsx tests/matrix/main.ts [--quick] [APP...]
//   node --import tsx tests/matrix/main.ts --readme   writes what it is into the README
import { parseArgs } from 'node:util'
import { App, pack } from './app.js'
import { type Browser, openChromium } from './browsers.js'
import { type Cell, cells } from './cells.js'
import { isInReadme, nameOf, writeToReadme } from './table.js'

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, readme: { type: 'boolean' } },
})
for (const name of names) {
  if (!cells.some(({ app }) => app === name)) throw new Error(`there is no app ${name} in the matrix`)
}
const asked = cells.filter(
  ({ app, quick }) => (names.length === 0 || names.includes(app)) && (!flags.quick || quick === true),
)

/** No cell takes longer than this, whatever hangs in it. */
const cellTimeoutMs = 420_000

let chromium: Promise<Browser> | undefined
const world = {
  chromium: () => {
    chromium ??= openChromium()
    return chromium
  },
}

async function runCell(cell: Cell, tarball: string): Promise<string | undefined> {
  const app = await App.prepare(cell.app, tarball)
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${cellTimeoutMs / 1000} s`)), cellTimeoutMs)
  })
  try {
    return await Promise.race([cell.run(app, world, cell), tooLong])
  } finally {
    clearTimeout(timer)
  }
}

/** One line for a cell, as soon as it is over. */
async function report(cell: Cell, tarball: string): Promise<string | undefined> {
  const began = performance.now()
  const line = async (state: string, ranBy: string) => {
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    const seen = [ranBy, cell.storage, cell.engine && `engine from ${cell.engine}`].filter(Boolean).join('; ')
    console.log(`${state.padEnd(7)}${seconds.padStart(6)} s  ${await nameOf(cell)}: ${cell.how} (${seen})`)
  }
  try {
    await line('ok', (await runCell(cell, tarball)) ?? '')
    return undefined
  } catch (error) {
    await line('FAILED', '')
    return `${cell.app}: ${cell.how}: ${error instanceof Error ? error.stack : error}`
  }
}

async function main(): Promise<number> {
  if (flags.readme) {
    await writeToReadme()
    return 0
  }
  const failures: string[] = []
  if (!(await isInReadme())) {
    failures.push('README.md shows another matrix: node --import tsx tests/matrix/main.ts --readme')
  }
  const tarball = await pack()
  for (const cell of asked) {
    const failure = await report(cell, tarball)
    if (failure !== undefined) failures.push(failure)
  }
  await (await chromium)?.close()
  for (const failure of failures) console.error(`\n${failure}`)
  console.log(failures.length === 0 ? `all ${asked.length} are as they should be` : `${failures.length} failed`)
  return failures.length === 0 ? 0 : 1
}

// A cell that took too long may still have something under way.
process.exit(await main())
