// The machine stops at every call of the log, and again at every call of the recovery from that.
//
// What has to hold of each state of the disk: the log opens; it holds what it held behind some batch; that one is not
// before the last strict batch that was confirmed; and no blob has a wrong byte.

import { expect, test } from 'vitest'
import { Random } from '../../src/conformance/random.js'
import type { Log } from '../../src/log/log.js'
import { type Contents, Crash, Disk, type Op } from './disk.js'
import { bytesOf, found, opened, type Step, statesOf, workload } from './workload.js'

const seed = Number(process.env.REVKV_SEED ?? 1)
const runs = Number(process.env.REVKV_CRASH_RUNS ?? 16)

/** A call of the disk, or what was confirmed in between. */
type Event = { op?: Op; began?: number; strict?: number }

async function record(steps: Step[], disk: Disk, spareBytes: number): Promise<Event[]> {
  const events: Event[] = []
  let seen = 0
  const drain = () => {
    events.push(...disk.trace.slice(seen).map((op) => ({ op })))
    seen = disk.trace.length
  }
  const { log } = await opened(disk, spareBytes)
  for (const [i, { batch, durability }] of steps.entries()) {
    drain()
    events.push({ began: i + 1 })
    await log.write(batch, durability)
    drain()
    if (durability === 'strict') events.push({ strict: i + 1 })
  }
  await log.close()
  drain()
  events.push({ strict: steps.length })
  return events
}

interface Bounds {
  states: string[]
  /** Confirmed as strict. */
  least: number
  /** Begun. */
  most: number
  spareBytes: number
}

/** Recovers from an image and compares. Gives the calls of the recovery. */
async function recovers(image: Contents, { states, least, most, spareBytes }: Bounds, goOn: boolean): Promise<Op[]> {
  const disk = new Disk(image)
  const { log } = await opened(disk, spareBytes)
  const trace = [...disk.trace]
  const holds = await found(log)
  const behind = states.slice(least, most + 1).includes(holds)
  if (!behind) throw new Error(`it holds none of the states ${least} to ${most}: ${holds}`)
  if (goOn) await goesOn(log, disk, holds)
  return trace
}

/** A log that has recovered is as good as any: it is written to, through several segments, and opened again. */
async function goesOn(log: Log, disk: Disk, holds: string): Promise<void> {
  const last = Array.from({ length: 6 }, (_, i) => `${'f'.repeat(15)}${i}`)
  for (const id of last) {
    await log.write({ epoch: 1e9, put: [{ id, bytes: bytesOf(id, 600) }], delete: [] }, 'relaxed')
  }
  await log.write({ epoch: 1e9, put: [], delete: [] }, 'strict')
  const again = await opened(new Disk(disk.files))
  expect(await found(again.log)).toBe([...(holds ? [holds] : []), ...last.map((id) => `${id}:600`)].join())
}

async function crashes(steps: Step[], random: Random, spareBytes: number): Promise<number> {
  const disk = new Disk()
  const events = await record(steps, disk, spareBytes)
  const bounds: Bounds = { states: statesOf(steps), least: 0, most: 0, spareBytes }
  const crash = new Crash(new Map())
  let count = 0
  for (const { op, began = bounds.most, strict = bounds.least } of [...events, { op: undefined }]) {
    Object.assign(bounds, { most: began, least: strict })
    for (let i = 0; i < 6; i++) count += await twice(crash.image(op, random), bounds, random)
    if (op) crash.done(op)
  }
  return count
}

/** Recovers from an image, and from what is left when the recovery stops too. */
async function twice(image: Contents, bounds: Bounds, random: Random): Promise<number> {
  const trace = await recovers(image, bounds, random.below(8) === 0)
  const crash = new Crash(image)
  let count = 1
  for (const op of trace) {
    await recovers(crash.image(op, random), bounds, false)
    crash.done(op)
    count++
  }
  return count
}

test('whatever the disk holds after a stop, the log opens with a prefix of the batches', {
  timeout: 120_000,
}, async () => {
  let count = 0
  for (let run = 0; run < runs; run++) {
    const random = new Random(seed + run)
    const steps = workload(random, 30, { strict: 1 + random.below(6) })
    try {
      // Every other log has a spare, of which most batches are more than a small part.
      count += await crashes(steps, random, run % 2 === 0 ? 0 : 640)
    } catch (cause) {
      throw new Error(`seed ${seed + run}`, { cause })
    }
  }
  console.log(`${count} states of the disk, seeds ${seed} to ${seed + runs - 1}`)
  if (runs >= 16) expect(count).toBeGreaterThanOrEqual(50_000)
})
