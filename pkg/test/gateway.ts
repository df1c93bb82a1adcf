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

/** Requests about which a real etcd and the stand-in are compared, refused ones included. */
const requests: [string, unknown][] = [
  ['kv/put', { key: 'YQ==', value: 'MQ==', prev_kv: true }],
  ['kv/put', { key: 'YQ==', value: 'Mg==', prev_kv: true }],
  ['kv/put', { key: 'YQ==', nope: 1 }],
  ['kv/put', { key: '' }],
  ['kv/put', ''],
  ['kv/put', { key: 'YQ==', lease: '5' }],
  ['kv/put', { key: 'YQ==', value: 'MQ==', ignore_value: true }],
  ['kv/put', { key: 'eg==', ignore_value: true }],
  ['kv/range', { key: 'YQ==' }],
  ['kv/range', { key: 'AA==', range_end: 'AA==', limit: '1' }],
  ['kv/range', { key: 'YQ==', revision: '100' }],
  ['kv/range', { key: 'YQ==', revision: '-5' }],
  ['kv/range', { key: 'Yg==', range_end: 'YQ==' }],
  ['kv/range', { key: 'YQ==', serializable: true }],
  [
    'kv/txn',
    {
      compare: [{ key: 'YQ==', target: 'VERSION', version: '3' }],
      success: [
        { request_delete_range: { key: 'eg==' } },
        { request_put: { key: 'Yg==', value: 'MQ==' } },
        { request_range: { key: 'YQ==' } },
        { request_txn: { success: [{ request_put: { key: 'Yw==' } }] } },
      ],
    },
  ],
  ['kv/txn', {}],
  ['kv/txn', { success: [{ request_put: { key: 'YQ==' } }, { request_put: { key: 'YQ==' } }] }],
  ['kv/txn', { compare: [{ key: 'YQ==', target: 'CREATE', result: 'GREATER', create_revision: '1' }] }],
  ['kv/deleterange', { key: 'YQ==', prev_kv: true }],
  ['kv/deleterange', { key: 'YQ==', prev_kv: true }],
  ['lease/grant', { TTL: '100', ID: '7' }],
  ['lease/grant', { TTL: '100', ID: '7' }],
  ['lease/grant', { TTL: '1', ID: '9' }],
  ['lease/grant', { TTL: '9000000001', ID: '8' }],
  ['kv/put', { key: 'bA==', lease: '7' }],
  ['lease/timetolive', { ID: '99', keys: true }],
  ['lease/leases', {}],
  ['lease/revoke', { ID: '99' }],
  ['lease/revoke', { ID: '7' }],
  ['kv/compaction', { revision: '3' }],
  ['kv/compaction', { revision: '3' }],
  ['kv/compaction', { revision: '300' }],
  ['kv/range', { key: 'YQ==', revision: '2' }],
  ['auth/authenticate', { name: 'a', password: 'b' }],
]

const watchRequests: unknown[][] = [
  [{ create_request: { key: 'YQ==', start_revision: '2' } }],
  [{ create_request: { key: 'YQ==', range_end: 'YQ==' } }],
  [{ create_request: { key: 'AA==', range_end: 'AA==', start_revision: '3', prev_kv: true } }],
  [{ create_request: { key: 'AA==', range_end: 'AA==', start_revision: '3', watch_id: '5', filters: ['NOPUT'] } }],
]

/** The answers to all of these, without what is one cluster's own. */
export async function answersOf(endpoint: Endpoint) {
  const answers: { path: string; asked: unknown; status: number; body: unknown }[] = []
  for (const [path, asked] of requests) {
    const { status, body } = await post(endpoint, endpoint.url, path, asked)
    answers.push({ path, asked, status, body: anonymous(body) })
  }
  const told: unknown[] = []
  for (const asked of watchRequests) {
    const lines = await Lines.open(endpoint, endpoint.url, 'watch', asked)
    const isLast = (line: Json) => {
      const { canceled, events } = line.result as Json
      return canceled === true || events !== undefined
    }
    told.push({ asked, lines: (await lines.until(isLast)).map(anonymous) })
    await lines.close()
  }
  return { answers, told }
}

function anonymous(value: unknown): unknown {
  const text = JSON.stringify(value)
  return JSON.parse(text.replace(/"(cluster_id|member_id|raft_term)":"\d+",?/g, '').replace(/,}/g, '}'))
}
