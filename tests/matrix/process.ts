// Programs of the apps: run to their end, or started and stopped again; each in a process group of its own, so that what
// it starts ends with it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Command {
  readonly cwd: string
  readonly program: string
  readonly arguments: readonly string[]
  readonly environment?: Record<string, string>
}

/** What is under way. It is in groups of its own, so nobody else ends it when this process ends, or is told to. */
const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach(kill))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** Runs it to its end; gives what it printed, and fails with that where it fails or takes longer. */
export async function run(command: Command, timeoutMs: number): Promise<string> {
  const child = start(command)
  const timer = setTimeout(() => kill(child.process), timeoutMs)
  const [code, signal] = (await once(child.process, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  if (code === 0) return child.printed()
  const why = signal ? `was ended after ${timeoutMs / 1000} s` : `ended with ${code}`
  throw new Error(`${command.program} ${command.arguments.join(' ')} ${why}:\n${child.printed()}`)
}

export interface Running {
  readonly process: ChildProcess
  /** All that it has printed, errors too. */
  printed(): string
  /** Resolves when it has printed something that matches. */
  prints(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>
  /** Ends it and waits for its end. */
  stop(): Promise<void>
}

export function start(command: Command): Running {
  const child = spawn(command.program, command.arguments, {
    cwd: command.cwd,
    env: { ...process.env, NO_COLOR: '1', CI: '1', ...command.environment },
    // The fourth is for those that say there where they listen.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  running.add(child)
  child.once('close', () => running.delete(child))
  let text = ''
  const heard = new Set<() => void>()
  for (const stream of child.stdio.slice(1)) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk
      for (const hear of heard) hear()
    })
  }
  child.once('error', (error) => {
    text += error.message
  })
  const prints = (pattern: RegExp, timeoutMs: number) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const settle = (settled: () => void) => {
        clearTimeout(timer)
        heard.delete(hear)
        child.off('close', ended)
        settled()
      }
      const failed = (why: string) => () => reject(new Error(`${command.program} ${why}:\n${text}`))
      const hear = () => {
        const match = pattern.exec(text)
        if (match) settle(() => resolve(match))
      }
      const ended = () => settle(failed(`ended without printing ${pattern}`))
      const timer = setTimeout(() => settle(failed(`did not print ${pattern} in time`)), timeoutMs)
      heard.add(hear)
      child.once('close', ended)
      hear()
    })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    kill(child)
    await closed
  }
  return { process: child, printed: () => text, prints, stop }
}

function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}
