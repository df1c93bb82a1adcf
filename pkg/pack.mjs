// What npm packs lies in this folder. `prepack` brings the project's own papers here, `postpack` takes them away again.

import { copyFileSync, existsSync, rmSync } from 'node:fs'

const here = (file) => new URL(file, import.meta.url)
const papers = ['README.md', 'LICENSE', 'CHANGELOG.md']

if (process.argv.includes('--undo')) {
  for (const paper of papers) rmSync(here(paper), { force: true })
} else {
  if (!existsSync(here('dist/index.js'))) throw new Error('dist is missing: run "cargo xtask build" first')
  for (const paper of papers) copyFileSync(here(`../${paper}`), here(paper))
}
