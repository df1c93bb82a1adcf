// Chosen requests: what clients do, what etcd refuses, and what is no request at all.
import type { Json, Judge } from './judge.js'

export const base64 = (text: string): string => Buffer.from(text).toString('base64')

const [A, B, C, ZERO] = [base64('a'), base64('b'), base64('c'), base64('\0')]
const put = (key: string, value = 'v', rest: Json = {}): Json => ({ key: base64(key), value: base64(value), ...rest })

/** A store with a past: a at 2, 3 and 5, b at 4 and gone at 6, c with a lease at 7. Needs an empty one. */
export async function writes(judge: Judge): Promise<void> {
  await judge.ask('/v3/kv/range', { key: ZERO, range_end: ZERO })
  await judge.ask('/v3/kv/put', put('a', '1'))
  await judge.ask('/v3/kv/put', put('a', '2', { prev_kv: true }))
  await judge.ask('/v3/kv/put', put('b', '1'))
  await judge.ask('/v3/kv/put', put('a', '3', { prevKv: true }))
  await judge.ask('/v3/kv/deleterange', { key: B, prev_kv: true })
  await judge.ask('/v3/kv/deleterange', { key: B })
  await judge.ask('/v3/lease/grant', { TTL: 100, ID: 77 })
  await judge.ask('/v3/kv/put', put('c', '1', { lease: '77' }))
}

export async function reads(judge: Judge): Promise<void> {
  const all = { key: ZERO, range_end: ZERO }
  for (const rest of [
    { key: A },
    { key: B },
    { ...all, revision: 4 },
    { ...all, revision: '4', limit: '1' },
    { ...all, revision: -3 },
    { ...all, limit: 2 },
    { ...all, limit: -1 },
    { ...all, limit: '9223372036854775807' },
    { ...all, keys_only: true },
    { ...all, keysOnly: true, sort_target: 'VALUE', sort_order: 'DESCEND' },
    { ...all, count_only: true, limit: 1 },
    { ...all, serializable: true },
    { ...all, sort_order: 'DESCEND' },
    { ...all, sort_order: 2, sort_target: 3 },
    { ...all, sort_target: 'CREATE', sort_order: 'ASCEND', limit: 1 },
    { ...all, sort_target: 'VALUE', sort_order: 'ASCEND', limit: 1, keys_only: true },
    { ...all, sort_target: 'VERSION', sort_order: 'ASCEND' },
    { ...all, min_mod_revision: 5, max_mod_revision: 5 },
    { ...all, minCreateRevision: 3 },
    { ...all, max_create_revision: 2 },
    { ...all, max_mod_revision: -1 },
    { ...all, min_mod_revision: -1 },
    { key: C, range_end: A },
    { key: A, range_end: C },
    { key: B, range_end: ZERO },
    { key: A, revision: 99 },
    { key: A, revision: '9223372036854775807' },
    { range_end: A },
    {},
  ]) {
    await judge.ask('/v3/kv/range', rest)
  }
}

export async function transactions(judge: Judge): Promise<void> {
  const range = (rest: Json) => ({ request_range: rest })
  const puts = (key: string, rest: Json = {}) => ({ request_put: put(key, 'txn', rest) })
  const holds = { key: A, target: 'VERSION', version: 3 }
  for (const request of [
    {},
    { compare: [holds], success: [range({ key: A })], failure: [puts('no')] },
    { compare: [{ ...holds, result: 'GREATER' }], success: [puts('no')], failure: [{ requestRange: { key: A } }] },
    { compare: [{ ...holds, result: 3, version: '4' }], success: [{ requestPut: put('n', '1', { prevKv: true }) }] },
    { compare: [{ key: A, target: 'VALUE', value: base64('3') }] },
    { compare: [{ key: B, target: 'VALUE', value: A, result: 'NOT_EQUAL' }] },
    { compare: [{ key: A, target: 'CREATE', createRevision: 2 }] },
    { compare: [{ key: A, target: 'MOD', mod_revision: -1, result: 'GREATER' }] },
    { compare: [{ key: A, target: 'MOD', mod_revision: -1, result: 'LESS' }] },
    { compare: [{ key: A, target: 'MOD', mod_revision: '9223372036854775807', result: 'LESS' }] },
    { compare: [{ key: A, target: 'MOD', mod_revision: '9223372036854775807' }] },
    { compare: [{ key: C, target: 'LEASE', lease: 77 }] },
    { compare: [{ key: A, range_end: ZERO, target: 'CREATE', result: 'GREATER', create_revision: 1 }] },
    { compare: [{ key: A, target: 'CREATE', version: 9 }] },
    { compare: [{ target: 'CREATE' }] },
    {
      success: [puts('x'), { request_delete_range: { key: C, prev_kv: true } }, range({ key: ZERO, range_end: ZERO })],
    },
    { success: [{ request_delete_range: { key: base64('none') } }, puts('x'), range({ key: base64('x') })] },
    { success: [{ request_txn: { compare: [holds], success: [puts('y')], failure: [puts('z')] } }, puts('w')] },
    { success: [range({ key: A, count_only: true }), range({ key: A, keys_only: true })] },
    { success: [puts('x'), puts('x')] },
    { success: [puts('x'), range({ key: A, revision: 99 })] },
    { success: [puts('x', { lease: 999 })] },
    { success: [puts('x', { ignore_value: true })] },
    { success: [{}] },
    { success: [puts('')] },
    { success: Array.from({ length: 129 }, (_, i) => puts(`many${i}`)) },
    { failure: Array.from({ length: 128 }, (_, i) => puts(`many${i}`)) },
  ]) {
    await judge.ask('/v3/kv/txn', request)
  }
  await judge.ask('/v3/kv/range', { key: ZERO, range_end: ZERO })
}

export async function refusals(judge: Judge): Promise<void> {
  await judge.ask('/v3/kv/put', {})
  await judge.ask('/v3/kv/put', put('a', '1', { lease: 999 }))
  await judge.ask('/v3/kv/put', put('a', '1', { ignore_value: true }))
  await judge.ask('/v3/kv/put', put('a', '', { ignore_value: true, prev_kv: true }))
  await judge.ask('/v3/kv/put', put('none', '', { ignore_value: true }))
  await judge.ask('/v3/kv/put', put('a', '1', { ignoreLease: true, lease: 77 }))
  await judge.ask('/v3/kv/put', put('a', '1', { ignoreLease: true }))
  await judge.ask('/v3/kv/put', put('', '1'))
  await judge.ask('/v3/kv/deleterange', {})
  await judge.ask('/v3/kv/put', put('large', 'x'.repeat(1_600_000)))
  await judge.ask('/v3/kv/put', put('larger', 'x'.repeat(3_000_000)), 'status')
}

export async function leases(judge: Judge): Promise<void> {
  await judge.ask('/v3/lease/grant', { TTL: '50', ID: '9007199254740993' })
  await judge.ask('/v3/lease/grant', `{ "TTL": 60, "ID": 9007199254740995 }`)
  await judge.ask('/v3/lease/grant', { TTL: 1, ID: 78 })
  await judge.ask('/v3/lease/grant', { TTL: -5, ID: 79 })
  await judge.ask('/v3/lease/grant', { TTL: 100, ID: -5 })
  await judge.ask('/v3/lease/grant', { TTL: 50, ID: 77 })
  await judge.ask('/v3/lease/grant', { TTL: 9_000_000_001, ID: 80 })
  await judge.ask('/v3/kv/put', put('l/b', '1', { lease: -5 }))
  await judge.ask('/v3/kv/put', put('l/a', '1', { lease: '-5' }))
  await judge.ask('/v3/lease/timetolive', { ID: 6, keys: true })
  await judge.ask('/v3/lease/timetolive', { ID: 77 })
  await judge.ask('/v3/lease/keepalive', { ID: 77 })
  await judge.ask('/v3/lease/keepalive', { ID: 6 })
  await judge.ask('/v3/lease/keepalive', '{"ID":77} {"ID":6}\n{"ID":77}')
  await judge.ask('/v3/lease/keepalive', '')
  await judge.ask('/v3/lease/revoke', { ID: -5 })
  await judge.ask('/v3/lease/revoke', { ID: -5 })
  await judge.ask('/v3/kv/lease/revoke', { ID: 78 })
  await judge.ask('/v3/kv/lease/revoke', { ID: 79 })
  await judge.ask('/v3/kv/lease/leases', {})
  await judge.ask('/v3/lease/leases', {})
  await judge.ask('/v3/kv/lease/timetolive', { ID: 77, keys: true })
}

/** What watches are sent: from the past, from now on, filtered, several on one stream, and refused. */
export async function watches(judge: Judge): Promise<void> {
  const create = (rest: Json) => ({ create_request: rest })
  const all = { key: ZERO, range_end: ZERO }
  const open = [
    await judge.watch(create({ ...all, start_revision: 2, prev_kv: true })),
    await judge.watch(create({ ...all, startRevision: 3, filters: ['NOPUT'], prevKv: true })),
    await judge.watch(create({ ...all, start_revision: 3, filters: [1] })),
    await judge.watch(create({ ...all, start_revision: 3, filters: ['NOPUT', 'NODELETE'] })),
    await judge.watch(create({ key: A })),
    await judge.watch(create({})),
    await judge.watch(create({ range_end: ZERO, start_revision: 4, fragment: true })),
    await judge.watch(
      create({ key: A, range_end: C, start_revision: 2 }),
      create({ key: A, watch_id: 1 }),
      create(all),
    ),
    await judge.watch(create({ key: B, range_end: A })),
    await judge.watch(create({ key: A, watch_id: 7 }), create({ key: A, watch_id: 7 }), create({ key: A })),
    await judge.watch(create({ key: C }), { cancel_request: { watch_id: 0 } }, { cancel_request: { watch_id: 0 } }),
    await judge.watch(create({ key: C }), { cancel_request: { watch_id: 5 } }, { progress_request: {} }),
    await judge.watch(create({ key: A, start_revision: 1_000_000 })),
  ]
  await judge.ask('/v3/kv/put', put('a', '9'))
  await judge.ask('/v3/kv/put', put('b', '9'))
  await judge.ask('/v3/kv/deleterange', { key: A, range_end: ZERO })
  await judge.ask('/v3/kv/txn', { success: [{ request_put: put('a', 't') }, { request_put: put('c', 't') }] })
  await judge.compareWatches(open)
}

/** A watch that asks for it is told how far it has come, while nothing happens and after something has. */
export async function progress(judge: Judge): Promise<void> {
  const all = { key: ZERO, range_end: ZERO, progress_notify: true }
  await judge.progress({ create_request: all })
  await judge.progress({ create_request: { ...all, start_revision: 2, filters: ['NOPUT', 'NODELETE'], watch_id: 4 } })
}

/** After this, what was written before is gone. */
export async function compaction(judge: Judge, revision: number): Promise<void> {
  const live = await judge.watch({ create_request: { key: ZERO, range_end: ZERO } })
  for (const gone of [-1, revision, revision, revision - 1, 1_000_000]) {
    await judge.ask('/v3/kv/compaction', { revision: gone })
  }
  await judge.ask('/v3/kv/range', { key: A, revision: revision - 1 })
  await judge.ask('/v3/kv/range', { key: ZERO, range_end: ZERO, revision })
  await judge.ask('/v3/kv/txn', { success: [{ request_range: { key: A, revision: revision - 1 } }] })
  await judge.ask('/v3/kv/put', put('a', 'behind'))
  const open = [live]
  for (const start of [1, revision - 1, revision, revision + 1]) {
    const request = { key: ZERO, range_end: ZERO, start_revision: start, prev_kv: true }
    open.push(await judge.watch({ create_request: request }))
  }
  await judge.compareWatches(open)
}

/** Etcd's words for these are its JSON reader's; status and code are compared. */
export async function malformed(judge: Judge): Promise<void> {
  const bodies = [
    ...[
      '',
      '{',
      'x',
      '[]',
      '5',
      'null',
      '"a"',
      '{"key"}',
      '{"key":}',
      '{]',
      '}',
      '{"key":"YQ=="} x',
      '{"key":"YQ=="}}',
    ],
    ...['{"key":5}', '{"key":true}', '{"key":[]}', '{"key":{}}', '{"key":null}', '{"key":"YQ"}', '{"key":"_-8="}'],
    ...['{"key":"YQ==","limit":1.5}', '{"key":"YQ==","limit":true}', '{"key":"YQ==","limit":"x"}'],
    ...['{"key":"YQ==","limit":""}', '{"key":"YQ==","limit":"9223372036854775808"}', '{"key":"YQ==","limit":{}}'],
    ...['{"key":"YQ==","keys_only":"true"}', '{"key":"YQ==","keys_only":1}', '{"key":"YQ==","nope":{"a":[1]}}'],
    ...['{"key":"YQ==","sort_order":"UP"}', '{"key":"YQ==","sort_order":[]}', '{"key":"YQ==","sort_order":"DESCEND"}'],
  ]
  for (const body of bodies) await judge.ask('/v3/kv/range', body, 'status')
  for (const body of ['{"success":5}', '{"success":[5]}', '{"compare":{}}', '{"compare":[{"target":"X"}]}']) {
    await judge.ask('/v3/kv/txn', body, 'status')
  }
  for (const body of ['x', '[]', '{"ID":"x"}']) await judge.ask('/v3/lease/keepalive', body, 'status')
  for (const body of ['x', '[]', '{"create_request":5}', '{"create_request":{"key":5}}']) {
    await judge.ask('/v3/watch', body, 'status')
  }
}

export async function elsewhere(judge: Judge): Promise<void> {
  for (const path of ['/v3/nope', '/v3/kv/nope', '/nope', '/v3', '/v3/kv/lease/grant', '/version', '/health']) {
    await judge.ask(path, {})
  }
  for (const path of ['/v3/kv/range', '/v3/watch', '/v3/nope', '/', '/health']) await judge.ask(path, '', 'all', 'GET')
  await judge.ask('/version', '', 'status', 'GET')
  await judge.ask('/v3/kv/range', '', 'status', 'OPTIONS')
}
