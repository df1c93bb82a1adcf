// Calls of the disk that fail, take less than they were given, or stay within bounds.

import { describe, expect, test } from 'vitest'
import { Random } from '../../src/conformance/random.js'
import { RevkvError } from '../../src/index.js'
import { Log } from '../../src/log/log.js'
import { codeOf } from '../open.js'
import { Disk, type Op } from './disk.js'
import { bytesOf, found, opened, statesOf, workload } from './workload.js'

const id = (number: number) => number.toString(16).padStart(16, '0')
const one = (number: number, length = 50) => ({
  epoch: 1,
  put: [{ id: id(number), bytes: bytesOf(id(number), length) }],
  delete: [],
})

/** Fails the calls of one kind, from the `at`-th of these on. */
function failing(op: Op['op'], at: number, how: () => number | undefined, forever = false): Disk['fault'] {
  let count = 0
  return (call) => {
    if (call.op !== op) return undefined
    count++
    return count === at || (forever && count > at) ? how() : undefined
  }
}

describe('a write that is refused', () => {
  const rows: [name: string, how: () => number, code: string][] = [
    ['takes part of the bytes', () => 20, 'QUOTA_EXCEEDED'],
    ['takes nothing', () => 0, 'QUOTA_EXCEEDED'],
    ['ENOSPC', () => raise('ENOSPC'), 'QUOTA_EXCEEDED'],
    ['EIO', () => raise('EIO'), 'STORAGE_LOST'],
  ]
  test.for(rows)('%s: it is cut off, and the next one is in its place', async ([, how, code]) => {
    const disk = new Disk()
    const { log } = await opened(disk)
    await log.write(one(1), 'strict')
    const before = await log.bytesUsed()
    disk.fault = failing('write', 1, how)
    expect(await codeOf(() => log.write(one(2), 'strict'))).toBe(code)
    expect(disk.files.get('00000001.log')).toHaveLength(before)
    await log.write(one(2), 'strict')
    const { log: again, torn } = await opened(new Disk(disk.files))
    expect([await found(again), torn]).toEqual([`${id(1)}:50,${id(2)}:50`, undefined])
  })

  test('and cannot be cut off: nothing is written again, reads go on', async () => {
    const disk = new Disk()
    const { log } = await opened(disk)
    await log.write(one(1), 'strict')
    disk.fault = ({ op }) => (op === 'truncate' ? raise('EIO') : op === 'write' ? 30 : undefined)
    expect(await codeOf(() => log.write(one(2), 'strict'))).toBe('QUOTA_EXCEEDED')
    disk.fault = () => undefined
    expect(await codeOf(() => log.write(one(2), 'relaxed'))).toBe('STORAGE_LOST')
    expect(await found(log)).toBe(`${id(1)}:50`)
    await log.close()
    const { log: again, torn } = await opened(disk)
    expect([await found(again), torn?.bytes]).toEqual([`${id(1)}:50`, 30])
  })
})

// A disk that is full to the last byte took no deletion either, and so stayed full.
test('a full disk has room for what makes room, and none for more before', async () => {
  const disk = new Disk()
  const { log } = await opened(disk, 2000)
  const large = (number: number) => ({ ...one(number, 4090), put: [1, 2].map((i) => one(number + i, 4090).put[0]) })
  let room = 33_000
  const used = () => [...disk.files.values()].reduce((total, bytes) => total + bytes.length, 0)
  disk.fault = (op) => (op.op === 'write' ? Math.max(0, Math.min(op.bytes.length, room - used())) : undefined)
  const write = (batch: object) => codeOf(() => log.write(batch as Parameters<Log['write']>[0], 'strict'))
  let puts = 0
  while ((await write(large(10 * puts))) === 'none') puts++
  expect([puts, disk.files.has('spare')]).toEqual([3, false])
  const ids = Array.from({ length: puts }, (_, i) => [id(10 * i + 1), id(10 * i + 2)]).flat()
  expect(await write(large(100))).toBe('QUOTA_EXCEEDED')
  expect(await write({ epoch: 1, put: [], delete: ids })).toBe('none')
  // Room again, and a spare again.
  expect([await write(large(200)), disk.files.has('spare')]).toEqual(['none', true])
  room = 1e6
  const { log: again } = await opened(new Disk(disk.files), 2000)
  expect(await found(again)).toBe(`${id(201)}:4090,${id(202)}:4090`)
})

test('after a failed flush nothing is written, however often one asks, and reads go on', async () => {
  const disk = new Disk()
  const { log } = await opened(disk)
  await log.write(one(1), 'strict')
  disk.fault = failing('flush', 1, () => raise('EIO'))
  expect(await codeOf(() => log.write(one(2), 'strict'))).toBe('STORAGE_LOST')
  const calls = disk.trace.length
  expect(await codeOf(() => log.write(one(3), 'strict'))).toBe('STORAGE_LOST')
  expect(await codeOf(() => log.write({ epoch: 1, put: [], delete: [] }, 'strict'))).toBe('STORAGE_LOST')
  expect(await found(log)).toBe(`${id(1)}:50,${id(2)}:50`)
  await log.close()
  expect([disk.trace.length, disk.handles.now]).toEqual([calls, 0])
})

test('whichever call fails, nothing that was confirmed is lost', { timeout: 30_000 }, async () => {
  const steps = workload(new Random(3), 40)
  const states = statesOf(steps)
  const kinds: Op['op'][] = ['write', 'flush', 'truncate', 'create', 'remove']
  for (const kind of kinds) {
    for (const forever of [false, true]) {
      for (let at = 1, hit = true; hit; at++) {
        hit = false
        const disk = new Disk()
        const how = () => {
          hit = true
          return kind === 'write' && at % 2 === 0 ? at % 40 : raise('EIO')
        }
        disk.fault = failing(kind, at, how, forever)
        const { confirmed, begun } = await played(disk, steps)
        const { log } = await opened(new Disk(disk.files))
        const holds = await found(log)
        expect([kind, forever, at, states.slice(confirmed, begun + 1).includes(holds)]).toEqual([
          kind,
          forever,
          at,
          true,
        ])
      }
    }
  }
})

/** Writes what can be written, as a store does: until the first failure. */
async function played(disk: Disk, steps: ReturnType<typeof workload>): Promise<{ confirmed: number; begun: number }> {
  let [confirmed, begun] = [0, 0]
  try {
    const { log } = await opened(disk)
    try {
      for (const { batch, durability } of steps) {
        begun++
        await log.write(batch, durability)
        confirmed = begun
      }
    } finally {
      await log.close()
    }
  } catch (e) {
    if (!RevkvError.is(e)) throw e
  }
  return { confirmed, begun }
}

describe('space', () => {
  // Sizes as they are in use, one sixteenth of them.
  const options = { maxBlobBytes: 16 * 1024, segmentBytes: 256 * 1024, copyBytesMin: 16 * 1024 }

  test.for([
    ['the oldest go', (live: string[], random: Random) => (random.below(100) < 5 ? [] : live.slice(0, 1))],
    ['any go', (live: string[], random: Random) => [live[random.below(live.length)] ?? '']],
    ['the newest go, and old ones stay for ever', (live: string[]) => live.slice(-1)],
    ['all goes at once', (live: string[], random: Random) => (random.below(500) === 0 ? [...live] : [])],
  ] as const)(
    '%s: no more than three times what is live, and twice what is put',
    { timeout: 60_000 },
    async ([, choose]) => {
      const random = new Random(11)
      const disk = new Disk()
      const log = await Log.open(disk, options)
      const live: string[] = []
      const lengths = new Map<string, number>()
      let [liveBytes, putBytes, worst] = [0, 0, 0]
      for (let i = 1; i <= 6000; i++) {
        const length = random.below(3000)
        const gone = live.length > 400 ? choose(live, random) : []
        await log.write({ epoch: 1, put: [{ id: id(i), bytes: new Uint8Array(length) }], delete: gone }, 'relaxed')
        for (const key of gone) liveBytes -= lengths.get(key) ?? 0
        live.splice(0, live.length, ...live.filter((key) => !gone.includes(key)), id(i))
        lengths.set(id(i), length)
        liveBytes += length
        putBytes += length + 130
        worst = Math.max(worst, (await log.bytesUsed()) - 3 * (liveBytes + 32 * live.length))
      }
      const written = disk.trace.reduce((total, op) => total + (op.op === 'write' ? op.bytes.length : 0), 0)
      console.log(
        `${(written / putBytes).toFixed(2)} bytes written for each put, ${((await log.bytesUsed()) / (liveBytes + 1)).toFixed(2)} kept for each live`,
      )
      expect(worst).toBeLessThan(4 * options.segmentBytes)
      expect(written / putBytes).toBeLessThan(2)
      let count = 0
      for await (const { id, bytes } of log.read()) if (bytes.length === lengths.get(id)) count++
      expect(count).toBe(live.length)
      expect(disk.handles.most).toBeLessThanOrEqual(7)
      await log.close()
      expect(disk.handles.now).toBe(0)
    },
  )

  test('the highest id is the highest, though older blobs are copied behind it', async () => {
    const disk = new Disk()
    const { log } = await opened(disk)
    for (let i = 1; i <= 60; i++) await log.write(one(i, 100), 'relaxed')
    // One in six stays, spread over all segments, and nothing is put any more.
    for (let i = 1; i <= 60; i++) {
      await log.write({ epoch: 1, put: [], delete: i % 6 === 0 ? [] : [id(i)] }, 'relaxed')
      expect(await codeOf(() => log.write(one(60), 'relaxed'))).toBe('NOT_LEADER')
    }
    expect(disk.trace.some(({ op, file }) => op === 'remove' && file === '00000001.log')).toBe(true)
    const { log: again } = await opened(new Disk(disk.files))
    expect(await codeOf(() => again.write(one(60), 'relaxed'))).toBe('NOT_LEADER')
  })

  test('a torn tail is reported', async () => {
    const disk = new Disk()
    const { log } = await opened(disk)
    await log.write(one(1), 'strict')
    const offset = await log.bytesUsed()
    await log.write(one(2), 'relaxed')
    const file = disk.files.get('00000001.log') as Uint8Array
    const { torn } = await opened(new Disk(new Map(disk.files).set('00000001.log', file.slice(0, -1))))
    expect(torn).toEqual({ file: '00000001.log', offset, bytes: file.length - 1 - offset })
  })

  test('a folder that was taken away is written to no more', async () => {
    const disk = new Disk()
    const { log } = await opened(disk)
    const before = disk.trace.length
    disk.isOurs = async () => false
    expect(await codeOf(() => log.write(one(1), 'strict'))).toBe('NOT_LEADER')
    disk.isOurs = async () => true
    expect(await codeOf(() => log.write(one(1), 'strict'))).toBe('NOT_LEADER')
    expect(disk.trace.length).toBe(before)
  })

  test('what is written while the folder is taken away counts if it was taken with it', async () => {
    const disk = new Disk()
    const { log } = await opened(disk)
    const through = log.sequence + 1
    disk.isKept = async (sequence) => sequence <= through
    await log.write(one(1), 'relaxed')
    expect(await codeOf(() => log.write(one(2), 'strict'))).toBe('NOT_LEADER')
    disk.isKept = async () => true
    expect(await codeOf(() => log.write(one(3), 'strict'))).toBe('NOT_LEADER')
  })
})

function raise(code: string): number {
  throw Object.assign(new Error(code), { code })
}
