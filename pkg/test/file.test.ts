// Files, by what can happen to a process: it is killed, it leaves its lock behind, its lock is taken away.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { Random } from '../src/conformance/random.js'
import type { Durability } from '../src/index.js'
import { file, type TornTail } from '../src/storage/file.js'
import { check } from './kills/story.js'
import { compiledStory, durabilities, killsOr, seed, Tally } from './kills/tally.js'
import { codeOf, openStore } from './open.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const kills = killsOr(12)

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'revkv-file-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function locks(folder: string, database: string): Promise<string[]> {
  return (await readdir(join(folder, `revkv-${database}`))).filter((name) => name.startsWith('lock.'))
}

/** Opens the store and lets its story go on; prints each revision that was acknowledged. */
const writer = (story: string, folder: string, durability: string) => `
  import { open } from 'revkv'
  import { file } from 'revkv/storage/file'
  ${story}
  const store = await open({ name: 'killed', storage: file({ folder: ${JSON.stringify(folder)} }) })
  const acknowledged = (revision) => process.stdout.write(revision + ' ')
  await writeOn(store, { durability: '${durability}', writers: 4, acknowledged })
`

/** Lets a writer run, kills it so long after its first word, or after its start, and gives what it was told is stored. */
async function killed(code: string, wait: { ms: number; fromStart: boolean }): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  const closed = once(child, 'close')
  if (!wait.fromStart) await Promise.race([once(child.stdout, 'data'), closed])
  await new Promise((resolve) => setTimeout(resolve, wait.ms))
  child.kill('SIGKILL')
  const [exitCode] = await closed
  if (exitCode !== null) throw new Error(`it ended by itself, with ${exitCode}`)
  // The last number may be printed in part.
  return Math.max(0, ...out.split(' ').slice(0, -1).map(Number))
}

test(`a process that is killed has lost nothing it was told of, ${kills} times`, {
  timeout: 5000 * kills,
}, async () => {
  const folder = await emptyFolder()
  const random = new Random(seed)
  const tally = new Tally(kills)
  const tails: TornTail[] = []
  const story = await compiledStory()
  for (let run = 0; run < kills; run++) {
    const durability = durabilities[run % 2] as Durability
    // One in five is killed while it opens.
    const wait =
      run % 5 === 1 ? { ms: random.below(300), fromStart: true } : { ms: random.below(150), fromStart: false }
    const acknowledged = await killed(writer(story, folder, durability), wait)
    const storage = file({ folder, onTornTail: (tail) => tails.push(tail) })
    const store = await openStore<string>({ name: 'killed', storage })
    tally.killed(durability, acknowledged)
    tally.found(check(store))
    await store.close()
  }
  console.log(`seed ${seed}: ${tally}; ${tails.length} torn tails`)
  tally.finish()
})

test('a process that is alive keeps others out; one that has ended does not, whatever its number', async () => {
  const folder = await emptyFolder()
  const handle = await file({ folder }).open('db')
  const [name = ''] = await locks(folder, 'db')
  const [, pid, started] = name.split('.')
  expect(pid).toBe(`${process.pid}`)
  expect(await codeOf(() => file({ folder }).open('db'))).toBe('STORAGE_BLOCKED')
  await handle.close()
  expect(await locks(folder, 'db')).toEqual([])

  const child = spawn(process.execPath, ['--eval', ''])
  await once(child, 'exit')
  const rows: [left: string, code: string][] = [
    // Ended.
    [`lock.${child.pid}.${started}.x`, 'none'],
    // Alive, and another than the one which took the lock: the number was given again.
    [`lock.${process.ppid}.before.x`, process.platform === 'linux' ? 'none' : 'STORAGE_BLOCKED'],
    // Where it is not known when a process began, its number has to do.
    [`lock.${process.ppid}..x`, 'STORAGE_BLOCKED'],
    [`lock.${child.pid}..x`, 'none'],
  ]
  // Each by itself, because some wait.
  const codes = rows.map(async ([left, code], i) => {
    await (await file({ folder }).open(`${i}`)).close()
    await writeFile(join(folder, `revkv-${i}`, left), '')
    const opening = file({ folder }).open(`${i}`)
    expect([left, await codeOf(() => opening)]).toEqual([left, code])
    if (code === 'none') await (await opening).close()
    expect(await locks(folder, `${i}`)).toEqual(code === 'none' ? [] : [left])
  })
  await Promise.all(codes)
})

test('of many that find a dead lock at once, one gets in at a time', async () => {
  const folder = await emptyFolder()
  await (await file({ folder }).open('db')).close()
  await writeFile(join(folder, 'revkv-db', `lock.${2 ** 30}..dead`), '')
  let inside = 0
  const entered = Array.from({ length: 12 }, async () => {
    const handle = await file({ folder }).open('db')
    expect(++inside).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 5))
    inside--
    await handle.close()
  })
  await Promise.all(entered)
  expect((await readdir(join(folder, 'revkv-db'))).sort()).toEqual(['00000001.log', 'mark'])
})

test('whose lock was taken away writes no more', async () => {
  const folder = await emptyFolder()
  const first = await file({ folder }).open('db')
  const blob = (id: number) => ({ id: `${id}`.padStart(16, '0'), bytes: new Uint8Array(9) })
  await first.write({ epoch: 1, put: [blob(1)], delete: [] }, 'strict')
  for (const lock of await locks(folder, 'db')) await rm(join(folder, 'revkv-db', lock))
  const second = await file({ folder }).open('db')
  await second.write({ epoch: 2, put: [blob(2)], delete: [] }, 'strict')
  expect(await codeOf(() => first.write({ epoch: 1, put: [blob(3)], delete: [] }, 'strict'))).toBe('NOT_LEADER')
  // Nor does it take the other's lock along.
  await first.close()
  await second.write({ epoch: 2, put: [blob(3)], delete: [] }, 'strict')
  await second.close()
  const third = await file({ folder }).open('db')
  const ids = []
  for await (const { id } of third.read()) ids.push(Number(id))
  await third.close()
  expect(ids).toEqual([1, 2, 3])
})

test('compaction gives the disk space back', async () => {
  const folder = await emptyFolder()
  const used = async () => {
    const files = await readdir(join(folder, 'revkv-db'))
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, 'revkv-db', name))).size))
    return sizes.reduce((total, size) => total + size, 0)
  }
  const store = await openStore<string>({ name: 'db', storage: file({ folder }), durability: 'relaxed' })
  for (let i = 0; i < 300; i++) await store.put('page', `${i}`.padEnd(100_000))
  expect(await used()).toBeGreaterThan(30_000_000)
  await store.compact(store.revision)
  await store.put('page', 'small', { durability: 'strict' })
  await store.sync()
  expect(await used()).toBeLessThan(5_000_000)
}, 30_000)

test('what is no folder is refused', async () => {
  expect(await codeOf(() => file({ folder: '' }))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(() => file({} as { folder: string }))).toBe('INVALID_ARGUMENT')
  const folder = await emptyFolder()
  await writeFile(join(folder, 'taken'), '')
  expect(await codeOf(() => file({ folder: join(folder, 'taken') }).open('db'))).toBe('STORAGE_LOST')
  expect(await codeOf(() => file({ folder }).open('x'.repeat(300)))).toBe('INVALID_ARGUMENT')
})
