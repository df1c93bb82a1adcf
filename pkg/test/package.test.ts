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

test('is required, by programs that are no modules, as it is imported', () => {
  const out = run(
    '--no-warnings',
    '--input-type=commonjs',
    '--eval',
    `
    const { open } = require('revkv')
    const { salvage } = require('revkv/salvage')
    const { memory } = require('revkv/storage/memory')
    const storage = memory()
    const visit = async () => {
      const store = await open({ storage })
      const { revision } = await store.put('a', 1)
      await store.close()
      const { store: found, lost } = await salvage({ storage })
      console.log(revision, found.get('a'), lost.length)
    }
    visit()
  `,
  )
  expect(out.trim()).toBe('2 1 0')
})

const entries = ['index', 'index.node', 'index.workerd', 'index.edge', 'inline', 'slim']

test('all entries have one class, one engine and the same names', () => {
  // What the edge entries import is compiled by their platforms; here it only has to be there.
  const loader = `data:text/javascript,${encodeURIComponent(`
    export const load = (url, context, next) => /\\.wasm/.test(url)
      ? { format: 'module', source: 'export default undefined', shortCircuit: true }
      : next(url, context)
  `)}`
  const out = run(
    '--input-type=module',
    '--eval',
    `
    import { register } from 'node:module'
    register(${JSON.stringify(loader)})
    const entries = await Promise.all(${JSON.stringify(entries)}.map((name) => import('./dist/' + name + '.js')))
    const store = await entries[1].open()
    const opened = await Promise.all(entries.map(({ open }) => open().then((store) => store.constructor)))
    console.log(JSON.stringify({
      names: [...new Set(entries.map((entry) => Object.keys(entry).sort().join()))],
      errors: new Set(entries.map((entry) => entry.RevkvError)).size,
      stores: new Set(opened).size,
      opens: new Set(entries.map((entry) => entry.open)).size,
    }))
  `,
  )
  expect(JSON.parse(out)).toEqual({
    names: ['RevkvError,bytes,json,open,utf8'],
    errors: 1,
    stores: 1,
    opens: entries.length,
  })
})

test('an entry that brings no engine asks for one, and takes whatever it can be made of', () => {
  const out = run(
    '--input-type=module',
    '--eval',
    `
    import { readFile } from 'node:fs/promises'
    import { open } from 'revkv/slim'
    const refused = await open().catch(({ code, message }) => [code, message])
    const wasm = await WebAssembly.compile(await readFile(new URL(import.meta.resolve('revkv/revkv.wasm'))))
    const store = await open({ wasm })
    console.log(JSON.stringify([...refused, store.revision]))
  `,
  )
  expect(JSON.parse(out)).toEqual(['INVALID_ARGUMENT', expect.stringContaining('revkv/slim'), 1])
})

test('the inlined engine needs no file', () => {
  const out = run(
    '--input-type=module',
    '--eval',
    `
    process.getBuiltinModule = undefined
    globalThis.fetch = undefined
    const { open } = await import('revkv/inline')
    const store = await open()
    console.log((await store.put('a', 1)).revision)
  `,
  )
  expect(out.trim()).toBe('2')
})

test.each([
  [
    'index.node',
    'a disk without the file',
    `process.getBuiltinModule = () => ({ readFileSync() { throw new Error('ENOENT') } })`,
  ],
  ['index', 'no way to fetch', 'globalThis.fetch = undefined'],
  ['index', 'a page instead of the file', `globalThis.fetch = async () => new Response('<!doctype html>')`],
])('%s on %s goes on with the inlined engine, and a page says so once', (entry, _, damage) => {
  const out = run(
    '--input-type=module',
    '--eval',
    `
    ${damage}
    console.warn = (text) => console.log(text)
    const { open } = await import('./dist/${entry}.js')
    const stores = await Promise.all([open(), open()])
    console.log((await stores[0].put('a', 1)).revision)
  `,
  )
  const hint = expect.stringMatching(/^revkv: .*larger download.*option `wasm`/)
  expect(out.trim().split('\n')).toEqual(entry === 'index' ? [hint, '2'] : ['2'])
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
  expect(types).toHaveLength(17)
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
