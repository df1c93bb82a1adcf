// Turns in processes of Node.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { nodeScript } from './build.js'
import { diskUse, type Guest, type Host, writtenBy } from './host.js'
import type { Answer, Question } from './node.js'
import type { Description, Outcome } from './turn.js'

export class NodeHost implements Host {
  readonly environment = 'node'
  readonly version = process.versions.node
  /** Where the databases are. */
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** `parent` is on the disk that is measured. */
  static async start(parent: string): Promise<NodeHost> {
    await mkdir(parent, { recursive: true })
    return new NodeHost(await mkdtemp(`${parent}/bench-`))
  }

  async describe(): Promise<Description[]> {
    const child = new Child()
    const described = (await child.ask({ look: 'peers' })) as Description[]
    await child.end()
    return described
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
    await mkdir(this.folder)
  }

  async start(): Promise<Guest> {
    const child = new Child()
    return {
      takeTurn: (turn) => child.ask({ turn }) as Promise<Outcome>,
      step: async (step, turn) => ((await child.ask({ step, turn })) ?? 0) as number,
      memory: () => child.ask({ look: 'memory' }) as Promise<number>,
      written: () => writtenBy(child.pid),
      close: () => child.end(),
    }
  }

  stored(): Promise<number> {
    return diskUse(this.folder)
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

class Child {
  readonly #process: ChildProcess = fork(nodeScript, { execArgv: ['--expose-gc'], serialization: 'advanced' })

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async ask(question: Question): Promise<unknown> {
    const process = this.#process
    const answered = once(process, 'message') as Promise<[Answer]>
    const ended = once(process, 'exit').then(([code, signal]) => {
      throw new Error(`the process ended with ${code ?? signal}`)
    })
    process.send(question)
    const [answer] = (await Promise.race([answered, ended])) as [Answer]
    if ('error' in answer) throw new Error(answer.error)
    return answer.answer
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill()
    await ended
  }
}
