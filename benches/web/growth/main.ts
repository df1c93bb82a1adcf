// How the times of the package grow with its entries and with their versions: the same works as beside the peers, in memory,
// in a headless Chromium and in Node, in one run.
//   node --import tsx benches/web/growth/main.ts [--changes N] [--rounds N] [--seed N]
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle } from '../build.js'
import { Random } from '../data.js'
import type { Host } from '../host.js'
import { machine } from '../machine.js'
import { median } from '../measure.js'
import { NodeHost } from '../node-host.js'
import { rounded } from '../results.js'
import { WebHost } from '../web-host.js'
import { works } from '../works.js'
import { changesMax, format, type Growth, grid, type Point } from './results.js'
import { growthTables } from './tables.js'

const target = fileURLToPath(new URL('../../../target', import.meta.url))
const kept = fileURLToPath(new URL('../../results/growth.json', import.meta.url))
const manifest = new URL('../../../pkg/package.json', import.meta.url)

/** Those of one page, which fills one database; what writes comes last, for it adds versions. */
const turns = [
  ['get', 'get-many', 'count', 'get-old', 'history', 'snapshot', 'put', 'latency'],
  ['range-100', 'range-old'],
]
/** Of a work, with the filling before it. */
const secondsMax = 600

interface Sample extends Point {
  readonly work: string
}

const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: String(changesMax) },
    rounds: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const rounds = Number(values.rounds)
const seed = Number(values.seed)
const most = Number(values.changes)
const random = new Random(seed)

const cells = grid.versions
  .flatMap((versions) => grid.entries.map((entries) => ({ entries, versions })))
  .filter(({ entries, versions }) => entries * versions <= most)

/** What is wrong in one cell does not lose the others; the run fails when it is over. */
const errors: string[] = []

function fail(host: Host, cell: (typeof cells)[number], work: string, why: string): void {
  const told = `${host.environment}, ${cell.entries} entries, ${cell.versions} versions: ${work}: ${why}`
  console.error(`  ${told}`)
  errors.push(told)
}

async function measure(host: Host, cell: (typeof cells)[number]): Promise<Sample[]> {
  const peer = (await host.describe()).find(({ name }) => name === 'revkv memory')
  if (!peer) throw new Error('revkv is not among the peers')
  const samples: Sample[] = []
  for (const names of turns) {
    const guest = await host.start(peer)
    try {
      const turn = { peer: peer.name, works: names, updates: 0, seed, folder: '', secondsMax, ...cell }
      const { results, failures } = await guest.takeTurn(turn)
      for (const [work, why] of Object.entries(failures)) fail(host, cell, work, why)
      for (const [work, ns] of Object.entries(results)) {
        samples.push({ work, environment: host.environment, ns, ...cell })
      }
    } catch (error) {
      fail(host, cell, names.join(', '), error instanceof Error ? error.message : String(error))
    } finally {
      await guest.close()
    }
  }
  return samples
}

function pointsOf(samples: readonly Sample[], work: string): Point[] {
  return (['web', 'node'] as const).flatMap((environment) =>
    cells.flatMap(({ entries, versions }) => {
      const of = samples.filter((sample) => {
        return (
          sample.work === work &&
          sample.environment === environment &&
          sample.entries === entries &&
          sample.versions === versions
        )
      })
      if (of.length === 0) return []
      return [{ environment, entries, versions, ns: rounded(median(of.map(({ ns }) => ns))) }]
    }),
  )
}

async function main(): Promise<void> {
  await bundle()
  const hosts: Host[] = [await WebHost.start(), await NodeHost.start(target)]
  try {
    const samples: Sample[] = []
    const begun = Date.now()
    for (let round = 1; round <= rounds; round++) {
      for (const cell of random.shuffle(cells)) {
        for (const host of random.shuffle(hosts)) {
          samples.push(...(await measure(host, cell)))
          const seconds = Math.round((Date.now() - begun) / 1000)
          console.log(
            `${seconds} s: round ${round}, ${host.environment}, ${cell.entries} entries, ${cell.versions} versions`,
          )
        }
      }
    }
    const [web, node] = hosts
    const growth: Growth = {
      format,
      date: new Date().toISOString().slice(0, 10),
      machine: machine(),
      seed,
      rounds,
      versions: {
        Chromium: web?.version ?? '',
        Node: node?.version ?? '',
        revkv: JSON.parse(await readFile(manifest, 'utf8')).version,
      },
      works: turns.flat().map((name) => {
        const title = works.find((work) => work.name === name)?.title ?? name
        return { name, title, points: pointsOf(samples, name) }
      }),
    }
    console.log(growthTables(growth))
    // What the documents are made from is a whole run.
    const out = most === changesMax && errors.length === 0 ? kept : `${target}/growth.json`
    await writeFile(out, `${JSON.stringify(growth)}\n`)
    console.log(`\nThe results are in ${out}`)
    if (errors.length > 0) throw new Error(`not everything could be measured:\n${errors.join('\n')}`)
  } finally {
    await Promise.all(hosts.map((host) => host.close()))
  }
}

await main()
