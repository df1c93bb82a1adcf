// Every bit of a log flipped, and every file of it cut at every length: what is wrong is named, or it is the tail that
// nobody was told is durable, or it is where nothing is of use any more. Never a wrong value.

import { expect, test } from 'vitest'
import { Random } from '../../src/conformance/random.js'
import { RevkvError } from '../../src/index.js'
import { Log } from '../../src/log/log.js'
import { type Contents, Disk } from './disk.js'
import { bytesOf, found, opened, small, statesOf, workload } from './workload.js'

type Outcome = 'named' | 'torn' | 'unharmed'

interface Reference {
  files: Contents
  states: string[]
  /** The state that is known to be durable. */
  least: number
}

/** A log of about 16 KiB whose last batches are relaxed, or which was closed. */
async function reference(closed: boolean): Promise<Reference> {
  const steps = workload(new Random(5), 23, { purge: 1000, gone: 40, large: 1 })
  const disk = new Disk()
  const log = await Log.open(disk, { ...small, segmentBytes: 4000 })
  for (const { batch, durability } of steps) await log.write(batch, durability)
  if (closed) await log.close()
  if (closed) return { files: disk.files, states: statesOf(steps), least: steps.length }
  // What the last flush took along is known only to whoever was told, unless a frame behind it says so.
  const strict = steps.flatMap(({ durability }, i) => (durability === 'strict' ? [i + 1] : []))
  const said = strict.filter((at) => steps.slice(at).some(({ batch }) => batch.put.length + batch.delete.length > 0))
  return { files: disk.files, states: statesOf(steps), least: said.at(-1) ?? 0 }
}

async function outcome(files: Contents, { states, least }: Reference): Promise<Outcome> {
  const disk = new Disk(files)
  let reached: Awaited<ReturnType<typeof opened>>
  try {
    reached = await opened(disk)
  } catch (e) {
    return named(e)
  }
  try {
    const holds = await found(reached.log)
    if (!states.slice(least).includes(holds))
      throw new Error(`it holds state ${states.lastIndexOf(holds)}, not ${least} or later: ${holds}`)
    return holds === states.at(-1) && !reached.torn ? 'unharmed' : 'torn'
  } catch (e) {
    return named(e)
  }
}

/** Damage says where it is. */
function named(e: unknown): Outcome {
  if (!RevkvError.is(e) || e.code !== 'CORRUPT') throw e
  expect(e.message).toMatch(/^(mark|\d{8}\.log), offset \d+: ./)
  return 'named'
}

async function tally(reference: Reference, damaged: Iterable<Contents>): Promise<Record<Outcome, number>> {
  const counts = { named: 0, torn: 0, unharmed: 0 }
  for (const files of damaged) counts[await outcome(files, reference)]++
  return counts
}

/** Each file with one of its bits flipped. */
function* flips({ files }: Reference, bits: number[]): Generator<Contents> {
  for (const [name, bytes] of files) {
    for (let at = 0; at < bytes.length; at++) {
      // Between the two halves of the mark is nothing.
      if (name === 'mark' && at >= 64 && at < 4096) continue
      for (const bit of bits) {
        const changed = bytes.slice()
        changed[at] = (changed[at] as number) ^ (1 << bit)
        yield new Map(files).set(name, changed)
      }
    }
  }
}

function* cuts({ files }: Reference): Generator<Contents> {
  for (const [name, bytes] of files) {
    for (let length = 0; length < bytes.length; length++) yield new Map(files).set(name, bytes.slice(0, length))
  }
}

const sum = (counts: Record<Outcome, number>) => counts.named + counts.torn + counts.unharmed
const sizeOf = ({ files }: Reference) => [...files.values()].reduce((total, bytes) => total + bytes.length, 0)

test('every flipped bit of a log whose process was killed', { timeout: 300_000 }, async () => {
  const log = await reference(false)
  const counts = await tally(log, flips(log, [0, 1, 2, 3, 4, 5, 6, 7]))
  console.log(`${sum(counts)} bits:`, JSON.stringify(counts))
  expect([sum(counts) > 8 * 16_000, counts.named > 0]).toEqual([true, true])
  expect(counts.torn).toBeGreaterThan(0)
})

test('a log that was closed has no torn tail, whichever bit is flipped', { timeout: 120_000 }, async () => {
  const log = await reference(true)
  const counts = await tally(log, flips(log, [3]))
  console.log(`${sum(counts)} bits of a closed log:`, JSON.stringify(counts))
  expect(counts.torn).toBe(0)
})

test('a log that is cut anywhere', { timeout: 120_000 }, async () => {
  // What is cut away takes with it what says that it was durable; then only the mark does, set when the segment was begun.
  const killed = { ...(await reference(false)), least: 0 }
  const counts = await tally(killed, cuts(killed))
  console.log(`${sum(counts)} cuts:`, JSON.stringify(counts))
  const closed = await reference(true)
  // The mark's second half can be gone: the first says the same.
  const { mark = new Uint8Array(), ...segments } = Object.fromEntries(closed.files)
  const segmentCuts = cuts({ ...closed, files: new Map(Object.entries(segments)) })
  const whole = await tally(
    closed,
    [...segmentCuts].map((files) => new Map(files).set('mark', mark)),
  )
  expect(whole).toEqual({ named: sizeOf(closed) - mark.length, torn: 0, unharmed: 0 })
})

test('a file that is gone, twice there, or of another log is named', async () => {
  const log = await reference(true)
  const other = new Disk()
  await (await opened(other)).log.close()
  const [foreign = new Uint8Array()] = [...other.files].filter(([name]) => name !== 'mark').map(([, bytes]) => bytes)
  for (const name of log.files.keys()) {
    const files = new Map(log.files)
    files.delete(name)
    expect([name, await outcome(files, log)]).toEqual([name, 'named'])
    if (name === 'mark') continue
    expect([name, await outcome(new Map(log.files).set(name, foreign), log)]).toEqual([name, 'named'])
  }
  const segments = [...log.files.keys()].filter((name) => name !== 'mark').sort()
  const [first = '', second = ''] = segments
  const swapped = new Map(log.files)
  swapped.set(first, log.files.get(second) as Uint8Array).set(second, log.files.get(first) as Uint8Array)
  expect(await outcome(swapped, log)).toBe('named')
  const last = Number.parseInt(segments.at(-1) ?? '', 10)
  const after = `${String(last + 2).padStart(8, '0')}.log`
  expect(await outcome(new Map(log.files).set(after, foreign), log)).toBe('named')
})

test('a batch that was written behind another than the one before it is not taken', async () => {
  const begun = new Disk()
  const first = await opened(begun)
  const id = (number: number) => number.toString(16).padStart(16, '0')
  const batch = (number: number) => ({
    epoch: 1,
    put: [{ id: id(number), bytes: bytesOf(id(number), 40) }],
    delete: [],
  })
  await first.log.write(batch(1), 'strict')
  // Two lives of one log, of the same lengths; the batches of the second have other ids.
  const lives = await Promise.all(
    [2, 4].map(async (number) => {
      const disk = new Disk(begun.files)
      const { log } = await opened(disk)
      await log.write(batch(number), 'relaxed')
      const middle = await log.bytesUsed()
      await log.write(batch(number + 1), 'relaxed')
      return { disk, middle, bytes: disk.files.get('00000001.log') as Uint8Array }
    }),
  )
  const [one, other] = lives as [(typeof lives)[0], (typeof lives)[0]]
  const spliced = new Uint8Array([...one.bytes.slice(0, one.middle), ...other.bytes.slice(other.middle)])
  const { log, torn } = await opened(new Disk(new Map(one.disk.files).set('00000001.log', spliced)))
  expect([await found(log), torn?.offset]).toEqual([`${id(1)}:40,${id(2)}:40`, one.middle])
})
