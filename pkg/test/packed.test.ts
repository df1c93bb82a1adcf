// What `npm pack` makes: which files, and whether package managers, bundlers and compilers understand them.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'revkv-packed-'))
let paths: string[]
let tarball: Uint8Array<ArrayBuffer>

beforeAll(() => {
  const command = ['pack', '--json', '--pack-destination', folder]
  const out = execFileSync('npm', command, { cwd: root, encoding: 'utf8' })
  const [{ filename, files }] = JSON.parse(out.slice(out.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ]
  paths = files.map(({ path }) => path)
  tarball = new Uint8Array(readFileSync(join(folder, filename)))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('is packed with its papers and without its sources', () => {
  // How many chunks there are, and their hashes, are the build's business.
  const named = paths.map((path) => path.replace(/-[0-9A-Z]{8}\.js$/, '-*.js'))
  expect([...new Set(named)].sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'THIRD-PARTY.md',
    'dist/chunk-*.js',
    'dist/codecs.d.ts',
    'dist/conformance/faulty-transport.d.ts',
    'dist/conformance/faulty.d.ts',
    'dist/conformance/index.d.ts',
    'dist/conformance/index.js',
    'dist/conformance/storage.d.ts',
    'dist/conformance/transport.d.ts',
    'dist/entry/browser.d.ts',
    'dist/entry/salvage-browser.d.ts',
    'dist/entry/slim.d.ts',
    'dist/entry/testing-browser.d.ts',
    'dist/errors.d.ts',
    'dist/etcd/index.d.ts',
    'dist/etcd/index.js',
    'dist/etcd/types.d.ts',
    'dist/index.d.ts',
    'dist/index.edge.js',
    'dist/index.js',
    'dist/index.node.js',
    'dist/index.workerd.js',
    'dist/inline.js',
    'dist/inlined-*.js',
    'dist/log/torn-tail.d.ts',
    'dist/metrics.d.ts',
    'dist/metrics.js',
    'dist/react.d.ts',
    'dist/react.js',
    'dist/revkv.wasm',
    'dist/salvage.edge.js',
    'dist/salvage.js',
    'dist/salvage.node.js',
    'dist/salvage.workerd.js',
    'dist/slim.js',
    'dist/storage/durable-object.d.ts',
    'dist/storage/durable-object.js',
    'dist/storage/file.d.ts',
    'dist/storage/file.js',
    'dist/storage/indexeddb.d.ts',
    'dist/storage/indexeddb.js',
    'dist/storage/level.d.ts',
    'dist/storage/level.js',
    'dist/storage/memory.d.ts',
    'dist/storage/memory.js',
    'dist/storage/opfs.d.ts',
    'dist/storage/opfs.js',
    'dist/surface.d.ts',
    'dist/tabs/broadcast.d.ts',
    'dist/tabs/index.d.ts',
    'dist/tabs/index.js',
    'dist/tabs/page.d.ts',
    'dist/tabs/port.d.ts',
    'dist/testing.edge.js',
    'dist/testing.js',
    'dist/testing.node.js',
    'dist/testing.workerd.js',
    'dist/testing/types.d.ts',
    'dist/tuple.d.ts',
    'dist/tuple.js',
    'dist/types.d.ts',
    'package.json',
  ])
})

test('depends on nothing', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>
  const kinds = Object.keys(manifest).filter((field) => /dependencies$/i.test(field))
  expect(kinds).toEqual(['peerDependencies', 'devDependencies'])
  const peers = Object.keys(manifest.peerDependencies as object)
  const optional = manifest.peerDependenciesMeta as Record<string, { optional?: boolean }>
  expect(peers).toEqual(['react'])
  expect(peers.every((peer) => optional[peer]?.optional)).toBe(true)
})

test('publint has nothing to say', async () => {
  const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer }, strict: true })
  expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([])
})

test('its types are those of its modules, however they are resolved', async () => {
  const checked = await checkPackage(createPackageFromTarballData(tarball), {
    excludeEntrypoints: ['./revkv.wasm', './package.json'],
  })
  if (!checked.types) throw new Error('there are no types')
  // There are modules only: `require` of Node 20.19 takes them, and what resolves as Node 10 did finds no subpath.
  const problems = checked.problems.filter((problem) => {
    const how = 'resolutionKind' in problem ? problem.resolutionKind : 'any'
    return problem.kind !== 'CJSResolvesToESM' && how !== 'node10'
  })
  expect(problems).toEqual([])
  expect(Object.keys(checked.entrypoints)).toHaveLength(17)
})
