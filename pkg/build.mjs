// Builds dist/: the bundles, the .wasm beside them, and the type declarations; then says what each file weighs.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = dirname(fileURLToPath(import.meta.url))
const dist = join(root, 'dist')
const storages = ['memory', 'indexeddb', 'file', 'opfs', 'durable-object', 'level']
/** What package.json exports, by its name in dist, and where its source is. */
const entries = {
  index: 'index',
  'index.node': 'entry/node',
  'index.workerd': 'entry/workerd',
  'index.edge': 'entry/edge',
  inline: 'entry/inline',
  slim: 'entry/slim',
  'etcd/index': 'etcd/index',
  'tabs/index': 'tabs/index',
  tuple: 'tuple',
  metrics: 'metrics',
  salvage: 'entry/salvage-browser',
  'salvage.node': 'entry/salvage-node',
  'salvage.workerd': 'entry/salvage-workerd',
  'salvage.edge': 'entry/salvage-edge',
  testing: 'entry/testing-browser',
  'testing.node': 'entry/testing-node',
  'testing.workerd': 'entry/testing-workerd',
  'testing.edge': 'entry/testing-edge',
  ...Object.fromEntries(storages.map((storage) => [`storage/${storage}`, `storage/${storage}`])),
  'conformance/index': 'conformance/index',
}

/** The engine as a module is the platform's to resolve, beside the chunk that imports it. */
const leftAsItIs = {
  name: 'left as it is',
  setup: (build) => build.onResolve({ filter: /^\.\/revkv\.wasm/ }, ({ path }) => ({ path, external: true })),
}
/** Shares no code with the others, only types. Among them it would make the bundler put its own helpers into a chunk for all. */
const hooks = 'react'

await bundle()
declare()
printSizes()

async function bundle() {
  const wasm = join(root, 'wasm/revkv_bg.wasm')
  if (!existsSync(wasm)) throw new Error('pkg/wasm is missing: build the engine and run wasm-bindgen first')
  rmSync(dist, { recursive: true, force: true })
  mkdirSync(dist)
  const options = {
    absWorkingDir: root,
    outdir: dist,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  }
  await build({
    ...options,
    entryPoints: Object.entries(entries).map(([out, source]) => ({ in: `src/${source}.ts`, out })),
    splitting: true,
    // Chunks lie beside the .wasm, whichever of them comes to load it.
    chunkNames: '[name]-[hash]',
    loader: { '.wasm': 'base64' },
    plugins: [leftAsItIs],
  })
  // React is the one that the page has: hooks of two copies do not know each other.
  await build({ ...options, entryPoints: [`src/${hooks}.ts`], external: ['react'] })
  copyFileSync(wasm, join(dist, 'revkv.wasm'))
}

/** Emits declarations and keeps those that the entries lead to. */
function declare() {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], { stdio: 'inherit' })
  const reached = new Set()
  const follow = (file) => {
    if (reached.has(file)) return
    reached.add(file)
    for (const [, from] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)\.js'/g))
      follow(join(dirname(file), `${from}.d.ts`))
  }
  for (const types of declared()) follow(join(root, types))
  for (const file of files('.d.ts')) if (!reached.has(file)) rmSync(file)
}

/** The declarations that package.json names. */
function declared() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.values(exports).flatMap((target) => target.types ?? [])
}

function files(ending) {
  const found = readdirSync(dist, { recursive: true, withFileTypes: true })
  return found
    .filter((file) => file.isFile() && file.name.endsWith(ending))
    .map((file) => join(file.parentPath, file.name))
    .sort()
}

function printSizes() {
  const kB = (bytes) => (bytes / 1000).toFixed(1).padStart(8)
  console.log(`${'dist, in kB'.padEnd(28)}${'raw'.padStart(8)}${'gzip'.padStart(8)}${'brotli'.padStart(8)}`)
  for (const file of [...files('.js'), ...files('.wasm'), ...files('.d.ts')]) {
    const content = readFileSync(file)
    const sizes = [content.length, gzipSync(content, { level: 9 }).length, brotliCompressSync(content).length]
    console.log(relative(dist, file).padEnd(28) + sizes.map(kB).join(''))
  }
}
