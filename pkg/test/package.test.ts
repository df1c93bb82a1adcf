// What is published: built, imported by name, run from where it lies.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { RevkvError } from '../src/index.js'

const root = dirname(fileURLToPath(new URL('.', import.meta.url)))
const run = (...args: string[]) => execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' })

beforeAll(() => {
  run('build.mjs', '--quiet')
}, 60_000)

const program = `
  import { open, RevkvError } from 'revkv'
  import { memory } from 'revkv/storage/memory'
  import { indexedDb } from 'revkv/storage/indexeddb'
  const storage = memory()
  const first = await open({ storage })
  await first.put('greeting', { hello: 'world' }, { ttlSeconds: 1000 })
  await first.close()
  const store = await open({ storage })
  const code = await open({ storage: indexedDb() }).catch((e) => RevkvError.is(e) && e.code)
  console.log(JSON.stringify([store.get('greeting'), store.revision, code]))
`

test('finds its engine by itself, and keeps no process alive', () => {
  const out = run('--input-type=module', '--eval', program)
  expect(JSON.parse(out)).toEqual([{ hello: 'world' }, 2, 'STORAGE_LOST'])
})

test('importing it does no work', () => {
  const out = run(
    '--input-type=module',
    '--eval',
    `
    globalThis.WebAssembly = new Proxy(WebAssembly, { get(_, name) { throw new Error('used ' + String(name)) } })
    globalThis.fetch = () => { throw new Error('fetched') }
    const names = Object.keys(await import('revkv')).sort()
    console.log(names.join())
  `,
  )
  expect(out.trim()).toBe('RevkvError,bytes,json,open,utf8')
})

test('its errors are known to another copy', async () => {
  const copy = (await import(new URL('../dist/index.js', import.meta.url).href)) as typeof import('../src/index.js')
  const error = await copy.open({ name: '' }).catch((e: unknown) => e)
  expect(error).not.toBeInstanceOf(RevkvError)
  expect([RevkvError.is(error), copy.RevkvError.is(new RevkvError('CLOSED', ''))]).toEqual([true, true])
  expect([null, undefined, 'x', {}, new Error('x'), { code: 'CLOSED' }].some((e) => RevkvError.is(e))).toBe(false)
})

test('declares types that stand by themselves, and nothing private', () => {
  const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    exports: Record<string, { types: string } | string>
  }
  const types = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.types]))
  expect(types).toHaveLength(3)
  for (const file of types) {
    expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).not.toContain('wasm/revkv')
  }
  const tsc = createRequire(import.meta.url)
    .resolve('typescript/package.json')
    .replace('package.json', 'bin/tsc')
  const consumer = '--ignoreConfig --noEmit --strict --target es2022 --lib es2022,dom --module nodenext --types'.split(
    ' ',
  )
  expect(run(tsc, ...consumer, '', ...types)).toBe('')
})

test('stays small', () => {
  const gzipBytes = (file: string) => gzipSync(readFileSync(new URL(`../dist/${file}`, import.meta.url))).length
  const shared = (file: string) =>
    [
      ...readFileSync(new URL(`../dist/${file}`, import.meta.url), 'utf8').matchAll(/from"\.{1,2}\/(chunk-[^"]+)"/g),
    ].map(([, chunk]) => chunk as string)
  const total = (file: string) => [file, ...shared(file)].reduce((sum, part) => sum + gzipBytes(part), 0)
  expect(total('index.js')).toBeLessThan(14_000)
  expect(total('storage/indexeddb.js')).toBeLessThan(5_000)
})
