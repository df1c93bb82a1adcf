// A real etcd on loopback: one member, or three. It is stopped, with what it stored, when the test is over.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The program, as the set-up found or installed it. */
export const program = process.env.ETCD ?? 'etcd'

export function hasEtcd(): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export class Cluster {
  readonly endpoints: string[]
  readonly #members: { start: () => ChildProcess; process: ChildProcess | undefined }[]
  readonly #folder: string

  private constructor(folder: string, endpoints: string[], members: (() => ChildProcess)[]) {
    this.#folder = folder
    this.endpoints = endpoints
    this.#members = members.map((start) => ({ start, process: start() }))
  }

  static async start(size = 1): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'revkv-etcd-'))
    const ports = await freePorts(2 * size)
    const names = Array.from({ length: size }, (_, i) => `m${i}`)
    const url = (place: number) => `http://127.0.0.1:${ports[place]}`
    const peers = names.map((name, i) => `${name}=${url(size + i)}`).join()
    const members = names.map((name, i) => () => {
      const given = {
        name,
        'data-dir': join(folder, name),
        'listen-client-urls': url(i),
        'advertise-client-urls': url(i),
        'listen-peer-urls': url(size + i),
        'initial-advertise-peer-urls': url(size + i),
        'initial-cluster': peers,
        'initial-cluster-token': folder,
        'heartbeat-interval': '100',
        'election-timeout': '1000',
        cors: '*',
        'log-level': 'error',
      }
      const flags = Object.entries(given).flatMap(([flag, value]) => [`--${flag}`, value])
      return spawn(program, flags, { stdio: 'ignore' })
    })
    const endpoints = names.map((_, i) => url(i))
    const cluster = new Cluster(folder, endpoints, members)
    onTestFinished(() => cluster.stop())
    await cluster.ready()
    return cluster
  }

  async ready(): Promise<void> {
    for (;;) {
      try {
        await this.call('/v3/kv/range', { key: 'AA==' })
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Of the first member that answers. */
  async call(path: string, body: object): Promise<Record<string, unknown>> {
    let failure: unknown
    for (const endpoint of this.endpoints) {
      try {
        const signal = AbortSignal.timeout(5000)
        const response = await fetch(endpoint + path, { method: 'POST', body: JSON.stringify(body), signal })
        const answer = (await response.json()) as Record<string, unknown>
        if (!response.ok) throw new Error(JSON.stringify(answer))
        return answer
      } catch (e) {
        failure = e
      }
    }
    throw failure
  }

  put(key: string, value: string): Promise<unknown> {
    return this.call('/v3/kv/put', { key: btoa(key), value: btoa(value) })
  }

  delete(key: string): Promise<unknown> {
    return this.call('/v3/kv/deleterange', { key: btoa(key) })
  }

  async revision(): Promise<number> {
    const { header } = (await this.call('/v3/kv/range', { key: 'AA==' })) as { header: { revision: string } }
    return Number(header.revision)
  }

  kill(member: number): void {
    const there = this.#members[member]
    there?.process?.kill('SIGKILL')
    if (there) there.process = undefined
  }

  restart(member: number): void {
    const there = this.#members[member]
    if (there) there.process = there.start()
  }

  stop(): void {
    for (const [i] of this.#members.entries()) this.kill(i)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
