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

/** Starts a member of the nth cluster at these addresses. */
type Start = (life: number) => ChildProcess

export class Cluster {
  readonly endpoints: string[]
  readonly #members: { start: Start; process: ChildProcess | undefined }[]
  readonly #folder: string
  /** How many clusters have been here before. */
  #life = 0

  private constructor(folder: string, endpoints: string[], members: Start[]) {
    this.#folder = folder
    this.endpoints = endpoints
    this.#members = members.map((start) => ({ start, process: start(this.#life) }))
  }

  static async start(size = 1, server = program): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'revkv-etcd-'))
    const ports = await freePorts(2 * size)
    const names = Array.from({ length: size }, (_, i) => `m${i}`)
    const url = (place: number) => `http://127.0.0.1:${ports[place]}`
    const peers = names.map((name, i) => `${name}=${url(size + i)}`).join()
    const members = names.map((name, i) => (life: number) => {
      const given = {
        name,
        'data-dir': join(folder, String(life), name),
        'listen-client-urls': url(i),
        'advertise-client-urls': url(i),
        'listen-peer-urls': url(size + i),
        'initial-advertise-peer-urls': url(size + i),
        'initial-cluster': peers,
        'initial-cluster-token': `${folder} ${life}`,
        'heartbeat-interval': '100',
        'election-timeout': '1000',
        cors: '*',
        'log-level': 'error',
      }
      const flags = Object.entries(given).flatMap(([flag, value]) => [`--${flag}`, value])
      return spawn(server, flags, { stdio: 'ignore' })
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

  /** It neither answers nor hears anything until it is let go on. */
  freeze(member: number): void {
    this.#members[member]?.process?.kill('SIGSTOP')
  }

  thaw(member: number): void {
    this.#members[member]?.process?.kill('SIGCONT')
  }

  restart(member: number): void {
    const there = this.#members[member]
    if (there) there.process = there.start(this.#life)
  }

  /** The member that leads, as the others say. */
  async leader(): Promise<number> {
    const ids = new Map<string, number>()
    let leader = ''
    for (const [i, endpoint] of this.endpoints.entries()) {
      const response = await fetch(`${endpoint}/v3/maintenance/status`, { method: 'POST', body: '{}' })
      const status = (await response.json()) as { header: { member_id: string }; leader: string }
      ids.set(status.header.member_id, i)
      leader = status.leader
    }
    const found = ids.get(leader)
    if (found === undefined) throw new Error(`no member leads: ${leader}`)
    return found
  }

  /** All members are killed, and others, with nothing, take their addresses. */
  async replace(): Promise<void> {
    for (const i of this.#members.keys()) this.kill(i)
    this.#life++
    for (const i of this.#members.keys()) this.restart(i)
    await this.ready()
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
