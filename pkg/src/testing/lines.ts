// The body of a streaming answer: one JSON object a line. Whoever writes waits where the reader does not come after, so
// that nothing piles up: a watch behind a slow reader keeps its place in the history, and no queue.

const linesAhead = 16

export class Lines {
  readonly body: ReadableStream<Uint8Array>
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #encoder = new TextEncoder()
  /** Resolves when nothing is written any more, whoever ended it. */
  readonly ended: Promise<void>

  constructor(signal: AbortSignal | undefined) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, {
      highWaterMark: linesAhead,
    })
    this.body = readable
    this.#writer = writable.getWriter()
    const abort = () => void this.#writer.abort(signal?.reason).catch(() => {})
    signal?.addEventListener('abort', abort, { once: true })
    this.ended = this.#writer.closed.catch(() => {}).finally(() => signal?.removeEventListener('abort', abort))
    if (signal?.aborted) abort()
  }

  /** Rejects when the reader is gone. */
  async write(value: unknown): Promise<void> {
    await this.#writer.ready
    // When it is read is not waited for: room for the next one is.
    this.#writer.write(this.#encoder.encode(`${JSON.stringify(value)}\n`)).catch(() => {})
  }

  end(): void {
    this.#writer.close().catch(() => {})
  }
}
