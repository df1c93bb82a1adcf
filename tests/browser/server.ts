// Serves the playground, the package and the tests' pages as a static host would: / is www, /revkv/ is pkg/dist.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'
import sirv from 'sirv'

const root = new URL('../../', import.meta.url)

/** What a served page cannot do without, and the command that makes it. */
const built = { 'pkg/dist/index.js': 'npm run build -w pkg', 'www/dist/playground.js': 'node www/build.mjs' }

const portsTriedMax = 20

export interface StaticServer {
  readonly url: string
  close(): Promise<void>
}

/** A folder that is served below a prefix. */
export interface Mount {
  readonly prefix: string
  readonly handle: ReturnType<typeof sirv>
}

/** Listens on 127.0.0.1 at `port` or the next free one; 0 = any. `more` is served too. */
export async function serve(port = 0, more: Mount[] = []): Promise<StaticServer> {
  for (const [file, command] of Object.entries(built)) {
    if (!existsSync(new URL(file, root))) throw new Error(`${file} is missing: run "${command}" first`)
  }
  const server = createServer(files(more))
  await listen(server, port, port + portsTriedMax)
  const { port: taken } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${taken}/`, close: () => close(server) }
}

function files(more: Mount[]): RequestListener {
  const folder = (path: string) => sirv(fileURLToPath(new URL(path, root)), { dev: true })
  const www = folder('www')
  const compiled = (path: string) => compiling(fileURLToPath(new URL(path, root)))
  const mounts = [
    ...more,
    { prefix: '/revkv/', handle: folder('pkg/dist') },
    { prefix: '/pages/', handle: folder('tests/browser/pages') },
    { prefix: '/kills/', handle: compiled('pkg/test/kills') },
  ]
  return (request, response) => {
    const url = request.url ?? '/'
    const mount = mounts.find(({ prefix }) => url.startsWith(prefix))
    if (mount) request.url = url.slice(mount.prefix.length - 1)
    const handle = mount?.handle ?? www
    handle(request, response, () => {
      response.statusCode = 404
      response.end()
    })
  }
}

/** Gives the TypeScript of a folder as the JavaScript that it is, compiled at each request. */
function compiling(folder: string): ReturnType<typeof sirv> {
  return async (request, response, next) => {
    const name = basename(request.url ?? '', '.js')
    try {
      const source = await readFile(join(folder, `${name}.ts`), 'utf8')
      const { code } = await transform(source, { loader: 'ts', target: 'es2022' })
      response.setHeader('content-type', 'text/javascript')
      response.end(code)
    } catch {
      next?.()
    }
  }
}

function listen(server: Server, port: number, portMax: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port === portMax) reject(error)
      else listen(server, port + 1, portMax).then(resolve, reject)
    }
    server.once('error', failed)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', failed)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()))
    server.closeAllConnections()
  })
}
