// `stats()` as OpenMetrics text, read by a strict reader, which is itself tried on what may not be.

import { expect, test } from 'vitest'
import { type MetricsSource, openMetrics, openMetricsType } from '../src/metrics.js'
import type { StoreStats } from '../src/types.js'
import { codeOf, openStore } from './open.js'
import { type Family, readOpenMetrics } from './openmetrics.js'

const stats: StoreStats = {
  keys: 12,
  revisions: 40,
  bytes: 2048,
  wasmBytes: 1_179_648,
  storageBytes: 9.5e21,
  watchers: 3,
  leases: 0,
  followers: 2,
  lag: 5,
  dropped: 1,
  operations: {
    get: { count: 100, errors: 0, p50Us: 0.5, p99Us: 0.25 },
    put: { count: 7, errors: 2, p50Us: 120, p99Us: 1_500_000 },
    'a "new"\\one\n': { count: 0, errors: 0, p50Us: 0, p99Us: 0 },
  },
}

const named = (families: Family[], name: string) => families.find((family) => family.name === name) as Family

test('says what the numbers are, in base units', () => {
  const families = readOpenMetrics(openMetrics({ stats }))
  expect(families.map(({ name, type, unit }) => [name, type, unit])).toEqual([
    ['revkv_keys', 'gauge', undefined],
    ['revkv_revisions', 'gauge', undefined],
    ['revkv_data_bytes', 'gauge', 'bytes'],
    ['revkv_wasm_memory_bytes', 'gauge', 'bytes'],
    ['revkv_storage_bytes', 'gauge', 'bytes'],
    ['revkv_watchers', 'gauge', undefined],
    ['revkv_leases', 'gauge', undefined],
    ['revkv_followers', 'gauge', undefined],
    ['revkv_lag_revisions', 'gauge', 'revisions'],
    ['revkv_dropped_messages', 'gauge', 'messages'],
    ['revkv_operation_duration_seconds', 'summary', 'seconds'],
    ['revkv_operation_errors', 'counter', undefined],
  ])
  expect(families.every(({ help }) => help)).toBe(true)
  expect(families.slice(0, 10).map(({ samples }) => samples.map(({ value }) => value))).toEqual(
    [12, 40, 2048, 1_179_648, 9.5e21, 3, 0, 2, 5, 1].map((value) => [value]),
  )
  const duration = 'revkv_operation_duration_seconds'
  expect(named(families, duration).samples).toEqual([
    { name: duration, labels: { operation: 'get', quantile: '0.5' }, value: 5e-7 },
    { name: duration, labels: { operation: 'get', quantile: '0.99' }, value: 2.5e-7 },
    { name: `${duration}_count`, labels: { operation: 'get' }, value: 100 },
    { name: duration, labels: { operation: 'put', quantile: '0.5' }, value: 0.00012 },
    { name: duration, labels: { operation: 'put', quantile: '0.99' }, value: 1.5 },
    { name: `${duration}_count`, labels: { operation: 'put' }, value: 7 },
    { name: duration, labels: { operation: 'a "new"\\one\n', quantile: '0.5' }, value: NaN },
    { name: duration, labels: { operation: 'a "new"\\one\n', quantile: '0.99' }, value: NaN },
    { name: `${duration}_count`, labels: { operation: 'a "new"\\one\n' }, value: 0 },
  ])
  expect(named(families, 'revkv_operation_errors').samples.map(({ name, value }) => [name, value])).toEqual([
    ['revkv_operation_errors_total', 0],
    ['revkv_operation_errors_total', 2],
    ['revkv_operation_errors_total', 0],
  ])
})

test('several stores share the families, each with its labels', () => {
  const labels = { store: 'a\\b\n"c", é\u{1f600}}', region: '', Zone_1: 'x=y,z' }
  const families = readOpenMetrics(
    openMetrics([
      { stats, labels },
      { stats: { ...stats, keys: 1 }, labels: { store: 'b' } },
    ]),
  )
  expect(named(families, 'revkv_keys').samples).toEqual([
    // An empty label is the same as none.
    { name: 'revkv_keys', labels: { store: labels.store, Zone_1: 'x=y,z' }, value: 12 },
    { name: 'revkv_keys', labels: { store: 'b' }, value: 1 },
  ])
  expect(named(families, 'revkv_operation_errors').samples).toHaveLength(6)
  expect(readOpenMetrics(openMetrics([]))).toHaveLength(12)
})

test('a number may be any', () => {
  const odd = { ...stats, keys: NaN, bytes: Infinity, leases: -Infinity, storageBytes: -1 }
  const families = readOpenMetrics(openMetrics({ stats: odd }))
  expect([0, 2, 4, 6].map((i) => families[i]?.samples[0]?.value)).toEqual([NaN, Infinity, NaN, -Infinity])
})

test('what a store says of itself', async () => {
  const store = await openStore({ name: 'notes' })
  await store.put('a', 1)
  store.get('a')
  const families = readOpenMetrics(openMetrics({ stats: store.stats(), labels: { store: store.name } }))
  expect(named(families, 'revkv_keys').samples).toEqual([{ name: 'revkv_keys', labels: { store: 'notes' }, value: 1 }])
  const counts = named(families, 'revkv_operation_duration_seconds').samples.filter(({ name }) =>
    name.endsWith('_count'),
  )
  expect(counts).toContainEqual(expect.objectContaining({ labels: { store: 'notes', operation: 'put' }, value: 1 }))
})

test('the content type is the one that OpenMetrics has', () => {
  expect(openMetricsType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
})

test.for<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['stats by themselves', stats],
  ['null in a list', [null]],
  ['no stats', {}],
  ['null for stats', { stats: null }],
  ['stats without operations', { stats: { ...stats, operations: undefined } }],
  ['an option there is not', { stats, prefix: 'x' }],
  ['null for labels', { stats, labels: null }],
  ['a name with a dot', { stats, labels: { 'a.b': 'c' } }],
  ['a name with a line', { stats, labels: { 'a\n': 'c' } }],
  ['a name that is empty', { stats, labels: { '': 'c' } }],
  ['a name that is reserved', { stats, labels: { __name__: 'c' } }],
  ['a name that is ours', { stats, labels: { operation: 'c' } }],
  ['a number for a label', { stats, labels: { a: 1 } }],
  ['half a character', { stats, labels: { a: '\ud800' } }],
  [
    'the same labels',
    [
      { stats, labels: { a: 'x', b: 'y' } },
      { stats, labels: { b: 'y', a: 'x', c: '' } },
    ],
  ],
  ['no labels twice', [{ stats }, { stats, labels: {} }]],
])('%s is INVALID_ARGUMENT', async ([, wrong]) => {
  expect(await codeOf(() => openMetrics(wrong as MetricsSource))).toBe('INVALID_ARGUMENT')
})

test.for([
  '# TYPE a gauge\na 1\n',
  '# TYPE a gauge\na 1\n# EOF',
  'a 1\n# EOF\n',
  '# TYPE a gauge\n\na 1\n# EOF\n',
  '# TYPE a gauge\r\na 1\n# EOF\n',
  '# TYPE a gauge\na 1 \n# EOF\n',
  '# TYPE a gauge\na  1\n# EOF\n',
  '# TYPE a gauge\na 1\na 1\n# EOF\n',
  '# TYPE a gauge\na 1\n# TYPE a gauge\n# EOF\n',
  '# TYPE a gauge\n# TYPE b gauge\na 1\n# EOF\n',
  '# TYPE a gauge\na 1\n# HELP a late\n# EOF\n',
  '# TYPE a gauge\n# HELP a one\n# HELP a two\n# EOF\n',
  '# TYPE a_b gauge\n# HELP a_b first\n# UNIT a_b b\n# EOF\n',
  '# TYPE a gauge\n# UNIT a bytes\n# EOF\n',
  '# TYPE a gauge\n# HELP a an "unescaped" one\n# EOF\n',
  '# TYPE a gauge\n# a comment\n# EOF\n',
  '# TYPE a gauge\na{b="c} 1\n# EOF\n',
  '# TYPE a gauge\na{b="c\\d"} 1\n# EOF\n',
  '# TYPE a gauge\na{b="c",b="d"} 1\n# EOF\n',
  '# TYPE a gauge\na{_b="c"} 1\n# EOF\n',
  '# TYPE a gauge\na{b="c",} 1\n# EOF\n',
  '# TYPE a gauge\na 0x1\n# EOF\n',
  '# TYPE a gauge\na Infinite\n# EOF\n',
  '# TYPE a gauge\na{b="1"} 1\na{b="2"} 1\na{b="1"} 1\n# EOF\n',
  '# TYPE a counter\na 1\n# EOF\n',
  '# TYPE a counter\na_total -1\n# EOF\n',
  '# TYPE a counter\na_total NaN\n# EOF\n',
  '# TYPE a summary\na 1\n# EOF\n',
  '# TYPE a summary\na{quantile="2"} 1\n# EOF\n',
  '# TYPE a summary\na_count{quantile="1"} 1\n# EOF\n',
  '# TYPE a summary\na_count 1.5\n# EOF\n',
  '# TYPE a summary\na_count{b="1"} 1\na_count{b="2"} 1\na_sum{b="1"} 1\n# EOF\n',
])('the reader refuses %j', (text) => {
  expect(() => readOpenMetrics(text)).toThrow()
})
