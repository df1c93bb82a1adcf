// The cells of the matrix: an app, and one way of running it. Each visits twice, with a new page or a new process for the
// second time, and says what it saw.
import { deepStrictEqual, match } from 'node:assert'
import { existsSync, readdirSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import type { App } from './app.js'
import { type Browser, type Engine, freePort, openFirefox, serving, type Visit } from './browsers.js'

export interface Cell {
  /** The folder in apps/. */
  readonly app: string
  /** What it is an app of: the package that has the version, and its name. */
  readonly of?: readonly [module: string, name: string]
  /** How it is run. */
  readonly how: string
  /** Among those that `cargo xtask test` runs unasked: one of each kind, all of them together under a minute. */
  readonly quick?: true
  run(app: App, world: World): Promise<Seen>
}

export interface World {
  chromium(): Promise<Browser>
}

/** What a run has shown, beside the lines that are the same in all of them. */
export interface Seen {
  /** What ran it, where that is not a package of the app. */
  readonly by?: string
  readonly storage: string
  readonly engine?: Engine
}

/** The lines of the n-th visit to one storage. */
function nth(n: number): string[] {
  return [
    `opened at revision ${n}: ${n - 1 || 'no'} visits`,
    `put at revision ${n + 1}: ${n} visits`,
    `opened again at revision ${n + 1}: ${n} visits`,
    'at revision 2: 1 visits',
  ]
}

/** The lines of a visit among all that a program has printed. */
function linesIn(printed: string): string[] {
  return [...printed.matchAll(/^revkv: (.*)$/gm)].map(([, line = '']) => line)
}

/** Two visits by programs that keep their store in files, in the folder `data`. */
async function onFiles(app: App, first: () => Promise<string>, second = first): Promise<Seen> {
  await app.clear('data')
  deepStrictEqual(linesIn(await first()), nth(1))
  deepStrictEqual(linesIn(await second()), nth(2))
  return { storage: 'files' }
}

/** Two visits to one page. */
async function inPages(
  browser: Browser,
  url: string,
  expected: Engine = 'its file',
  storage = 'IndexedDB',
): Promise<Seen> {
  const visits: Visit[] = [await browser.visit(url), await browser.visit(url)]
  deepStrictEqual(
    visits.map(({ lines }) => lines),
    [nth(1), nth(2)],
  )
  deepStrictEqual([...new Set(visits.map(({ engine }) => engine))], [expected])
  return { by: browser.version, storage, engine: expected }
}

/** Builds, and visits what the build has left in dist/; its page is ours, with `script` in it, where the build makes none. */
function built(build: (app: App) => Promise<unknown>, script?: string, engine?: Engine, storage?: string): Cell['run'] {
  return async (app, world) => {
    await app.clear('dist')
    await build(app)
    if (script !== undefined) {
      const page = await readFile(app.path('index.html'), 'utf8')
      await writeFile(app.path('dist/index.html'), page.replace(/src="[^"]*"/, `src="${script}"`))
    }
    return serving(app.path('dist'), async (url) => inPages(await world.chromium(), url, engine, storage))
  }
}

const viteDev =
  (engine: Engine): Cell['run'] =>
  async (app, world) => {
    await app.clear('node_modules/.vite')
    const port = await freePort()
    const server = app.start('vite', ['--host', '127.0.0.1', '--port', port, '--strictPort'])
    try {
      await server.prints(/ready in/, 60_000)
      return await inPages(await world.chromium(), `http://127.0.0.1:${port}/`, engine)
    } finally {
      await server.stop()
    }
  }

const viteBuild = built((app) => app.run('vite', ['build', '--base', './']))

const webpackBuild = (program: string, script = './page.js', storage?: string) =>
  built(
    (app) => app.run(program, ['build', '--mode', 'production', '--entry', script]),
    './main.js',
    undefined,
    storage,
  )

/** Vite 7 makes one file of a worker, and refuses to where something is imported only when it is needed. */
const viteWorker = (entry: 'revkv' | 'revkv/inline', engine: Engine) =>
  built(
    async (app) => {
      await copyFile(app.path('opfs.html'), app.path('index.html'))
      const worker = app.path('opfs-worker.js')
      await writeFile(worker, (await readFile(worker, 'utf8')).replace("'revkv'", `'${entry}'`))
      await app.run('vite', ['build', '--base', './'])
    },
    undefined,
    engine,
    'OPFS',
  )

const esbuild = (app: App, ...more: string[]) =>
  app.run('esbuild', ['page.js', '--bundle', '--format=esm', '--minify', '--outdir=dist', ...more])

/** Next's build by webpack fails on any route of the edge runtime, whatever is in it, so there it is left out. */
const nextBuild =
  (bundler: string, routes: string[]): Cell['run'] =>
  async (app, world) => {
    const environment = { NEXT_TELEMETRY_DISABLED: '1' }
    await app.clear('.next')
    if (!routes.includes('edge')) await app.clear('app/edge')
    await app.run('next', ['build', bundler], environment, 240_000)
    const port = await freePort()
    const server = app.start('next', ['start', '--hostname', '127.0.0.1', '--port', port], environment)
    const url = `http://127.0.0.1:${port}/`
    try {
      await server.prints(/Ready in/, 60_000)
      const rendered = await (await fetch(url)).text()
      if (!rendered.includes('<output>')) throw new Error(`the page is not rendered on the server: ${rendered}`)
      for (const route of routes) {
        const answer = await (await fetch(`${url}${route}`)).text()
        deepStrictEqual(linesIn(answer), nth(1), `${route}: ${answer}\n${server.printed()}`)
      }
      return await inPages(await world.chromium(), url)
    } finally {
      await server.stop()
    }
  }

/** One to a Worker, which forgets; then two to a Durable Object, with another process for each. */
async function toWorkers(visit: (path: string) => Promise<string[]>): Promise<Seen> {
  deepStrictEqual(await visit('worker'), nth(1))
  deepStrictEqual([await visit('object'), await visit('object')], [nth(1), nth(2)])
  return { storage: 'memory in a Worker, a Durable Object' }
}

const workerd: Cell['run'] = async (app) => {
  await app.clear('objects', 'dist')
  await mkdir(app.path('objects'))
  const conditions = '--conditions=workerd,worker,browser'
  const external = ['--external:cloudflare:*', '--external:./revkv.wasm']
  await app.run('esbuild', ['worker.js', '--bundle', '--format=esm', '--outdir=dist', conditions, ...external])
  return toWorkers(async (path) => {
    const server = app.start(binaryOf(app, '@cloudflare', 'workerd'), ['serve', '--control-fd=3', 'config.capnp'])
    try {
      const [, port] = await server.prints(/"port":(\d+)/, 30_000)
      return linesIn(await (await fetch(`http://127.0.0.1:${port}/${path}`)).text())
    } finally {
      // No farewell: what is there afterwards was stored.
      await server.stop()
    }
  })
}

const wrangler: Cell['run'] = async (app) => {
  await app.clear('state', '.wrangler')
  const environment = { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' }
  return toWorkers(async (path) => {
    const port = await freePort()
    const where = ['--ip', '127.0.0.1', '--port', port, '--persist-to', 'state']
    const server = app.start('wrangler', ['dev', ...where], environment)
    try {
      await server.prints(/Ready on/, 60_000)
      return linesIn(await (await fetch(`http://127.0.0.1:${port}/${path}`)).text())
    } finally {
      await server.stop()
    }
  })
}

/** The program itself, in the package that is for this machine; what npm has on the PATH is a script that looks for it. */
function binaryOf(app: App, scope: string, name: string): string {
  const folder = app.path('node_modules', scope)
  const found = readdirSync(folder).map((machine) => `${folder}/${machine}/bin/${name}`)
  return found.find(existsSync) ?? name
}

const node: Cell['run'] = async (app) => {
  const by = `Node ${(await app.run('node', ['--version'])).trim().slice(1)}`
  const seen = await onFiles(
    app,
    () => app.run('node', ['visit.js']),
    () => app.run('node', ['visit.cjs']),
  )
  return { ...seen, by }
}

const firefox: Cell['run'] = async (app) => {
  const browser = await openFirefox(app)
  try {
    return await serving(app.folder, async (url) => {
      const refused = await browser.text(`${url}policy.html`, /(opened|refused): .*/)
      match(refused, /CSP: .*'wasm-unsafe-eval'/)
      return inPages(browser, `${url}plain.html`)
    })
  } finally {
    await browser.close()
  }
}

export const cells: readonly Cell[] = [
  { app: 'node', how: 'import, then require', quick: true, run: node },
  {
    app: 'page',
    how: 'a script of type module, with an import map',
    quick: true,
    run: (app, world) => serving(app.folder, async (url) => inPages(await world.chromium(), `${url}plain.html`)),
  },
  {
    app: 'esbuild',
    of: ['esbuild', 'esbuild'],
    how: 'build',
    quick: true,
    run: built((app) => esbuild(app), './page.js', 'the JavaScript, with a hint'),
  },
  {
    app: 'esbuild',
    of: ['esbuild', 'esbuild'],
    how: 'build with splitting, revkv.wasm copied beside it',
    quick: true,
    run: built(async (app) => {
      await esbuild(app, '--splitting')
      await copyFile(app.path('node_modules/revkv/dist/revkv.wasm'), app.path('dist/revkv.wasm'))
    }, './page.js'),
  },
  { app: 'vite8', of: ['vite', 'Vite'], how: 'build', quick: true, run: viteBuild },
  { app: 'workerd', of: ['workerd', 'workerd'], how: 'killed after each visit', quick: true, run: workerd },
  { app: 'vite8', of: ['vite', 'Vite'], how: 'dev server', run: viteDev('its file') },
  {
    app: 'vite8',
    of: ['vite', 'Vite'],
    how: 'build, a worker on OPFS',
    run: viteWorker('revkv', 'its file'),
  },
  { app: 'vite7', of: ['vite', 'Vite'], how: 'build', run: viteBuild },
  { app: 'vite7', of: ['vite', 'Vite'], how: 'dev server', run: viteDev('the JavaScript, with a hint') },
  {
    app: 'vite7',
    of: ['vite', 'Vite'],
    how: 'build, a worker on OPFS with revkv/inline',
    run: viteWorker('revkv/inline', 'the JavaScript'),
  },
  { app: 'webpack', of: ['webpack', 'webpack'], how: 'build', run: webpackBuild('webpack') },
  {
    app: 'webpack',
    of: ['webpack', 'webpack'],
    how: 'build, a worker on OPFS',
    run: webpackBuild('webpack', './opfs.js', 'OPFS'),
  },
  { app: 'rspack', of: ['@rspack/core', 'Rspack'], how: 'build', run: webpackBuild('rspack') },
  { app: 'wrangler', of: ['wrangler', 'wrangler'], how: 'dev, killed after each visit', run: wrangler },
  {
    app: 'next',
    of: ['next', 'Next.js'],
    how: 'build and start by Turbopack: page, route, edge route',
    run: nextBuild('--turbopack', ['server', 'edge']),
  },
  {
    app: 'next',
    of: ['next', 'Next.js'],
    how: 'build and start by webpack: page, route',
    run: nextBuild('--webpack', ['server']),
  },
  { app: 'node24', how: 'import, then require', run: node },
  {
    app: 'vitest',
    of: ['vitest', 'Vitest'],
    how: 'a test',
    run: (app) => onFiles(app, () => app.run('vitest', ['run'])),
  },
  {
    app: 'jest',
    of: ['jest', 'Jest'],
    how: 'a test, with --experimental-vm-modules',
    run: (app) => onFiles(app, () => app.run('jest', [], { NODE_OPTIONS: '--experimental-vm-modules' })),
  },
  {
    app: 'bun',
    of: ['bun', 'Bun'],
    how: 'run',
    run: (app) => onFiles(app, () => app.run(binaryOf(app, '@oven', 'bun'), ['visit.js'])),
  },
  {
    app: 'bun',
    of: ['bun', 'Bun'],
    how: 'build --compile, the program alone',
    run: async (app) => {
      await app.run(binaryOf(app, '@oven', 'bun'), ['build', '--compile', 'visit.js', '--outfile', 'alone/visit'])
      return onFiles(app, () => app.run(app.path('alone/visit'), []))
    },
  },
  {
    app: 'deno',
    of: ['deno', 'Deno'],
    how: 'run, with permission to read and write',
    run: (app) =>
      onFiles(app, () => app.run('deno', ['run', '--no-prompt', '--allow-read', '--allow-write', 'visit.js'])),
  },
  {
    app: 'deno',
    of: ['deno', 'Deno'],
    how: 'run, without any permission',
    run: async (app) => {
      deepStrictEqual(linesIn(await app.run('deno', ['run', '--no-prompt', 'forgetful.js'])), nth(1))
      return { storage: 'memory' }
    },
  },
  { app: 'firefox', how: 'a script of type module, with an import map; a policy without WebAssembly', run: firefox },
]
