// Writes the API reference into www/dist/reference, from the doc comments of what the package exports. With --check it writes
// nothing, and fails where something exported has no comment, or refers to what is not there.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Application, JSX } from 'typedoc'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const { name, exports } = JSON.parse(readFileSync(at('../pkg/package.json'), 'utf8'))

/** What is imported, by the source that it is built from: typedoc knows modules by their files. */
const imports = new Map()
for (const [subpath, { types }] of Object.entries(exports)) {
  const file = types?.replace('./dist/', '').replace('.d.ts', '')
  // One that declares the same as another is that other.
  if (file && !imports.has(file)) imports.set(file, subpath.replace('.', name))
}

/** Methods of others' objects, whose own documentation says what they do. */
const foreign = {
  'revkv/storage/durable-object.DurableObjectStorage': ['get', 'put', 'delete', 'list', 'sync'],
  'revkv/storage/level.LevelDatabase': ['open', 'get', 'batch', 'iterator'],
}

const app = await Application.bootstrap({
  name,
  entryPoints: [...imports.keys()].map((file) => at(`../pkg/src/${file}.ts`)),
  tsconfig: at('../pkg/tsconfig.json'),
  basePath: at('../pkg/src'),
  readme: 'none',
  out: at('dist/reference'),
  disableSources: true,
  hideGenerator: true,
  githubPages: false,
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ['Class', 'Enum', 'Function', 'Interface', 'Method', 'TypeAlias', 'Variable'],
  intentionallyNotDocumented: Object.entries(foreign).flatMap(([of, methods]) =>
    methods.map((name) => `${of}.${name}`),
  ),
  logLevel: 'Warn',
})
app.renderer.hooks.on('sidebar.begin', (context) =>
  JSX.createElement('p', null, JSX.createElement('a', { href: context.relativeURL('../../index.html') }, 'Playground')),
)
const project = await app.convert()
if (!project) process.exit(1)
for (const module of project.children ?? []) {
  // The entry of a folder is named for the folder.
  module.name = imports.get(module.name) ?? imports.get(`${module.name}/index`) ?? module.name
}
if (process.argv.includes('--check')) {
  app.validate(project)
  process.exit(app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0)
}
await app.generateOutputs(project)
if (app.logger.hasErrors()) process.exit(1)
