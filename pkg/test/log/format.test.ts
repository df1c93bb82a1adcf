// A log as it was written by the first version of the format, and by one that is not there yet.

import { expect, test } from 'vitest'
import { checksum, decodeHeader, headerBytes } from '../../src/log/frame.js'
import { codeOf } from '../open.js'
import { type Contents, Disk } from './disk.js'
import { bytesOf, found, opened } from './workload.js'

const id = (number: number) => number.toString(16).padStart(16, '0')
const slot = 'cnZrTQEAAACKxtOcEar/ygMAAAAAAAAAAwAAAAAAAAABAAAAAAAAAFYG+qs='
const segment = [
  'cnZrTAEAAACKxtOcEar/ygEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAoAAAAAAAAAAAAAAHZoiuMBAAAACq8IUwAAAAAAAAAAAABydmtMAQEAAIrG05wR',
  'qv/KAgAAAAAAAAADAAAAAAAAAAEAAAAAAAAAaAAAADwAAAAKrwhTnlkcLQEAAACbalfKEAAwMDAwMDAwMDAwMDAwMDAzAwAAAAAAAAAQADAwMDAwMDAw',
  'MDAwMDAwMDEKAAAA5JItTBAAMDAwMDAwMDAwMDAwMDAwMhQAAABs6iz3EAAwMDAwMDAwMDAwMDAwMDAzHgAAANGbn8kpMDc+RUxTWmFoUllgZ251fIOK',
  'kZifpq20u8LJ0Nd7gomQl56lrLO6wcjP1t3k6/L5AAcOFRwjKjE4P0ZydmtMAQEAAIrG05wRqv/KAwAAAAAAAAAEAAAAAAAAAAIAAAAAAAAARgAAAAAA',
  'AACbalfKUS2CnAEAAAAla+hTEAAwMDAwMDAwMDAwMDAwMDA0AQAAAAEAAAAQADAwMDAwMDAwMDAwMDAwMDQAAAAAAAAAABAAMDAwMDAwMDAwMDAwMDAwMg==',
].join('')

/** Three blobs in epoch 3, then in epoch 4 an empty one, and the second deleted. */
function stored(): { mark: Uint8Array; log: Uint8Array } {
  const mark = new Uint8Array(4096 + 44)
  for (const at of [0, 4096]) mark.set(Buffer.from(slot, 'base64'), at)
  return { mark, log: new Uint8Array(Buffer.from(segment, 'base64')) }
}

const filesOf = ({ mark, log }: ReturnType<typeof stored>): Contents =>
  new Map([
    ['mark', mark],
    ['00000001.log', log],
  ])

test('what the first version of the format has written is read', async () => {
  const disk = new Disk(filesOf(stored()))
  const { log, torn } = await opened(disk)
  expect([await found(log), torn]).toEqual([`${id(1)}:10,${id(3)}:30,${id(4)}:0`, undefined])
  expect(await codeOf(() => log.write({ epoch: 3, put: [], delete: [] }, 'strict'))).toBe('NOT_LEADER')
  const again = { id: id(4), bytes: bytesOf(id(4), 1) }
  expect(await codeOf(() => log.write({ epoch: 4, put: [again], delete: [] }, 'strict'))).toBe('NOT_LEADER')
  // Nothing was wrong, so nothing was written.
  expect(disk.trace).toEqual([])
})

test('what a newer one has written is UNSUPPORTED_FORMAT, and left alone', async () => {
  const newerLog = stored()
  const view = new DataView(newerLog.log.buffer)
  view.setUint8(4, 2)
  view.setUint32(headerBytes - 4, checksum(newerLog.log.subarray(0, headerBytes - 4)), true)
  const newerMark = stored()
  for (const at of [0, 4096]) {
    const slotView = new DataView(newerMark.mark.buffer, at)
    slotView.setUint32(4, 2, true)
    slotView.setUint32(40, checksum(newerMark.mark.subarray(at, at + 40)), true)
  }
  for (const files of [filesOf(newerLog), filesOf(newerMark)]) {
    const disk = new Disk(files)
    expect(await codeOf(() => opened(disk))).toBe('UNSUPPORTED_FORMAT')
    expect([disk.trace, disk.handles.now]).toEqual([[], 0])
  }
  expect(decodeHeader(stored().log)?.kind).toBe('start')
})
