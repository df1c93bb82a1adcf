// Finding the engine: what comes of what `open` is given, and which entry is whose.

import { readFileSync } from 'node:fs'
import { beforeEach, expect, test, vi } from 'vitest'
import { wasm } from './open.js'

// Each test has a package of its own, with no engine loaded.
beforeEach(() => {
  vi.resetModules()
})

test('the engine is compiled once, and whoever asks later has the same', async () => {
  const { loadEngine } = await import('../src/wasm.js')
  const find = vi.fn(() => WebAssembly.compile(wasm))
  await Promise.all([loadEngine(find), loadEngine(find), loadEngine(new Uint8Array([1]))])
  await loadEngine(() => Promise.reject(new Error('not asked')))
  expect(find).toHaveBeenCalledOnce()
})

test('what could not be loaded is not kept', async () => {
  const { loadEngine } = await import('../src/wasm.js')
  const thrown = () => {
    throw new Error('lost')
  }
  // A module, but none of ours.
  const other = () => WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))
  for (const source of [thrown, other, new Uint8Array([1])]) {
    await expect(loadEngine(source)).rejects.toMatchObject({ code: 'ENGINE_FAILED' })
  }
  await expect(loadEngine(Promise.resolve(undefined) as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await loadEngine(wasm)
})

test.each([
  "WebAssembly.compile(): Wasm code generation disallowed by embedder: 'wasm-unsafe-eval' is not an allowed source of script",
  'call to WebAssembly.compileStreaming() blocked by CSP',
  'Refused to create a WebAssembly object because of the Content Security Policy',
])('a policy that forbids it is told as such: %s', async (words) => {
  const { compile } = await import('../src/load/compile.js')
  const refused = compile(() => Promise.reject(new WebAssembly.CompileError(words)))
  await expect(refused).rejects.toMatchObject({ code: 'CSP', message: expect.stringContaining("'wasm-unsafe-eval'") })
})

type Target = string | { [condition: string]: string }

const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  exports: Record<string, Target>
}

/** As every resolver does it: the first condition that holds. */
function resolve(entry: string, conditions: string[]): string | undefined {
  const target = exports[entry]
  if (target === undefined || typeof target === 'string') return target
  return Object.entries(target).find(([condition]) => condition === 'default' || conditions.includes(condition))?.[1]
}

test.each([
  ['wrangler', ['workerd', 'worker', 'browser'], 'workerd', 'index.workerd'],
  ['the edge runtime', ['edge-light', 'worker', 'browser'], 'edge', 'index.edge'],
  ['Deno', ['deno', 'node', 'import'], 'node', 'inline'],
  ['Bun', ['bun', 'node', 'import'], 'node', 'inline'],
  ['Node', ['node', 'import', 'module-sync'], 'node', 'inline'],
  ['a bundler for pages', ['browser', 'import', 'module'], '', 'inline'],
  ['whoever says nothing', [], '', 'inline'],
])('%s gets the entry that is for it', (_, conditions, environment, inline) => {
  const ending = environment && `.${environment}`
  expect(resolve('.', conditions)).toBe(`./dist/index${ending}.js`)
  expect(resolve('./salvage', conditions)).toBe(`./dist/salvage${ending}.js`)
  expect(resolve('./inline', conditions)).toBe(`./dist/${inline}.js`)
  expect(resolve('./slim', conditions)).toBe('./dist/slim.js')
  expect(resolve('./revkv.wasm', conditions)).toBe('./dist/revkv.wasm')
})

test('a compiler is told the types first', () => {
  const targets = Object.values(exports).filter((target) => typeof target === 'object')
  expect(targets.map((target) => Object.keys(target)[0])).toEqual(targets.map(() => 'types'))
})
