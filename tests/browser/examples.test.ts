// The examples of README.md and of the docs, as they are shown there: compiled, and run in a page with what is published.
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { expect, onTestFinished } from 'vitest'
import { test } from './browser.js'
import { checksOf, examplesOf, programOf } from './examples.js'

const root = new URL('../../', import.meta.url)
const ofReadme = await examplesOf('README.md')
const examples = [...ofReadme, ...(await examplesOf('docs/coming-from-etcd-and-dkv.md', true))]

/** What an example's marks become. Values are equal when they say the same in JSON, with bigints and undefined as text. */
const judge = `
  const said = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' || v === undefined ? String(v) : v))
  globalThis.example = {
    checked: 0,
    gives(given, value, line) {
      if (said(given) !== said(value)) throw new Error(line + ' gives ' + said(given))
      this.checked++
    },
    async throws(run, code, line) {
      const error = await run().then(() => ({ code: 'nothing' }), (e) => e)
      if (error?.code !== code) throw new Error(line + ' throws ' + (error?.code ?? error))
      this.checked++
    },
  }
`

/** Finds each subpath of the package where the server has it. */
async function importMap(): Promise<string> {
  const { exports } = JSON.parse(await readFile(new URL('pkg/package.json', root), 'utf8')) as {
    exports: Record<string, string | Record<string, string>>
  }
  const imports = Object.entries(exports).flatMap(([subpath, target]) => {
    const file = typeof target === 'string' ? target : target.default
    return file?.endsWith('.js') ? [[subpath.replace('.', 'revkv'), file.replace('./dist', '/revkv')]] : []
  })
  return JSON.stringify({ imports: Object.fromEntries(imports) })
}

test.for(examples.map((example) => [example.name, example] as const))('%s', async ([, example], { open, server }) => {
  const { code } = await transform(programOf(example), { loader: 'ts', format: 'esm', target: 'es2022' })
  const page = await open()
  await page.route(`${server.url}example*`, async (route) => {
    const script = route.request().url().endsWith('.js')
    const html = `<!doctype html><link rel="icon" href="data:,">
      <script type="importmap">${await importMap()}</script><script>${judge}</script>
      <script type="module">import('/example.js').then(() => (document.title = 'done'), (e) => (document.title = String(e)))</script>`
    await route.fulfill({ body: script ? code : html, contentType: script ? 'text/javascript' : 'text/html' })
  })
  await page.goto(`${server.url}example.html`)
  await expect.poll(() => page.title()).not.toBe('')
  expect(await page.title()).toBe('done')
  expect(await page.evaluate('example.checked')).toBe(checksOf(example))
})

test('they are well typed', async () => {
  // Where the package is found by its name.
  const folder = new URL('node_modules/.cache/revkv-examples/', root)
  await mkdir(folder, { recursive: true })
  onTestFinished(() => rm(folder, { recursive: true }))
  const files = await Promise.all(
    examples.map(async ({ source }, i) => {
      const file = fileURLToPath(new URL(`example-${i}.ts`, folder))
      await writeFile(file, `${source}\nexport {}\n`)
      return file
    }),
  )
  const tsc = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root))
  const flags =
    '--ignoreConfig --noEmit --strict --target es2022 --module esnext --moduleResolution bundler --skipLibCheck'
  const lib = ['--lib', 'es2022,dom,dom.iterable,dom.asynciterable,esnext.disposable', '--types', '']
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, ...flags.split(' '), ...lib, ...files]).catch(
    (e) => e,
  )
  expect(stdout).toBe('')
}, 60_000)

test('the README has five, and each says what comes of it', () => {
  expect(ofReadme).toHaveLength(5)
  for (const example of examples) expect([example.name, checksOf(example)]).not.toEqual([example.name, 0])
})
