// A real etcd of one member on this machine, with nothing in it, for as long as it is compared with.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../matrix/process.js'

const STARTING_MS_MAX = 20_000

export interface RealEtcd {
  readonly url: string
  readonly version: string
  stop(): Promise<void>
}

export async function startEtcd(program: string): Promise<RealEtcd> {
  const folder = await mkdtemp(join(tmpdir(), 'revkv-etcd-'))
  const [client, peer] = [await freeUrl(), await freeUrl()]
  const running = start({
    cwd: folder,
    program,
    arguments: [
      ...['--data-dir', join(folder, 'data'), '--log-level', 'error', '--unsafe-no-fsync'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
      // So that a watch which asks for it is told how far it has come while the test looks on.
      ...['--experimental-watch-progress-notify-interval', '200ms'],
    ],
  })
  const stop = async () => {
    await running.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const version = await healthy(client)
    return { url: client, version, stop }
  } catch (error) {
    const printed = running.printed()
    await stop()
    throw new Error(`${program} does not start: ${error instanceof Error ? error.message : error}\n${printed}`)
  }
}

async function healthy(url: string): Promise<string> {
  const end = Date.now() + STARTING_MS_MAX
  for (;;) {
    try {
      const { health } = (await (await fetch(`${url}/health`)).json()) as { health: string }
      if (health === 'true') {
        const version = (await (await fetch(`${url}/version`)).json()) as { etcdserver: string }
        return version.etcdserver
      }
    } catch {
      // It does not listen yet.
    }
    if (Date.now() > end) throw new Error(`not healthy after ${STARTING_MS_MAX / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A port that nobody listens on; somebody may until it is used, and then etcd says so. */
async function freeUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}
