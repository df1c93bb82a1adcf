// npx tsx tests/replay/main.ts DIR: replays every trace of a folder through the package, in Node and in Chromium, and through
// the gateway of its stand-in for etcd.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { build } from 'esbuild'
import { launchChromium } from '../browser/chromium.js'
import { serve } from '../browser/server.js'
import { replayThroughGateway } from './gateway.js'
import type { Report } from './replay.js'
import { parse } from './trace.js'

/** Longer than this for one trace, and something waits for what never comes. */
const TRACE_MS_MAX = 180_000

interface NamedTrace {
  file: string
  text: string
}

type Replay = (trace: NamedTrace) => Promise<Report>

const total = { files: 0, operations: 0, differences: 0 }

async function main(folder: string | undefined): Promise<void> {
  if (!folder) throw new Error('which folder? npx tsx tests/replay/main.ts DIR')
  const traces = await readTraces(folder)
  const server = await serve()
  try {
    await replayInNode(traces)
    await replayThroughStandIn(traces)
    await replayInChromium(traces, server.url)
  } finally {
    await server.close()
  }
  console.log(`\n${total.files} replays, ${total.operations} operations, ${total.differences} differences`)
  if (total.differences > 0) process.exitCode = 1
}

async function readTraces(folder: string): Promise<NamedTrace[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.jsonl.gz')).sort()
  if (files.length === 0) throw new Error(`there is no .jsonl.gz file in ${folder}`)
  return Promise.all(
    files.map(async (file) => {
      try {
        const text = (await promisify(gunzip)(await readFile(join(folder, file)))).toString()
        parse(text)
        return { file, text }
      } catch (error) {
        throw new Error(`${join(folder, file)} cannot be read: ${messageOf(error)}`, { cause: error })
      }
    }),
  )
}

async function replayInNode(traces: NamedTrace[]): Promise<void> {
  // Not before the server has looked whether the package is built.
  const { replay } = await import('./replay.js')
  await replayAll('Node, memory', traces, ({ file, text }) => replay(text, file, {}))
}

/** `revkv/testing`, asked as etcd's own clients would. */
async function replayThroughStandIn(traces: NamedTrace[]): Promise<void> {
  const { createEtcd } = await import('revkv/testing')
  await replayAll('the stand-in for etcd, through its gateway', traces, async ({ text }) => {
    const etcd = await createEtcd()
    try {
      return await replayThroughGateway({ url: 'http://etcd', fetch: etcd.fetch }, parse(text))
    } finally {
      await etcd.close()
    }
  })
}

async function replayInChromium(traces: NamedTrace[], url: string): Promise<void> {
  const source = await bundle()
  const chromium = await launchChromium()
  try {
    const page = await chromium.open(`${url}pages/empty.html`)
    const judge = await page.evaluateHandle(
      (source): Promise<typeof import('./replay.js')> =>
        import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))),
      source,
    )
    await replayAll('Chromium, memory', traces, ({ file, text }) =>
      judge.evaluate(({ replay }, [text, file]) => replay(text, file, { storage: memory() }), [text, file] as const),
    )
    await replayAll('Chromium, IndexedDB', traces, ({ file, text }) =>
      judge.evaluate(({ replay }, [text, file]) => replay(text, file, { storage: indexedDb() }), [text, file] as const),
    )
  } finally {
    await chromium.close()
  }
}

/** The page side of the judge, which finds the package by the page's import map. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('replay.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    external: ['revkv'],
    write: false,
  })
  return outputFiles.map(({ text }) => text).join('')
}

async function replayAll(place: string, traces: NamedTrace[], replay: Replay): Promise<void> {
  console.log(`\n${place}`)
  for (const trace of traces) {
    const report = await inTime(replay(trace), `${trace.file} in ${place}`)
    console.log(`${trace.file}: ${report.operations} operations, ${report.differences} differences`)
    if (report.first) {
      const { operation, expected, got } = report.first
      console.log(`  first at  ${operation}\n  expected  ${expected}\n  got       ${got}`)
    }
    total.files++
    total.operations += report.operations
    total.differences += report.differences
  }
}

async function inTime<T>(work: Promise<T>, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not end in ${TRACE_MS_MAX / 1000} s`)), TRACE_MS_MAX)
  })
  try {
    return await Promise.race([work, late])
  } catch (error) {
    throw new Error(`${name}: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(messageOf(error))
  // What did not end in time is not waited for.
  process.exit(1)
})
