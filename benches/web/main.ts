// The benchmark: revkv beside its peers, in a headless Chromium and in Node, in one run.
//   node --import tsx benches/web/main.ts [--in web,node] [--entries N] [--rounds N] [--only NAME] [--seed N] [--updates N] [--seconds N] [--out FILE]
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle } from './build.js'
import type { Host } from './host.js'
import { NodeHost } from './node-host.js'
import { printed } from './report.js'
import { Run } from './run.js'
import { WebHost } from './web-host.js'

const target = fileURLToPath(new URL('../../target', import.meta.url))
const kept = fileURLToPath(new URL('../results/latest.json', import.meta.url))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      in: { type: 'string', default: 'web,node' },
      entries: { type: 'string', default: '10000' },
      rounds: { type: 'string', default: '5' },
      updates: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      seconds: { type: 'string', default: '100000' },
      only: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
    },
  })
  const options = {
    entries: natural('entries', values.entries),
    rounds: natural('rounds', values.rounds),
    updates: natural('updates', values.updates),
    seed: natural('seed', values.seed),
    secondsMax: natural('seconds', values.seconds),
    only: values.only,
  }
  if (options.entries < 1000) throw new Error('--entries: 1,000 at least')
  await bundle()
  const hosts: Host[] = []
  try {
    if (values.in.includes('web')) hosts.push(await WebHost.start())
    if (values.in.includes('node')) hosts.push(await NodeHost.start(target))
    console.log(`seed ${options.seed}, ${options.entries} entries, ${options.rounds} rounds`)
    const run = new Run(hosts, options)
    const results = await run.results()
    console.log(printed(results))
    // What the documents are made from is a whole run.
    const out = values.out ?? (hosts.length === 2 && options.only.length === 0 ? kept : `${target}/bench.json`)
    await writeFile(out, `${JSON.stringify(results, undefined, 1)}\n`)
    console.log(`\nThe results are in ${out}`)
    if (run.errors.length > 0) throw new Error(`not everybody could do what is asked:\n${run.errors.join('\n')}`)
  } finally {
    await Promise.all(hosts.map((host) => host.close()))
  }
}

function natural(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new Error(`--${name} is ${text}, which is no number of things`)
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
