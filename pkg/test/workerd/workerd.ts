// A real workerd, with the worker bundled and the objects on disk.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const config = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "objects", writable = true)),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "revkv.wasm", wasm = embed "revkv.wasm"),
  ],
  compatibilityDate = "2025-10-01",
  durableObjectNamespaces = [
    (className = "OnSqlite", uniqueKey = "sqlite", enableSql = true),
    (className = "OnKeys", uniqueKey = "keys"),
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "sqlite", durableObjectNamespace = "OnSqlite"),
    (name = "keys", durableObjectNamespace = "OnKeys"),
  ],
);
`

export class Workerd {
  readonly #folder: string
  #process: ChildProcess | undefined
  #url = ''

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async start(): Promise<Workerd> {
    const workerd = new Workerd(await mkdtemp(join(tmpdir(), 'revkv-workerd-')))
    await workerd.#prepare()
    await workerd.run()
    return workerd
  }

  async #prepare(): Promise<void> {
    const within = (name: string) => join(this.#folder, name)
    await mkdir(within('objects'))
    await writeFile(within('config.capnp'), config)
    await copyFile(here('../../wasm/revkv_bg.wasm'), within('revkv.wasm'))
    const external = ['cloudflare:workers', './revkv.wasm']
    const format = 'esm'
    await build({ entryPoints: [here('worker.ts')], outfile: within('worker.js'), bundle: true, format, external })
  }

  async run(): Promise<void> {
    const { default: binary } = createRequire(import.meta.url)('workerd') as { default: string }
    const args = ['serve', '--control-fd=3', join(this.#folder, 'config.capnp')]
    const child = spawn(binary, args, { cwd: this.#folder, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    this.#process = child
    const [said] = await Promise.race([once(child.stdio[3] as Readable, 'data'), once(child, 'exit')])
    const port = /"port":(\d+)/.exec(String(said))?.[1]
    if (!port) throw new Error(`workerd did not listen: ${said}`)
    this.#url = `http://127.0.0.1:${port}`
  }

  async ask(kind: string, object: string, act: string, given = ''): Promise<unknown> {
    const response = await fetch(`${this.#url}/${kind}/${object}/${act}?with=${encodeURIComponent(given)}`)
    const { answer, error } = (await response.json()) as { answer: unknown; error?: string }
    if (error) throw new Error(error)
    return answer
  }

  async kill(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
