// The ways of running an app. Each visits twice, with a new page or a new process for the second time, and judges what it
// saw.
import { deepStrictEqual, match } from 'node:assert'
import { existsSync, readdirSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import type { App } from './app.js'
import { type Browser, freePort, openFirefox, serving } from './browsers.js'
import type { Cell } from './cells.js'

export interface World {
  chromium(): Promise<Browser>
}

/** Fails where it is not as it should be; gives the name and version of what ran it, where no lockfile pins that. */
export type Run = (app: App, world: World, cell: Cell) => Promise<string | undefined>

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
async function onFiles(app: App, first: () => Promise<string>, second = first): Promise<undefined> {
  await app.clear('data')
  deepStrictEqual(linesIn(await first()), nth(1))
  deepStrictEqual(linesIn(await second()), nth(2))
}

/** Two visits to one page. */
async function inPages(browser: Browser, url: string, { engine }: Cell): Promise<string> {
  const visits = [await browser.visit(url), await browser.visit(url)]
  const [first, second] = [nth(1), nth(2)].map((lines) => ({ lines, engine }))
  deepStrictEqual(visits, [first, second])
  return browser.version
}

export const plainPage: Run = (app, world, cell) =>
  serving(app.folder, async (url) => inPages(await world.chromium(), `${url}plain.html`, cell))

/** Builds, and visits what the build has left in dist/; its page is ours, with `script` in it, where the build makes none. */
function built(build: (app: App) => Promise<unknown>, script?: string): Run {
  return async (app, world, cell) => {
    await app.clear('dist')
    await build(app)
    if (script !== undefined) {
      const page = await readFile(app.path('index.html'), 'utf8')
      await writeFile(app.path('dist/index.html'), page.replace(/src="[^"]*"/, `src="${script}"`))
    }
    return serving(app.path('dist'), async (url) => inPages(await world.chromium(), url, cell))
  }
}

export const viteDev: Run = async (app, world, cell) => {
  await app.clear('node_modules/.vite')
  const port = await freePort()
  const server = app.start('vite', ['--host', '127.0.0.1', '--port', port, '--strictPort'])
  try {
    await server.prints(/ready in/, 60_000)
    return await inPages(await world.chromium(), `http://127.0.0.1:${port}/`, cell)
  } finally {
    await server.stop()
  }
}

const viteBuildOf = (app: App) => app.run('vite', ['build', '--base', './'])

export const viteBuild = built(viteBuildOf)

/** Vite 7 makes one file of a worker, and refuses to where something is imported only when it is needed. */
export const viteWorker = (entry: 'revkv' | 'revkv/inline') =>
  built(async (app) => {
    await copyFile(app.path('opfs.html'), app.path('index.html'))
    const worker = app.path('opfs-worker.js')
    await writeFile(worker, (await readFile(worker, 'utf8')).replace("'revkv'", `'${entry}'`))
    await viteBuildOf(app)
  })

export const webpackBuild = (program: string, script = './page.js') =>
  built((app) => app.run(program, ['build', '--mode', 'production', '--entry', script]), './main.js')

const esbuild = (app: App, ...more: string[]) =>
  app.run('esbuild', ['page.js', '--bundle', '--format=esm', '--minify', '--outdir=dist', ...more])

export const esbuildBuild = built((app) => esbuild(app), './page.js')

export const esbuildBeside = built(async (app) => {
  await esbuild(app, '--splitting')
  await copyFile(app.path('node_modules/revkv/dist/revkv.wasm'), app.path('dist/revkv.wasm'))
}, './page.js')

/** Next's build by webpack fails on any route of the edge runtime, whatever is in it, so there it is left out. */
export const nextBuild =
  (bundler: string, routes: string[]): Run =>
  async (app, world, cell) => {
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
      return await inPages(await world.chromium(), url, cell)
    } finally {
      await server.stop()
    }
  }

/** One to a Worker, which forgets; then two to a Durable Object, with another process for each. */
async function toWorkers(visit: (path: string) => Promise<string[]>): Promise<undefined> {
  deepStrictEqual(await visit('worker'), nth(1))
  deepStrictEqual([await visit('object'), await visit('object')], [nth(1), nth(2)])
}

export const workerd: Run = async (app) => {
  await app.clear('objects', 'dist')
  await mkdir(app.path('objects'))
  const conditions = '--conditions=workerd,worker,browser'
  const external = ['--external:cloudflare:*', '--external:./revkv.wasm']
  await app.run('esbuild', ['worker.js', '--bundle', '--format=esm', '--outdir=dist', conditions, ...external])
  await toWorkers(async (path) => {
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

export const wrangler: Run = async (app) => {
  await app.clear('state', '.wrangler')
  const environment = { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' }
  await toWorkers(async (path) => {
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

export const node: Run = async (app) => {
  await onFiles(
    app,
    () => app.run('node', ['visit.js']),
    () => app.run('node', ['visit.cjs']),
  )
  return `Node ${(await app.run('node', ['--version'])).trim().slice(1)}`
}

/** By the program that is in bun's package for this machine. */
export const bun: Run = (app) => onFiles(app, () => app.run(binaryOf(app, '@oven', 'bun'), ['visit.js']))

export const bunAlone: Run = async (app) => {
  await app.run(binaryOf(app, '@oven', 'bun'), ['build', '--compile', 'visit.js', '--outfile', 'alone/visit'])
  await onFiles(app, () => app.run(app.path('alone/visit'), []))
}

export const deno: Run = (app) =>
  onFiles(app, () => app.run('deno', ['run', '--no-prompt', '--allow-read', '--allow-write', 'visit.js']))

export const denoWithoutPermission: Run = async (app) => {
  deepStrictEqual(linesIn(await app.run('deno', ['run', '--no-prompt', 'forgetful.js'])), nth(1))
}

export const vitest: Run = (app) => onFiles(app, () => app.run('vitest', ['run']))

export const jest: Run = (app) => onFiles(app, () => app.run('jest', [], { NODE_OPTIONS: '--experimental-vm-modules' }))

export const firefox: Run = async (app, _, cell) => {
  const browser = await openFirefox(app)
  try {
    return await serving(app.folder, async (url) => {
      const refused = await browser.text(`${url}policy.html`, /(opened|refused): .*/)
      match(refused, /CSP: .*'wasm-unsafe-eval'/)
      return inPages(browser, `${url}plain.html`, cell)
    })
  } finally {
    await browser.close()
  }
}
