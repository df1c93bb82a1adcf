// The matrix: installs the packed tarball into small real apps and runs them, one line for each.
//   node --import tsx tests/matrix/main.ts [--quick] [APP...]
import { parseArgs } from 'node:util'
import { App, pack } from './app.js'
import { type Browser, openChromium } from './browsers.js'
import { type Cell, cells, type Seen } from './cells.js'

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' } },
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

async function runCell(cell: Cell, tarball: string): Promise<string> {
  const app = await App.prepare(cell.app, tarball)
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${cellTimeoutMs / 1000} s`)), cellTimeoutMs)
  })
  try {
    const seen = await Promise.race([cell.run(app, world), tooLong])
    return described(seen, cell.of && `${cell.of[1]} ${await app.version(cell.of[0])}`)
  } finally {
    clearTimeout(timer)
  }
}

function described({ by, storage, engine }: Seen, tool: string | undefined): string {
  const from = engine && `engine from ${engine}`
  return [[tool, by].filter(Boolean).join(', '), storage, from].filter(Boolean).join('; ')
}

async function main(): Promise<number> {
  const tarball = await pack()
  const failures: string[] = []
  for (const cell of asked) {
    const began = performance.now()
    const line = (state: string, note: string) => {
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      console.log(`${state.padEnd(7)}${cell.app.padEnd(9)}${seconds.padStart(6)} s  ${cell.how} (${note})`)
    }
    try {
      line('ok', await runCell(cell, tarball))
    } catch (error) {
      line('FAILED', 'see below')
      failures.push(`${cell.app}, ${cell.how}: ${error instanceof Error ? error.stack : error}`)
    }
  }
  await (await chromium)?.close()
  for (const failure of failures) console.error(`\n${failure}`)
  console.log(`${asked.length - failures.length} of ${asked.length} cells are as they should be`)
  return failures.length === 0 ? 0 : 1
}

process.exitCode = await main()
