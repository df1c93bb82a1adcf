// How the tests ask an etcd of `revkv/testing`: by its gateway, as a client would.

import { onTestFinished } from 'vitest'
import { createEtcd, type Etcd, type EtcdOptions } from '../../src/testing/index.js'
import { wasm } from '../open.js'

export type Json = Record<string, unknown>

export async function newEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const etcd = await createEtcd({ wasm, ...options })
  onTestFinished(() => etcd.close())
  return etcd
}

/** The answer to one request, a failure too. */
export async function ask(etcd: Pick<Etcd, 'fetch'>, path: string, body: Json = {}): Promise<Json> {
  const response = await etcd.fetch(`http://etcd${path}`, { method: 'POST', body: JSON.stringify(body) })
  return (await response.json()) as Json
}

/** The lines of a streaming answer, one after the other. */
export class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>
  #text = ''

  constructor(response: Response) {
    if (!response.body) throw new Error('the answer has no body')
    const decoder = new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>
    this.#reader = response.body.pipeThrough(decoder).getReader()
  }

  /** Undefined at the end. */
  async next(): Promise<Json | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n')
      if (end >= 0) {
        const line = this.#text.slice(0, end)
        this.#text = this.#text.slice(end + 1)
        return (JSON.parse(line) as { result: Json }).result
      }
      const { value, done } = await this.#reader.read()
      if (done) return undefined
      this.#text += value
    }
  }

  async take(count: number): Promise<Json[]> {
    const taken: Json[] = []
    while (taken.length < count) taken.push((await this.next()) ?? { ended: true })
    return taken
  }

  cancel(): Promise<void> {
    return this.#reader.cancel()
  }
}

/** A watch, or several: each of `requests` is one message of the stream. */
export async function watch(etcd: Pick<Etcd, 'fetch'>, ...requests: Json[]): Promise<Lines> {
  const body = requests.map((request) => JSON.stringify(request)).join('\n')
  const lines = new Lines(await etcd.fetch('http://etcd/v3/watch', { method: 'POST', body }))
  onTestFinished(() => lines.cancel())
  return lines
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
