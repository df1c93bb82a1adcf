// The two ways of bundling the package that the README shows: what comes out runs.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build as buildByEsbuild } from 'esbuild'
import type { Page } from 'playwright-core'
import { build as buildByVite } from 'vite'
import { expect } from 'vitest'
import { test } from './browser.js'

const folder = fileURLToPath(new URL('bundled/', import.meta.url))

/** By the name under which the page finds it. */
type Files = Map<string, string | Uint8Array>

async function esbuild(): Promise<Files> {
  const { outputFiles } = await buildByEsbuild({
    absWorkingDir: folder,
    entryPoints: ['esbuild.ts'],
    outdir: 'out',
    write: false,
    bundle: true,
    format: 'esm',
    loader: { '.wasm': 'file' },
  })
  return new Map(outputFiles.map(({ path, contents }) => [path.replace(/^.*\//, ''), contents]))
}

async function vite(): Promise<Files> {
  const built = await buildByVite({
    root: folder,
    base: '/bundled/',
    configFile: false,
    logLevel: 'error',
    build: { write: false, rolldownOptions: { input: `${folder}vite.ts`, output: { entryFileNames: 'vite.js' } } },
  })
  if (!('output' in built)) throw new Error('one build gives one output')
  return new Map(built.output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]))
}

const types: Record<string, string> = { html: 'text/html', js: 'text/javascript', wasm: 'application/wasm' }

/** Serves the files under /bundled/, with a page that has nothing but the script. */
async function visit(page: Page, url: string, script: string, files: Files): Promise<void> {
  files.set(
    'index.html',
    `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`,
  )
  await page.route(`${url}bundled/**`, async (route) => {
    const name = route.request().url().slice(`${url}bundled/`.length)
    const body = files.get(name)
    if (body === undefined) return route.fulfill({ status: 404 })
    return route.fulfill({ body: Buffer.from(body), contentType: types[name.replace(/^.*\./, '')] ?? '' })
  })
  await page.goto(`${url}bundled/index.html`)
}

test.for([
  ['esbuild', esbuild],
  ['vite', vite],
] as const)('what %s bundles runs', async ([name, build], { open, server }) => {
  const files = await build()
  const engines = [...files.keys()].filter((file) => file.endsWith('.wasm'))
  expect(engines).toHaveLength(1)
  const page = await open()
  await visit(page, server.url, `${name}.js`, files)
  await expect.poll(() => page.title()).toBe('hello at revision 2')
})

test('the README shows how', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  for (const name of ['esbuild', 'vite']) {
    const lines = (await readFile(`${folder}${name}.ts`, 'utf8')).split('\n')
    for (const part of [/revkv\.wasm/, /= await open/]) {
      expect(readme).toContain(lines.find((line) => part.test(line)))
    }
  }
})
