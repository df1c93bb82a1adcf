// Plays the quickstart in a headless Chromium against IndexedDB, checks it, then serves the playground.
//   npx tsx tests/browser/demo.ts [--once] [--port N]
import { once } from 'node:events'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { launchChromium } from './chromium.js'
import { type StaticServer, serve } from './server.js'
import { firstVisitLines, firstVisitSeen, secondVisitLines } from './transcript.js'
import { playFirstVisit, playSecondVisit } from './visits.js'

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: { once: { type: 'boolean', default: false }, port: { type: 'string', default: '8080' } },
  })
  const port = portOf(options.port)
  await play()
  if (options.once) return
  const server = await serve(port)
  console.log(`\nThe playground is at ${server.url}  (Ctrl-C ends it)`)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  await server.close()
}

async function play(): Promise<void> {
  const server = await serve()
  try {
    await playIn(server)
  } finally {
    await server.close()
  }
}

async function playIn({ url }: StaticServer): Promise<void> {
  const chromium = await launchChromium()
  try {
    const version = chromium.context.browser()?.version() ?? ''
    console.log(`Headless Chromium ${version}, a new profile, www/quickstart.ts on IndexedDB\n`)
    const { lines, seen } = await playFirstVisit(chromium, url)
    say('first page', lines)
    check('the first visit', { lines, seen }, { lines: firstVisitLines, seen: firstVisitSeen })
    console.log(`  (the page is closed; it has seen revision ${seen})\n`)
    const again = await playSecondVisit(chromium, url, seen)
    say('second page', again)
    check('the second visit', again, secondVisitLines)
    console.log('\nAll of it as expected: nothing lost, nothing missed, nothing twice.')
  } finally {
    await chromium.close()
  }
}

function say(page: string, lines: string[]): void {
  console.log(page)
  for (const line of lines) console.log(`  ${line}`)
}

function check(name: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Error(`${name} went differently. Expected:\n${show(expected)}\nbut it was:\n${show(actual)}`)
}

function show(value: unknown): string {
  return JSON.stringify(value, null, 2)
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new Error(`--port is ${text}, which is no port`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? `The demo failed: ${error.message}` : error)
  process.exitCode = 1
})
