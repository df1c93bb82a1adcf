// The bundles that pages, workers and processes run.
import { cp, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
export const distWeb = fileURLToPath(new URL('dist/web', import.meta.url))
export const nodeScript = fileURLToPath(new URL('dist/node/node.js', import.meta.url))
export const modules = fileURLToPath(new URL('node_modules', import.meta.url))

/** Packages that look for a .wasm beside themselves: pages load them as they are, from here. Those of Node are not loaded. */
const whole: Record<string, string> = {
  revkv: '/revkv/index.js',
  '@sqlite.org/sqlite-wasm': '/modules/@sqlite.org/sqlite-wasm/dist/index.mjs',
  '@electric-sql/pglite': '/modules/@electric-sql/pglite/dist/index.js',
  '@electric-sql/pglite/live': '/modules/@electric-sql/pglite/dist/live/index.js',
}

const leaveWhole: Plugin = {
  name: 'leave whole',
  setup(build) {
    build.onResolve({ filter: /^(revkv|@sqlite\.org|@electric-sql|classic-level|lmdb)/ }, ({ path }) => {
      return { path: whole[path] ?? `/${path}.js`, external: true }
    })
  },
}

export async function bundle(): Promise<void> {
  await rm(fileURLToPath(new URL('dist', import.meta.url)), { recursive: true, force: true })
  const common = { absWorkingDir: here, bundle: true, splitting: true, format: 'esm', logLevel: 'warning' } as const
  await build({
    ...common,
    entryPoints: ['page.ts', 'worker.ts'],
    outdir: distWeb,
    target: 'es2022',
    minify: true,
    conditions: ['browser', 'production'],
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    // What abstract-level asks a bundler for.
    alias: { events: './node_modules/events/events.js' },
    // Named by packages that run in Node too, in branches that are not taken in a page.
    external: ['fs', 'path', 'crypto', 'node:*'],
    plugins: [leaveWhole],
  })
  await build({
    ...common,
    entryPoints: ['node.ts'],
    outdir: fileURLToPath(new URL('dist/node', import.meta.url)),
    platform: 'node',
    target: 'node20',
    packages: 'external',
  })
  await cp(new URL('page.html', import.meta.url), new URL('dist/web/page.html', import.meta.url))
}
