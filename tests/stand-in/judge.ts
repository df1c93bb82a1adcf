// Asks two etcds the same, one after the other, and compares what they answer.

export type Json = Record<string, unknown>

export interface Difference {
  request: string
  real: string
  ours: string
}

/** What of an answer has to be the same. `status`: the HTTP status and gRPC's code, where the text is Go's own. */
export type Measure = 'all' | 'status'

export class Judge {
  readonly differences: Difference[] = []
  requests = 0
  readonly #urls: { real: string; ours: string }
  readonly #isOld: boolean

  /** `version`: the real one's. */
  constructor(urls: { real: string; ours: string }, version: string) {
    this.#urls = urls
    this.#isOld = /^3\.[0-4]\./.test(version)
  }

  /** Both answers are given, so that what comes next can go by them. */
  async ask(path: string, body: Json | string, measure: Measure = 'all', method = 'POST'): Promise<Json> {
    this.requests++
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await post(this.#urls.real, path, text, method)
    const real = this.#isOld ? asNewer(answer) : answer
    const ours = await post(this.#urls.ours, path, text, method)
    this.compare(`${method} ${path} ${text.slice(0, 1000)}`, measured(real, measure), measured(ours, measure))
    return real.json ?? {}
  }

  /** A watch in both, with the requests it begins with. */
  async watch(...requests: Json[]): Promise<Watching> {
    this.requests++
    const text = requests.map((request) => JSON.stringify(request)).join('\n')
    return new Watching(text, await Stream.open(this.#urls.real, text), await Stream.open(this.#urls.ours, text))
  }

  /** Compares the first that a watch is sent beside events. */
  async progress(request: Json): Promise<void> {
    const { requests, real, ours } = await this.watch(request)
    const said = [await real.progress(), await ours.progress()]
    this.compare(`progress of ${requests}`, said[0], said[1])
    await Promise.all([real.end(), ours.end()])
  }

  /** Compares what watches were sent, when nothing more comes. */
  async compareWatches(watches: readonly Watching[]): Promise<void> {
    await Promise.all(watches.flatMap(({ real, ours }) => [real.quiet(), ours.quiet()]))
    for (const { requests, real, ours } of watches) {
      this.compare(`watch ${requests}`, real.seen(), ours.seen())
      await Promise.all([real.end(), ours.end()])
    }
  }

  compare(request: string, real: unknown, ours: unknown): void {
    const [expected, got] = [canonical(real), canonical(ours)]
    if (expected !== got) this.differences.push({ request, real: expected, ours: got })
  }
}

interface Answer {
  status: number
  type: string
  text: string
  json?: Json
}

/** Longer than this for one answer, and it never comes. */
const ANSWER_MS_MAX = 10_000

async function post(url: string, path: string, body: string, method: string): Promise<Answer> {
  const signal = AbortSignal.timeout(ANSWER_MS_MAX)
  const response = await fetch(url + path, { method, signal, ...(method === 'POST' ? { body } : {}) })
  const text = await response.text()
  const type = response.headers.get('content-type') ?? ''
  return { status: response.status, type, text, ...parsed(text) }
}

function parsed(text: string): { json?: Json } {
  try {
    return { json: JSON.parse(text) as Json }
  } catch {
    return {}
  }
}

function measured({ status, type, text, json }: Answer, measure: Measure): unknown {
  if (measure === 'status') return { status, type, code: json?.code }
  return {
    status,
    type,
    answer: text
      .trim()
      .split('\n')
      .map(parsed)
      .map(({ json }, i) => json ?? text.split('\n')[i]),
  }
}

/** Up to 3.4 a precondition that fails had a status of its own, and health no reason. Nothing else is allowed for. */
function asNewer(answer: Answer): Answer {
  const isHealth = answer.text === '{"health":"true"}'
  const text = isHealth ? '{"health":"true","reason":""}' : answer.text
  return { ...answer, text, ...parsed(text), status: answer.status === 412 ? 400 : answer.status }
}

/** A watch may hear nothing for this long, and then hears nothing more. Catching up begins every 100 ms in etcd. */
const QUIET_MS = 400

export class Watching {
  constructor(
    readonly requests: string,
    readonly real: Stream,
    readonly ours: Stream,
  ) {}
}

class Stream {
  readonly #lines: Json[] = []
  readonly #abort: AbortController
  #heard = Date.now()
  #failure: unknown

  private constructor(abort: AbortController) {
    this.#abort = abort
  }

  /** When it is open it has been created: what comes next is behind it. */
  static async open(url: string, body: string): Promise<Stream> {
    const abort = new AbortController()
    const stream = new Stream(abort)
    const response = await fetch(`${url}/v3/watch`, { method: 'POST', body, signal: abort.signal })
    stream.#read(response).catch((error: unknown) => {
      if (!abort.signal.aborted) stream.#failure = error
    })
    const end = Date.now() + ANSWER_MS_MAX
    while (stream.#lines.length === 0 && !stream.#failure && Date.now() < end) await pause(2)
    return stream
  }

  async quiet(): Promise<void> {
    this.#heard = Math.max(this.#heard, Date.now() - QUIET_MS / 2)
    while (Date.now() - this.#heard < QUIET_MS) await pause(20)
    if (this.#failure) throw this.#failure
  }

  async progress(): Promise<Json | undefined> {
    const end = Date.now() + ANSWER_MS_MAX
    const said = () => this.#lines.find((line) => !line.created && !line.events)
    while (!said() && !this.#failure && Date.now() < end) await pause(10)
    return said()
  }

  /**
   * Everything in its order, but for how events were put together: etcd sends a watch that catches up more of them at once,
   * under the newest revision.
   */
  seen(): unknown {
    const events = new Map<string, unknown[]>()
    const others: unknown[] = []
    for (const { header, ...line } of this.#lines) {
      const id = String(line.watch_id ?? 0)
      if (!Array.isArray(line.events)) others.push({ ...line, revision: (header as Json).revision })
      else events.set(id, [...(events.get(id) ?? []), ...(line.events as unknown[])])
    }
    return { events: Object.fromEntries(events), others }
  }

  async end(): Promise<void> {
    this.#abort.abort()
  }

  async #read(response: Response): Promise<void> {
    if (!response.body) throw new Error('a watch without a body')
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true })
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) this.#lines.push(((JSON.parse(line) as Json).result ?? JSON.parse(line)) as Json)
      this.#heard = Date.now()
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Which etcd it is, and what it has chosen by itself. */
const OWN = ['cluster_id', 'member_id', 'raft_term']

/** JSON with the names of every object in order, so that equal texts are equal values. */
function canonical(value: unknown): string {
  const ordered = (_: string, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner)
            .filter(([name]) => !OWN.includes(name))
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : inner
  return JSON.stringify(value, ordered)
}
