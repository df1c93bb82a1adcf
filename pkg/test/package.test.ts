// What is published: built, imported by name, run from where it lies.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { RevkvError } from '../src/index.js'

const root = dirname(fileURLToPath(new URL('.', import.meta.url)))
const run = (...args: string[]) => execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' })

// Not built here: others may be reading it at this moment.
beforeAll(() => {
  if (!existsSync(new URL('../dist/index.js', import.meta.url))) throw new Error('run "npm run build" first')
})

const program = `
  import { open, RevkvError } from 'revkv'
  import { memory } from 'revkv/storage/memory'
  import { indexedDb } from 'revkv/storage/indexeddb'
  import { opfs } from 'revkv/storage/opfs'
  const storage = memory()
  const first = await open({ storage })
  await first.put('greeting', { hello: 'world' }, { ttlSeconds: 1000 })
  await first.close()
  const store = await open({ storage })
  const code = await open({ storage: indexedDb() }).catch((e) => RevkvError.is(e) && e.code)
  const worker = await open({ storage: opfs() }).catch((e) => RevkvError.is(e) && e.code)
  console.log(JSON.stringify([store.get('greeting'), store.revision, code, worker]))
`

test('finds its engine by itself, and keeps no process alive', () => {
  const out = run('--input-type=module', '--eval', program)
  expect(JSON.parse(out)).toEqual([{ hello: 'world' }, 2, 'STORAGE_LOST', 'STORAGE_LOST'])
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

test('a store in files is there for the next process, which it keeps no longer than needed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'revkv-package-'))
  try {
    const visit = `
      import { open } from 'revkv'
      import { file } from 'revkv/storage/file'
      const store = await open({ storage: file({ folder: ${JSON.stringify(folder)} }) })
      const { revision } = await store.put('visits', (store.get('visits') ?? 0) + 1)
      console.log(store.get('visits'), revision)
      await store.close()
    `
    const outs = [1, 2, 3].map(() => run('--input-type=module', '--eval', visit).trim())
    expect(outs).toEqual(['1 2', '2 3', '3 4'])
  } finally {
    rmSync(folder, { recursive: true })
  }
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
  expect(types).toHaveLength(12)
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

test('its errors show as what they are, however the code is made smaller', () => {
  const out = run(
    '--input-type=module',
    '--eval',
    `
    import { open, RevkvError } from 'revkv'
    import { inspect } from 'node:util'
    const error = await open({ name: '' }).catch((e) => e)
    console.log(JSON.stringify([RevkvError.name, error.name, String(error), inspect(error), Object.keys(error)]))
  `,
  )
  const [name, own, text, inspected, keys] = JSON.parse(out) as [string, string, string, string, string[]]
  expect([name, own, keys]).toEqual(['RevkvError', 'RevkvError', ['code', 'retryable']])
  expect(text).toMatch(/^RevkvError: name: expected/)
  expect(inspected).toMatch(/^RevkvError: name: expected/)
  expect(inspected).not.toContain('undefined')
})

test('is packed with its papers and without its sources', () => {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: root, encoding: 'utf8' })
  const [{ files }] = JSON.parse(packed.slice(packed.indexOf('['))) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  expect(paths.filter((path) => !path.startsWith('dist/')).sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'THIRD-PARTY.md',
    'package.json',
  ])
  const built = paths.filter((path) => path.startsWith('dist/') && !/^dist\/chunk-\w+\.js$/.test(path))
  expect(built.sort()).toEqual([
    'dist/codecs.d.ts',
    'dist/conformance/faulty.d.ts',
    'dist/conformance/index.d.ts',
    'dist/conformance/index.js',
    'dist/conformance/storage.d.ts',
    'dist/errors.d.ts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/log/torn-tail.d.ts',
    'dist/metrics.d.ts',
    'dist/metrics.js',
    'dist/open.d.ts',
    'dist/react.d.ts',
    'dist/react.js',
    'dist/revkv.wasm',
    'dist/salvage.d.ts',
    'dist/salvage.js',
    'dist/storage/durable-object.d.ts',
    'dist/storage/durable-object.js',
    'dist/storage/file.d.ts',
    'dist/storage/file.js',
    'dist/storage/indexeddb.d.ts',
    'dist/storage/indexeddb.js',
    'dist/storage/level.d.ts',
    'dist/storage/level.js',
    'dist/storage/memory.d.ts',
    'dist/storage/memory.js',
    'dist/storage/opfs.d.ts',
    'dist/storage/opfs.js',
    'dist/tuple.d.ts',
    'dist/tuple.js',
    'dist/types.d.ts',
  ])
})

test('the hooks bring no React, and little else', () => {
  const read = (file: string) => readFileSync(new URL(`../dist/${file}`, import.meta.url), 'utf8')
  const hooks = read('react.js')
  expect([...hooks.matchAll(/from"([^".][^"]*)"/g)].map(([, name]) => name)).toEqual(['react'])
  const chunks = [...hooks.matchAll(/"\.\/(chunk-\w+\.js)"/g)].map(([, name = '']) => read(name))
  expect([hooks, ...chunks].reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0)).toBeLessThan(1500)
})

test('names whose work is in it', () => {
  const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
  const notice = read('THIRD-PARTY.md')
  const sections = read('../Cargo.toml').split(/^\[/m)
  const bundled = sections.filter((section) => /^[^\n]*\bdependencies\]/.test(section) && !section.includes('dev-dep'))
  const lines = bundled.join('').matchAll(/^([\w-]+) = (?:.*package = "([\w-]+)")?/gm)
  const crates = [...lines].map(([, name, renamed]) => renamed ?? name)
  expect(crates).toEqual(expect.arrayContaining(['imbl', 'bincode', 'wasm-bindgen']))
  for (const work of [...crates, 'imbl-sized-chunks', 'idb', 'crc-32'])
    expect(notice).toMatch(new RegExp(`[ ,]${work}[ ,]`))
})
