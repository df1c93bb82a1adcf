// How fast a time grows with a number of things.

export interface Measure {
  readonly count: number
  readonly ns: number
}

/**
 * The exponent e of ns = c * count^e that fits best: least squares of the logarithms. A time that does not grow has 0, one
 * that is proportional has 1. What grows with log n has about 0.1 between 1,000 and 1,000,000.
 */
export function exponentOf(measures: readonly Measure[]): number {
  const points = measures.map(({ count, ns }) => ({ x: Math.log(count), y: Math.log(ns) }))
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  return mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2)
}

/** As tables and charts show it: not as -0.00. */
export function exponentText(exponent: number): string {
  return exponent.toFixed(2).replace(/^-(?=0\.00$)/, '')
}

/** How many times as long it takes with ten times as many. */
export function perTenfold(exponent: number): number {
  return 10 ** exponent
}
