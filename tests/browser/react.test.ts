// The hooks with a real React, of both the versions that people use: in a browser, in development mode, whose warnings fail
// the test, and on a server.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { describe, expect, onTestFinished } from 'vitest'
import { test } from './browser.js'
import type * as scenarios from './react/scenarios.js'

type Scenario = keyof typeof scenarios
type Seen<S extends Scenario> = Awaited<ReturnType<(typeof scenarios)[S]>>

const folder = fileURLToPath(new URL('react/', import.meta.url))

/** One script with everything in it. */
async function bundle(entry: string, version: string, platform: 'browser' | 'node'): Promise<string> {
  const of18 = (name: string) => [name, `${folder}18/node_modules/${name.replace('/server', '/server.browser')}`]
  const aliased = ['react', 'react-dom', ...(platform === 'browser' ? ['react-dom/server'] : [])]
  const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform,
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
    alias: version === '18' ? Object.fromEntries(aliased.map(of18)) : {},
    ...(platform === 'browser' ? { globalName: 'scenarios', format: 'iife' } : {}),
    // What React has for a server is CommonJS, which asks for Node's own modules.
    ...(platform === 'node'
      ? {
          banner: {
            js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
          },
        }
      : {}),
    // Everything is where the bundle says; the engine is given to it by address.
    external: ['node:*'],
    logLevel: 'error',
    // import.meta is only used to find the engine.
    logOverride: { 'empty-import-meta': 'silent' },
  })
  return outputFiles[0]?.text ?? ''
}

describe.for(['18', '19'])('React %s', (version) => {
  const script = bundle('scenarios.tsx', version, 'browser')

  /** Runs a scenario in a page of its own. A warning of React's is a failure. */
  const play = test.extend('play', async ({ open }) => async <S extends Scenario>(scenario: S): Promise<Seen<S>> => {
    const page = await open()
    const said: Promise<unknown>[] = []
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      said.push(Promise.all(message.args().map((arg) => arg.evaluate(String))))
    })
    await page.addScriptTag({ content: await script })
    const seen = (await page.evaluate(
      (name) => (globalThis as unknown as { scenarios: Record<string, () => unknown> }).scenarios[name]?.(),
      scenario,
    )) as Seen<S>
    expect(await Promise.all(said)).toEqual([])
    return seen
  })

  play('useGet renders when its key changes, and only then', async ({ play }) => {
    const { seen, watchers } = await play('get')
    expect(seen.texts).toEqual(['absent', '1', '1', '2', 'absent'])
    expect(seen.renders).toEqual([undefined, 1, 2, undefined])
    expect([seen.watchers, watchers]).toEqual([1, 0])
  })

  play('useList gives one result until the range changes', async ({ play }) => {
    const { seen, watchers } = await play('list')
    expect(seen.texts).toEqual([' of 0', 'a/3=3,a/2=2 of 3', 'a/3=3,a/2=2 of 3'])
    expect([seen.renders, seen.results, watchers]).toEqual([4, 2, 0])
  })

  play('a key that changes is another key', async ({ play }) => {
    const { seen, watchers } = await play('key')
    expect(seen).toEqual({ texts: ['1', '2', '4'], rendersOfOldKey: 0, watchers: 1 })
    expect(watchers).toBe(0)
  })

  play('a query written in place sees the props of its render', async ({ play }) => {
    const { seen, watchers } = await play('query')
    expect([...new Set(seen.renders)]).toEqual([' 10 0', '20,5,8 10 13', '20,5,8 6 5', '1,20,5,8 6 6'])
    expect(seen.renders.length).toBeLessThanOrEqual(6)
    expect([seen.watchers, watchers]).toEqual([2, 0])
  })

  play('what a query gave stays while what it depends on does', async ({ play }) => {
    const { seen } = await play('deps')
    expect(seen).toEqual({ results: [0, 0, 0, 3, 3, 5], askedAtFirst: 1, text: '' })
  })

  play('no frame shows two revisions', async ({ play }) => {
    const { seen, watchers } = await play('tearing')
    expect(seen.last).toEqual(['4:8'])
    expect(seen.frames.length).toBeGreaterThan(1)
    for (const frame of seen.frames) expect(['undefined:undefined', '1:2', '2:4', '3:6', '4:8']).toContain(frame)
    expect(watchers).toBe(0)
  })

  play('nothing is missed between the render and the subscription', async ({ play }) => {
    expect(await play('between')).toEqual({ seen: '7', watchers: 0 })
  })

  play('in StrictMode nothing is left', async ({ play }) => {
    expect(await play('strict')).toEqual({ seen: '2 1 4', watchers: 0 })
  })

  play('a render that is never committed leaves no watch', async ({ play }) => {
    expect((await play('abandoned')).seen).toEqual({ text: 'waiting', rendered: true, watchers: 0 })
  })

  play('what a query throws reaches the boundary', async ({ play }) => {
    const { texts, watchers } = await play('failing')
    expect(texts).toEqual(['INVALID_KEY', 'INVALID_KEY', 'none yet', 'Error: as asked'])
    expect(watchers).toBe(0)
  })

  play('a page takes over what a server has rendered', async ({ play }) => {
    expect(await play('hydrated')).toEqual({
      texts: ['1 1', '2 1', 'undefined undefined', '2 1', '3 1'],
      kept: true,
      recovered: [],
      watchers: 0,
    })
  })

  play('what the README shows', async ({ play }) => {
    expect(await play('readme')).toBe('read')
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    const shown = /<!-- react -->\s*```tsx\n([\s\S]*?)```\s*<!-- \/react -->/.exec(readme)?.[1]
    expect(shown).toBe(await readFile(`${folder}todos.tsx`, 'utf8'))
  })

  test('a server renders what its store says', async () => {
    const home = await mkdtemp(join(tmpdir(), 'revkv-react-'))
    onTestFinished(() => rm(home, { recursive: true }))
    const program = join(home, 'server.mjs')
    await writeFile(program, await bundle('server.tsx', version, 'node'))
    const wasm = fileURLToPath(new URL('../../pkg/dist/revkv.wasm', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, wasm])
    expect([stderr, JSON.parse(stdout)]).toEqual([
      '',
      { html: '<p>dark flag/theme 2</p>', without: '<p>undefined undefined undefined</p>', watchers: 0 },
    ])
  })
})
