// One turn of one peer, in a page, a worker or a process of its own: some works of one stage, one after the other.
import { Bench, type Turn } from './bench.js'
import { isLate, used, withDeadline } from './measure.js'
import type { Environment, Peer } from './peer.js'
import { peerCalled, peers } from './peers/index.js'
import { storedUpdates, writtenUpdates } from './volume.js'
import { works } from './works.js'

export type { Turn }

export interface Outcome {
  readonly results: Record<string, number>
  readonly failures: Record<string, string>
  /** Works not tried: what was before them has not ended, and this page is of no use to them. */
  readonly left: readonly string[]
  /** Of everything that was read. */
  readonly sink: number
}

let current: Bench | undefined

/** Who takes longer for a work is told so, and is not waited for. */
const workSecondsMax = 30

export async function takeTurn(turn: Turn): Promise<Outcome> {
  const bench = new Bench(await peerCalled(turn.peer), turn)
  const results: Record<string, number> = {}
  const failures: Record<string, string> = {}
  for (const [done, name] of turn.works.entries()) {
    const work = works.find((work) => work.name === name)
    if (!work?.measure) throw new Error(`no work is called ${name}`)
    try {
      results[name] = await withDeadline(1000 * (turn.secondsMax ?? workSecondsMax), work.measure(bench))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      failures[name] = why
      if (isLate(why)) return { results, failures, left: turn.works.slice(done + 1), sink: used() }
    }
  }
  await bench.closeAll()
  return { results, failures, left: [], sink: used() }
}

/** The steps of a stage that is measured from outside: between two of them the runner looks at what the system says. */
export const steps = {
  async begin(turn: Turn) {
    current = new Bench(await peerCalled(turn.peer), turn)
  },
  async open() {
    await bench().open('plain', 'plain')
  },
  async fill() {
    await bench().filled('plain')
  },
  async close() {
    await bench().closeAll()
  },
  async update() {
    await storedUpdates(bench())
  },
  async compact() {
    const database = await bench().open('plain', 'plain')
    await database.compact?.(0)
    await bench().closeAll()
  },
  /** Gives how many bytes were changed. */
  write() {
    return writtenUpdates(bench())
  },
} satisfies Record<string, (turn: Turn) => Promise<unknown>>

export type Step = keyof typeof steps

function bench(): Bench {
  if (!current) throw new Error('no stage has begun')
  return current
}

/** What can be known of a peer without opening it. */
export type Description = Omit<Peer, 'open'>

export async function describe(environment: Environment): Promise<Description[]> {
  const here = peers.filter(({ environments }) => environments.includes(environment))
  return Promise.all(
    here.map(async ({ load }) => {
      const { open: _, ...description } = await load()
      return description
    }),
  )
}
