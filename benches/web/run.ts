// The run: every peer takes its turn in every round, in an order that the seed shuffles.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { modules } from './build.js'
import { keyBytes, Random, valueBytes } from './data.js'
import type { Guest, Host } from './host.js'
import { machine } from './machine.js'
import { isLate, median, withDeadline } from './measure.js'
import type { Medium } from './peer.js'
import {
  type Cell,
  format,
  notMeasured,
  type PeerResult,
  type Results,
  rounded,
  type Sample,
  spreadOf,
} from './results.js'
import type { Description, Turn } from './turn.js'
import { refusal, type Stage, type Work, works } from './works.js'

export interface RunOptions {
  readonly entries: number
  readonly rounds: number
  readonly updates: number
  readonly seed: number
  /** Peers and works; nothing = all. revkv is always there, to be compared with. */
  readonly only: readonly string[]
  /** No turn begins after so many, and what was measured by then counts. */
  readonly secondsMax: number
}

/** Who takes longer is left out, and is told so. */
const turnMsMax = 120_000
/** Bytes are counted, not timed: once is enough. */
const countedStages: readonly Stage[] = ['memory', 'stored', 'written']

interface Seat {
  readonly host: Host
  readonly peer: Description
}

export class Run {
  readonly #hosts: readonly Host[]
  readonly #options: RunOptions
  readonly #random: Random
  readonly #samples: Sample[] = []
  /** Why something could not be measured after all. */
  readonly #failures = new Map<string, string>()

  /** Answers that were wrong, and everything else that is no slowness. */
  readonly errors: string[] = []

  constructor(hosts: readonly Host[], options: RunOptions) {
    this.#hosts = hosts
    this.#options = options
    this.#random = new Random(options.seed)
  }

  async results(): Promise<Results> {
    const seats = await this.#seats()
    const end = performance.now() + this.#options.secondsMax * 1000
    for (let round = 0; round < this.#options.rounds; round++) {
      for (const seat of this.#inOrder(seats)) if (performance.now() < end) await this.#takeSeat(seat, round)
    }
    const { entries, rounds, updates, seed } = this.#options
    return {
      format,
      date: new Date().toISOString().slice(0, 10),
      machine: machine(),
      seed,
      entries,
      rounds,
      updates,
      versions: await this.#versions(seats),
      peers: seats.map(({ host, peer: { name, medium, packages, how } }): PeerResult => {
        return { name, environment: host.environment, medium, packages, ...(how ? { how } : {}) }
      }),
      works: works.filter((work) => this.#isWanted(work.name, works)).map((work) => this.#row(work, seats)),
    }
  }

  async #seats(): Promise<Seat[]> {
    const seats: Seat[] = []
    for (const host of this.#hosts) for (const peer of await host.describe()) seats.push({ host, peer })
    const isPeer = (name: string) => seats.some(({ peer }) => peer.name === name)
    const unknown = this.#options.only.find((name) => !isPeer(name) && !works.some((work) => work.name === name))
    if (unknown) throw new Error(`--only: there is no peer and no work called ${unknown}`)
    const named = this.#options.only.filter(isPeer)
    return seats.filter(({ peer }) => named.length === 0 || named.includes(peer.name) || isRevkv(peer))
  }

  /** Those of one medium one after the other, so that little time lies between two that are compared. */
  #inOrder(seats: readonly Seat[]): Seat[] {
    const groups = new Map<string, Seat[]>()
    for (const seat of seats) {
      const group = `${seat.host.environment} ${seat.peer.medium}`
      groups.set(group, [...(groups.get(group) ?? []), seat])
    }
    return this.#random.shuffle([...groups.values()]).flatMap((group) => this.#random.shuffle(group))
  }

  #isWanted(name: string, among: readonly { readonly name: string }[]): boolean {
    const named = this.#options.only.filter((only) => among.some(({ name }) => name === only))
    return named.length === 0 || named.includes(name)
  }

  #worksOf({ host, peer }: Seat, stage: Stage): string[] {
    return works
      .filter((work) => work.stage === stage && this.#isWanted(work.name, works))
      .filter((work) => refusal(work, peer, host.environment, this.#options.entries) === undefined)
      .filter(({ name }) => !this.#failures.has(`${host.environment} ${peer.name} ${name}`))
      .map(({ name }) => name)
  }

  async #takeSeat(seat: Seat, round: number): Promise<void> {
    const times: string[] = []
    for (const stage of ['run', 'open', 'memory', 'stored', 'written'] as const) {
      if (round > 0 && countedStages.includes(stage)) continue
      const names = this.#worksOf(seat, stage)
      if (names.length === 0) continue
      const start = performance.now()
      try {
        await this.#takeStage(seat, stage, names, round)
      } catch (error) {
        this.#fail(seat, names, error)
      }
      times.push(`${stage} ${((performance.now() - start) / 1000).toFixed(1)} s`)
    }
    console.log(`round ${round + 1}: ${seat.peer.name} in ${seat.host.environment}: ${times.join(', ')}`)
  }

  async #takeStage(seat: Seat, stage: Stage, names: string[], round: number): Promise<void> {
    const turn = this.#turn(seat, names)
    if (stage === 'run') return this.#run(seat, turn, round)
    if (stage === 'open') return this.#open(seat, turn, round)
    const { host, peer } = seat
    await host.clear()
    const note = (work: string, value: number) => {
      if (names.includes(work)) this.#note(seat, work, round, value)
    }
    if (stage === 'memory') {
      return this.#with(seat, async (guest) => {
        await guest.step('begin', turn)
        await guest.step('open', turn)
        const before = await guest.memory()
        await guest.step('fill', turn)
        note('memory', ((await guest.memory()) - before) / turn.entries)
      })
    }
    if (stage === 'stored') {
      const live = turn.entries * (keyBytes + valueBytes)
      const before = await settled(host)
      await this.#with(seat, async (guest) => {
        for (const step of ['begin', 'fill', 'close', 'update'] as const) await guest.step(step, turn)
      })
      note('stored', ((await settled(host)) - before) / live)
      if (!names.includes('stored-compacted')) return
      await this.#with(seat, async (guest) => {
        for (const step of ['begin', 'compact'] as const) await guest.step(step, turn)
      })
      return note('stored-compacted', ((await settled(host)) - before) / live)
    }
    await this.#with(seat, async (guest) => {
      await guest.step('begin', turn)
      await guest.step('fill', turn)
      const before = await guest.written()
      if (before === undefined) throw new Error(`the system does not tell what ${peer.name} writes`)
      const changed = await guest.step('write', turn)
      note('written', (((await guest.written()) ?? before) - before) / changed)
    })
  }

  async #run(seat: Seat, turn: Turn, round: number): Promise<void> {
    let left: readonly string[] = turn.works
    while (left.length > 0) {
      await seat.host.clear()
      await this.#with(seat, async (guest) => {
        const outcome = await guest.takeTurn({ ...turn, works: left })
        this.#take(seat, outcome, round)
        left = outcome.left
        if (!('load' in outcome.failures)) return
        this.#fail(seat, left, `load ${outcome.failures.load}`)
        left = []
      })
    }
  }

  /** Each opening has a page of its own, and finds what was loaded: not the history of what the stage before has put. */
  async #open(seat: Seat, turn: Turn, round: number): Promise<void> {
    await seat.host.clear()
    await this.#with(seat, async (guest) => {
      await guest.takeTurn({ ...turn, works: ['load'] })
    })
    for (const work of turn.works) {
      await this.#with(seat, async (guest) => {
        this.#take(seat, await guest.takeTurn({ ...turn, works: [work] }), round)
      })
    }
  }

  #take(seat: Seat, outcome: Awaited<ReturnType<Guest['takeTurn']>>, round: number): void {
    for (const [work, value] of Object.entries(outcome.results)) this.#note(seat, work, round, value)
    for (const [work, why] of Object.entries(outcome.failures)) this.#fail(seat, [work], why)
  }

  async #with(seat: Seat, work: (guest: Guest) => Promise<void>): Promise<void> {
    const guest = await seat.host.start(seat.peer)
    try {
      await withDeadline(turnMsMax, work(guest))
    } finally {
      await guest.close()
    }
  }

  #turn({ host, peer }: Seat, names: string[]): Turn {
    const { entries, updates } = this.#options
    const folder = host instanceof Object && 'folder' in host ? String(host.folder) : ''
    return { peer: peer.name, works: names, entries, updates, seed: this.#random.next(), folder }
  }

  #note({ host, peer }: Seat, work: string, round: number, value: number): void {
    this.#samples.push({ environment: host.environment, peer: peer.name, work, round, value: rounded(value) })
  }

  #fail({ host, peer }: Seat, names: readonly string[], error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    const told = `${peer.name} in ${host.environment}: ${names.join(', ')}: ${why}`
    console.error(`  ${told}`)
    if (!isLate(why)) this.errors.push(told)
    for (const name of names) {
      this.#failures.set(`${host.environment} ${peer.name} ${name}`, why.split('\n')[0] ?? why)
    }
  }

  #row(work: Work, seats: readonly Seat[]) {
    const { name, title, unit } = work
    return { name, title, unit, cells: seats.map((seat) => this.#cell(work, seat)) }
  }

  #cell(work: Work, { host, peer }: Seat): Cell {
    const { environment } = host
    const at = { environment, peer: peer.name }
    const refused = refusal(work, peer, environment, this.#options.entries)
    const because = refused ?? this.#failures.get(`${environment} ${peer.name} ${work.name}`)
    const own = this.#of(environment, peer.name, work.name)
    if (because !== undefined || own.length === 0) return { ...at, because: because ?? notMeasured }
    const base = this.#of(environment, `revkv ${peer.medium satisfies Medium}`, work.name)
    const ratios = own.flatMap(({ round, value }) => {
      const revkv = base.find((sample) => sample.round === round)
      return revkv ? [rounded(value / revkv.value)] : []
    })
    const values = own.map(({ value }) => value)
    const ratio = ratios.length > 0 && { ratio: spreadOf(ratios) }
    return { ...at, rounds: values, median: rounded(median(values)), ...ratio }
  }

  #of(environment: string, peer: string, work: string): Sample[] {
    return this.#samples.filter((one) => one.environment === environment && one.peer === peer && one.work === work)
  }

  async #versions(seats: readonly Seat[]): Promise<Record<string, string>> {
    const names = new Set(seats.flatMap(({ peer }) => peer.packages))
    const versions: Record<string, string> = {}
    for (const { environment, version } of this.#hosts) versions[environment === 'web' ? 'Chromium' : 'Node'] = version
    for (const name of names) {
      const folder = name === 'revkv' ? join(modules, '../../../pkg') : join(modules, name)
      versions[name] = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).version
    }
    return versions
  }
}

function isRevkv({ name }: Description): boolean {
  return name.startsWith('revkv ')
}

/** What is stored when nothing is being cleaned up any more. */
async function settled(host: Host): Promise<number> {
  let size = await host.stored()
  for (let same = 0; same < 4; ) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    const now = await host.stored()
    same = now === size ? same + 1 : 0
    size = now
  }
  return size
}
