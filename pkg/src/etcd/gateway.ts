// What an etcd member's JSON gateway is asked, and what of its answers is believed: nothing that is not what etcd says.

import { RevkvError } from '../errors.js'
import type { ErrorCode } from '../types.js'

/** No line of a watch is longer: etcd's own limit is 1.5 MiB a request, and a response has at most 1,000 revisions. */
const lineCharsMax = 64 << 20
/** A member that says nothing for so long is not there. */
const answerMsMax = 10_000

/** A JSON object, as it came. */
export type Json = { readonly [name: string]: unknown }

export interface GatewayOptions {
  endpoints: readonly string[]
  headers: Readonly<Record<string, string>>
  fetch: typeof fetch
}

/** One member at a time; the next one when that fails. */
export class Gateway {
  readonly #options: GatewayOptions
  #endpoint = 0

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  /** The next endpoint is asked from now on. */
  turn(): void {
    this.#endpoint = (this.#endpoint + 1) % this.#options.endpoints.length
  }

  get endpoint(): string {
    return this.#options.endpoints[this.#endpoint] as string
  }

  /** Asks for one answer. */
  async call(path: string, body: object, signal: AbortSignal): Promise<Json> {
    const late = AbortSignal.timeout(answerMsMax)
    const response = await this.#post(path, body, AbortSignal.any([signal, late]))
    const answer = parse(await text(response))
    const refusal = refusalOf(answer, response.status)
    if (refusal) throw refusal
    return answer
  }

  /** The objects that a watch's response has, one a line, for as long as it goes on. */
  async *stream(path: string, body: object, signal: AbortSignal): AsyncGenerator<Json, void> {
    const response = await this.#post(path, body, signal)
    if (!response.ok || !response.body) {
      const refusal = refusalOf(parse(await text(response)), response.status)
      throw refusal ?? unreachable(`it answered a watch with ${response.status}`)
    }
    for await (const line of lines(response.body)) {
      const answer = parse(line)
      const refusal = refusalOf(answer, response.status)
      if (refusal) throw refusal
      yield object(answer.result, 'result')
    }
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<Response> {
    const { headers, fetch } = this.#options
    const request = { method: 'POST', headers, body: JSON.stringify(body), signal }
    try {
      return await fetch(`${this.endpoint}${path}`, request)
    } catch (e) {
      if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason
      throw unreachable('it gives no answer', e)
    }
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

async function text(response: Response): Promise<string> {
  try {
    return await response.text()
  } catch (e) {
    throw unreachable('its answer was cut short', e)
  }
}

/** Lines as they are completed; what is left at the end is no line. */
async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((e: unknown) => {
        throw unreachable('its watch was cut short', e)
      })
      if (done) return
      rest += decoder.decode(value, { stream: true })
      if (!rest.includes('\n')) {
        if (rest.length > lineCharsMax) throw malformed('a line without end')
        continue
      }
      const complete = rest.split('\n')
      rest = complete.pop() as string
      for (const line of complete) if (line !== '') yield line
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

function parse(text: string): Json {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch (e) {
    throw malformed(`no JSON (${text.slice(0, 40)})`, e)
  }
  return object(answer, 'an answer')
}

/** gRPC's codes, and what they mean here. */
const meanings: Record<number, ErrorCode> = {
  3: 'INVALID_ARGUMENT',
  5: 'LEASE_NOT_FOUND',
  7: 'INVALID_ARGUMENT',
  8: 'QUOTA_EXCEEDED',
  9: 'CONFLICT',
  11: 'COMPACTED',
  12: 'UNSUPPORTED_FORMAT',
  16: 'INVALID_ARGUMENT',
}

/** What a member refuses. */
function refusalOf(answer: Json, status: number): RevkvError | undefined {
  const error = typeof answer.error === 'object' && answer.error !== null ? (answer.error as Json) : answer
  const code = error.code ?? error.grpc_code
  const said = error.message ?? error.error
  if (code === undefined && said === undefined) {
    return status === 200 ? undefined : unreachable(`it answered with ${status}`)
  }
  const meaning = textOf(said).includes('future revision') ? 'FUTURE_REVISION' : meanings[Number(code)]
  if (!meaning) return unreachable(textOf(said))
  return new RevkvError(meaning, `etcd: ${textOf(said)}`, { retryable: meaning === 'CONFLICT' })
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : 'it does not say why'
}

export function unreachable(what: string, cause?: unknown): RevkvError {
  return new RevkvError('STORAGE_LOST', `The cluster cannot be reached: ${what}.`, { cause, retryable: true })
}

export function malformed(what: string, cause?: unknown): RevkvError {
  return new RevkvError('CORRUPT', `The gateway answers what etcd does not: ${what}.`, { cause, retryable: true })
}

// Fields. What is absent is 0, empty or false.

export function object(value: unknown, name: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw malformed(`${name} is no object`)
}

export function list(value: unknown, name: string): Json[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw malformed(`${name} is no list`)
  return value.map((item) => object(item, name))
}

/** An int64 that is written as text, where it can be a number. */
export function natural(value: unknown, name: string): number {
  if (value === undefined) return 0
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number
  throw malformed(`${name} is ${String(value).slice(0, 40)}`)
}

export function int64(value: unknown, name: string): bigint {
  if (value === undefined) return 0n
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt.asIntN(64, BigInt(value))
  if (Number.isSafeInteger(value)) return BigInt(value as number)
  throw malformed(`${name} is ${String(value).slice(0, 40)}`)
}
