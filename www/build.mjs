// Bundles the pages' scripts into www/dist. The package stays outside: a page finds it through its import map.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const www = fileURLToPath(new URL('.', import.meta.url))

await build({
  absWorkingDir: www,
  entryPoints: ['playground.ts', 'quickstart.ts', 'benchmarks.ts'],
  outdir: 'dist',
  bundle: true,
  external: ['revkv', 'revkv/*'],
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
})
