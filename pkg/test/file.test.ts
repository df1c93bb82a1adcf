// Files, by what can happen to a process: it is killed, it leaves its lock behind, its lock is taken away.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { Random } from '../src/conformance/random.js'
import { file, type TornTail } from '../src/storage/file.js'
import { codeOf, openStore } from './open.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const kills = Number(process.env.REVKV_KILLS ?? 12)
const seed = Number(process.env.REVKV_SEED ?? Date.now() % 1e9)

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'revkv-file-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function locks(folder: string, database: string): Promise<string[]> {
  return (await readdir(join(folder, `revkv-${database}`))).filter((name) => name.startsWith('lock.'))
}

/** Writes one value after the other and prints each that was confirmed as strict; compacts now and then. */
const writer = (folder: string) => `
  import { open } from 'revkv'
  import { file } from 'revkv/storage/file'
  const store = await open({ name: 'killed', storage: file({ folder: ${JSON.stringify(folder)} }) })
  for (let n = store.get('n')?.n ?? 0; ; ) {
    n++
    const value = { n, fill: 'x'.repeat((n * 7919) % (n % 10 === 0 ? 200_000 : 2000)) }
    await Promise.all([store.put('n', value), store.put('k/' + (n % 50), value)])
    process.stdout.write(n + ' ')
    if (n % 40 === 0) await store.compact(store.revision - 10)
  }
`

/** Lets a writer run for a while, kills it, and gives the last that it was told is durable. */
async function killed(folder: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', writer(folder)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  const closed = once(child, 'close')
  await Promise.race([once(child.stdout, 'data'), closed])
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  child.kill('SIGKILL')
  await closed
  // The last number may be printed in part.
  return Number(out.slice(0, out.lastIndexOf(' ')).split(' ').at(-1))
}

test(`a process that is killed has lost nothing it was told of, ${kills} times`, {
  timeout: 5000 * kills,
}, async () => {
  const folder = await emptyFolder()
  const random = new Random(seed)
  const confirmed: number[] = []
  const tails: TornTail[] = []
  for (let run = 0; run < kills; run++) {
    const last = await killed(folder, random.below(150))
    const storage = file({ folder, onTornTail: (tail) => tails.push(tail) })
    const store = await openStore<{ n: number; fill: string }>({ name: 'killed', storage })
    const newest = store.get('n')
    expect(newest?.n).toBeGreaterThanOrEqual(last)
    // The two that were put together are both there, as are those before.
    for (let n = newest?.n ?? 0; n > 0 && n > (newest?.n ?? 0) - 40; n--) {
      const value = store.get(`k/${n % 50}`)
      expect([value?.n, value?.fill.length]).toEqual([n, (n * 7919) % (n % 10 === 0 ? 200_000 : 2000)])
    }
    confirmed.push(last)
    await store.close()
  }
  expect(confirmed.at(-1)).toBeGreaterThan(kills)
  console.log(`seed ${seed}: killed behind ${confirmed.join(', ')}; ${tails.length} torn tails`)
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
