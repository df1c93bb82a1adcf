// Timing: what is called, how often, and which of the times counts.
//
// - Resolution: the pages are cross-origin isolated, which gives clocks of 5 µs (Chromium) and better (Node); a batch of
//   calls lasts 2 ms at least, so that this is a fraction of a percent.
// - Warm-up: batches grow until they are long enough, and go on until `warmMs` have passed; none of them counts.
// - Garbage: it is collected before each work, so that nobody pays for another's. What a work itself leaves behind is
//   collected during its batches; the median batch has its share of the young generation's, and no full collection.

const batchMs = 2
const warmMs = 40
const budgetMs = 160
const batchesMin = 5
/** Of what takes longer than this, there is no warm-up and no more than this many. */
const longMs = 100
const longBatches = 3
const batchesMax = 61

export type Call = (index: number) => unknown

/** What is read goes here, so that no compiler finds it unused. */
let sink = 0

export function use(number: number): void {
  sink = (sink + number) | 0
}

export function used(): number {
  return sink
}

export async function collectGarbage(): Promise<void> {
  // What finishes in the background does so now.
  await new Promise((resolve) => setTimeout(resolve, 0))
  // There with --expose-gc.
  globalThis.gc?.()
}

/** Nanoseconds per call: the median of batches. Asynchronous calls are made one after the other. */
export async function perCall(call: Call): Promise<number> {
  await collectGarbage()
  const first = call(0)
  const batch = isThenable(first) ? awaitedBatch(call) : plainBatch(call)
  await first
  let calls = 1
  const warmEnd = performance.now() + warmMs
  for (;;) {
    const ms = await batch(calls)
    if (ms >= longMs || (ms >= batchMs && performance.now() >= warmEnd)) break
    if (ms < batchMs) calls *= 2
  }
  const times: number[] = []
  const end = performance.now() + budgetMs
  const least = () => ((times[0] ?? 0) * calls >= longMs ? longBatches : batchesMin)
  while (times.length < least() || (times.length < batchesMax && performance.now() < end)) {
    times.push((await batch(calls)) / calls)
  }
  return median(times) * 1e6
}

function plainBatch(call: Call): (calls: number) => number {
  let index = 1
  return (calls) => {
    const start = performance.now()
    for (let i = 0; i < calls; i++) call(index++)
    return performance.now() - start
  }
}

function awaitedBatch(call: Call): (calls: number) => Promise<number> {
  let index = 1
  return async (calls) => {
    const start = performance.now()
    for (let i = 0; i < calls; i++) await call(index++)
    return performance.now() - start
  }
}

/** Nanoseconds that something takes which is done once. */
export async function once(work: () => unknown): Promise<number> {
  await collectGarbage()
  const start = performance.now()
  const pending = work()
  if (isThenable(pending)) await pending
  return (performance.now() - start) * 1e6
}

export async function withDeadline<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(ms)), ms)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}

const late = 'took longer than '

class Late extends Error {
  constructor(ms: number) {
    super(`${late}${ms / 1000} s`)
  }
}

/** By its text, which is all that comes out of a page. */
export function isLate(message: string): boolean {
  return message.includes(late)
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined | null)?.then === 'function'
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}
