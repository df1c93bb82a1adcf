// What the platform itself takes for the parts that no store can leave out, so that a figure can be held against its limit.
import { rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import sirv from 'sirv'
import { launchChromium } from '../../../tests/browser/chromium.js'
import { serve } from '../../../tests/browser/server.js'
import { isolated } from '../isolated.js'
import { quantity } from '../report.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = fileURLToPath(new URL('../dist/floors/', import.meta.url))

await rm(dist, { recursive: true, force: true })
await build({ absWorkingDir: here, entryPoints: ['page.ts'], outdir: dist, bundle: true, format: 'esm', minify: true })
await writeFile(`${dist}page.html`, '<!doctype html><title>floors</title><script type="module" src="page.js"></script>')

const server = await serve(0, [{ prefix: '/floors/', handle: sirv(dist, isolated) }])
const chromium = await launchChromium(['--js-flags=--expose-gc'])
const page = await chromium.open(`${server.url}floors/page.html`, (error) => console.error(error))
await page.waitForFunction(() => 'floors' in globalThis)
const found = await page.evaluate(() => floors())
for (const [what, ns] of Object.entries(found)) console.log(`${what.padEnd(60)} ${quantity(ns, 'ns')}`)
await chromium.close()
await server.close()
