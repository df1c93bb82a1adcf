// npx tsx tests/stand-in/main.ts: holds revkv/testing against a real etcd, which the environment variable ETCD names. Both are
// asked the same over HTTP on this machine, and have to answer the same.
import { createEtcd } from 'revkv/testing'
import { type Difference, Judge } from './judge.js'
import { random } from './random.js'
import * as requests from './requests.js'
import { startEtcd } from './server.js'

const OPERATIONS = 400
const SHOWN = 10

async function main(): Promise<void> {
  const program = process.env.ETCD
  if (!program) throw new Error('which etcd? Name its program in the environment variable ETCD')
  const seed = Number(process.env.REVKV_SEED ?? Date.now() % 1_000_000)
  let differences = 0
  for (const [name, compare] of parts(seed)) {
    const start = Date.now()
    const real = await startEtcd(program)
    const etcd = await createEtcd({ progressIntervalMs: 200 })
    try {
      const judge = new Judge({ real: real.url, ours: (await etcd.listen()).url }, real.version)
      await compare(judge)
      differences += judge.differences.length
      const seconds = ((Date.now() - start) / 1000).toFixed(1)
      const result = `${judge.requests} requests, ${judge.differences.length} differences`
      console.log(`etcd ${real.version}, ${name}: ${result} in ${seconds} s`)
      judge.differences.slice(0, SHOWN).forEach(show)
    } finally {
      await etcd.close()
      await real.stop()
    }
  }
  if (differences > 0) process.exitCode = 1
}

/** Each begins with empty stores. */
function parts(seed: number): [name: string, compare: (judge: Judge) => Promise<void>][] {
  return [
    ['chosen requests', chosen],
    [`random requests, REVKV_SEED=${seed}`, (judge) => random(judge, seed, OPERATIONS)],
  ]
}

async function chosen(judge: Judge): Promise<void> {
  await requests.writes(judge)
  await requests.reads(judge)
  await requests.transactions(judge)
  await requests.refusals(judge)
  await requests.leases(judge)
  await requests.watches(judge)
  await requests.progress(judge)
  await requests.compaction(judge, 7)
  await requests.malformed(judge)
  await requests.elsewhere(judge)
}

function show({ request, real, ours }: Difference): void {
  console.log(`  ${request}\n    etcd  ${real}\n    ours  ${ours}`)
}

main().catch((error: unknown) => {
  console.error(error)
  // What still waits is not waited for.
  process.exit(1)
})
