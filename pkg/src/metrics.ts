// What `stats()` says, as OpenMetrics text, which Prometheus and its kin read.

import * as args from './arguments.js'
import { isWellFormed } from './codecs.js'
import { invalidArgument } from './errors.js'
import type { StoreStats } from './types.js'

/** What a server says the text is: the value of its `content-type`. */
export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** The numbers of one store, and what tells them from those of another. */
export interface MetricsSource {
  stats: StoreStats
  /** Added to every sample. Names are letters, digits and `_`, beginning with a letter; not `operation` or `quantile`. */
  labels?: Readonly<Record<string, string>>
}

/**
 * The metrics of one store or of several, as OpenMetrics 1.0 text. All are gauges but for `revkv_operation_duration_seconds`,
 * a summary by `operation` with the quantiles 0.5 and 0.99, and the counter `revkv_operation_errors`. Errors:
 * `INVALID_ARGUMENT` for a label that may not be, and for two sources whose labels are the same.
 *
 * @example
 * const text = openMetrics({ stats: store.stats(), labels: { store: store.name } })
 * new Response(text, { headers: { 'content-type': openMetricsType } })
 */
export function openMetrics(sources: MetricsSource | readonly MetricsSource[]): string {
  const given = (Array.isArray(sources) ? Array.from(sources) : [sources]).map(checked)
  if (new Set(given.map(({ identity }) => identity)).size < given.length) {
    throw invalidArgument('sources: two of them have the same labels.')
  }
  const gauges = gaugesOf.flatMap(({ name, help, unit, value }) => [
    ...family(name, 'gauge', help, unit),
    ...given.map(({ labels, stats }) => sample(name, labels, value(stats))),
  ])
  const duration = 'revkv_operation_duration_seconds'
  const errors = 'revkv_operation_errors'
  const operations = given.flatMap(({ labels, stats }) =>
    Object.entries(stats.operations).map(([operation, of]) => ({
      ...of,
      labels: [...labels, label('operation', operation)],
    })),
  )
  return [
    ...gauges,
    ...family(duration, 'summary', 'How long operations took.', 'seconds'),
    ...operations.flatMap(({ labels, count, p50Us, p99Us }) => [
      // Where nothing was observed, a quantile has to be NaN.
      sample(duration, [...labels, label('quantile', '0.5')], count > 0 ? p50Us / 1e6 : NaN),
      sample(duration, [...labels, label('quantile', '0.99')], count > 0 ? p99Us / 1e6 : NaN),
      sample(`${duration}_count`, labels, count),
    ]),
    ...family(errors, 'counter', 'Operations that failed.'),
    ...operations.map((of) => sample(`${errors}_total`, of.labels, of.errors)),
    '# EOF\n',
  ].join('\n')
}

/** A unit is the end of its metric's name. */
const gaugesOf: readonly { name: string; help: string; unit?: string; value: (stats: StoreStats) => number }[] = [
  { name: 'revkv_keys', help: 'Keys there are now.', value: (stats) => stats.keys },
  { name: 'revkv_revisions', help: 'Changes that are kept, which are the history.', value: (stats) => stats.revisions },
  {
    name: 'revkv_data_bytes',
    help: 'What keys and history are counted as.',
    unit: 'bytes',
    value: (stats) => stats.bytes,
  },
  { name: 'revkv_wasm_memory_bytes', help: 'Memory of the engine.', unit: 'bytes', value: (stats) => stats.wasmBytes },
  {
    name: 'revkv_storage_bytes',
    help: 'Taken of the storage.',
    unit: 'bytes',
    // Below 0 it is not known.
    value: ({ storageBytes }) => (storageBytes < 0 ? NaN : storageBytes),
  },
  {
    name: 'revkv_watchers',
    help: 'What is watched: by watches, listeners and live queries.',
    value: (stats) => stats.watchers,
  },
  { name: 'revkv_leases', help: 'Leases that have not ended.', value: (stats) => stats.leases },
  {
    name: 'revkv_followers',
    help: 'Other tabs that follow this one.',
    value: (stats) => stats.followers,
  },
  {
    name: 'revkv_lag_revisions',
    help: 'Revisions that the tab that leads has told of, and that are not here yet.',
    unit: 'revisions',
    value: (stats) => stats.lag,
  },
  {
    name: 'revkv_dropped_messages',
    help: 'Messages of other tabs that were none, or of no use.',
    unit: 'messages',
    value: (stats) => stats.dropped,
  },
]

function family(name: string, type: string, help: string, unit?: string): string[] {
  return [`# TYPE ${name} ${type}`, ...(unit ? [`# UNIT ${name} ${unit}`] : []), `# HELP ${name} ${help}`]
}

function sample(name: string, labels: readonly string[], value: number): string {
  return `${name}${labels.length > 0 ? `{${labels.join()}}` : ''} ${number(value)}`
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** A sample may hold any text, if these are escaped. */
function label(name: string, value: string): string {
  return `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`
}

function checked(source: unknown): { stats: StoreStats; labels: string[]; identity: string } {
  const given = args.record(source, ['stats', 'labels'], 'source')
  const { stats } = given as { stats?: StoreStats | null }
  if (
    typeof stats !== 'object' ||
    stats === null ||
    typeof stats.operations !== 'object' ||
    stats.operations === null
  ) {
    throw invalidArgument('stats: expected what a store gives as stats().')
  }
  const labels = given.labels === undefined ? [] : checkedLabels(given.labels)
  return { stats, labels, identity: [...labels].sort().join() }
}

function checkedLabels(labels: unknown): string[] {
  if (typeof labels !== 'object' || labels === null) throw invalidArgument('labels: expected a plain object.')
  return Object.entries(labels).flatMap(([name, value]: [string, unknown]) => {
    if (!/^[a-z][a-z0-9_]*$/i.test(name) || name === 'operation' || name === 'quantile') {
      throw invalidArgument(`labels: ${JSON.stringify(name)} may not be the name of one.`)
    }
    if (typeof value !== 'string' || !isWellFormed(value))
      throw invalidArgument(`labels.${name}: expected well-formed text.`)
    // An empty one is the same as none.
    return value === '' ? [] : label(name, value)
  })
}
