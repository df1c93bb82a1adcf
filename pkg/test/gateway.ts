// A client of etcd's gateway for the tests: it asks, and reads streams line by line.

export interface Fetcher {
  fetch: typeof globalThis.fetch
}
export interface Endpoint extends Fetcher {
  url: string
}
export type Json = Record<string, unknown>

export async function post({ fetch }: Fetcher, url: string, path: string, body: unknown, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(`${url}/v3/${path}`, { method: 'POST', body: text, headers })
  return { status: response.status, body: (await response.json()) as Json }
}

/** The lines of a stream. */
export class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>
  #text = ''

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  }

  static async open({ fetch }: Fetcher, url: string, path: string, body: unknown, headers = {}): Promise<Lines> {
    const text = Array.isArray(body) ? body.map((part) => JSON.stringify(part)).join('\n') : JSON.stringify(body)
    const response = await fetch(`${url}/v3/${path}`, { method: 'POST', body: text, headers })
    if (!response.body) throw new Error('a stream without a body')
    return new Lines(response.body)
  }

  async take(count: number): Promise<Json[]> {
    const taken: Json[] = []
    while (taken.length < count) {
      const end = this.#text.indexOf('\n')
      if (end >= 0) {
        taken.push(JSON.parse(this.#text.slice(0, end)))
        this.#text = this.#text.slice(end + 1)
        continue
      }
      const { done, value } = await this.#reader.read()
      if (done) throw new Error(`the stream ended after ${taken.length} lines`)
      this.#text += value
    }
    return taken
  }

  /** Tells of every line until the stream ends, or is closed. */
  async all(tell: (line: Json) => void): Promise<void> {
    for (;;) for (const line of await this.take(1)) tell(line)
  }

  /** Every line that has come or comes until `isLast`, that one included. */
  async until(isLast: (line: Json) => boolean): Promise<Json[]> {
    const taken: Json[] = []
    for (;;) {
      const [line] = (await this.take(1)) as [Json]
      taken.push(line)
      if (isLast(line)) return taken
    }
  }

  /** What comes until the end. */
  async rest(): Promise<Json[]> {
    let text = this.#text
    for (;;) {
      const { done, value } = await this.#reader.read()
      if (done) break
      text += value
    }
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  close(): Promise<void> {
    return this.#reader.cancel()
  }
}
