// The etcd of `revkv/testing`, asked as clients ask: requests that are none, watches and leases as time goes by, servers.

import { request } from 'node:http'
import { expect, test } from 'vitest'
import { bytes, json } from '../../src/codecs.js'
import { createEtcd, type Etcd } from '../../src/testing/index.js'
import { codeOf, wasm } from '../open.js'
import { ask, base64, type Json, Lines, newEtcd, watch } from './gateway.js'

const [A, B, ZERO] = [base64('a'), base64('b'), base64('\0')]
const everything = { key: ZERO, range_end: ZERO }

const put = (etcd: Etcd, key: string, value: string, rest: Json = {}) =>
  ask(etcd, '/v3/kv/put', { key: base64(key), value: base64(value), ...rest })

const revisionOf = (answer: Json | undefined) => Number((answer?.header as Json | undefined)?.revision ?? 0)

/** Status, gRPC code and message of whatever is sent. */
async function refusal(etcd: Etcd, path: string, body: string): Promise<[number, unknown, unknown]> {
  const response = await etcd.fetch(`http://etcd${path}`, { method: 'POST', body })
  const { code, message, error } = (await response.json()) as Json
  expect(error).toBe(message)
  return [response.status, code, message]
}

const notFound = 'etcdserver: requested lease not found'
const deep = (levels: number) => `${'{"success":[{"request_txn":'.repeat(levels)}{}${'}]}'.repeat(levels)}`

test.each<[path: string, body: string, status: number, code: number, message: RegExp | string]>([
  ['/v3/kv/range', 'x', 400, 3, "invalid character 'x' looking for beginning of value"],
  ['/v3/kv/range', '{', 400, 3, 'unexpected EOF'],
  ['/v3/kv/range', '{"key":"YQ', 400, 3, 'unexpected EOF'],
  ['/v3/kv/range', '{"key"}', 400, 3, /JSON/],
  ['/v3/kv/range', '{]', 400, 3, /JSON/],
  ['/v3/kv/range', '}', 400, 3, /^invalid character/],
  ['/v3/kv/range', '[]', 400, 3, /array into .* map/],
  ['/v3/kv/range', '5', 400, 3, /number 5 into .* map/],
  ['/v3/kv/range', '"a"', 400, 3, /string into .* map/],
  ['/v3/kv/range', '', 400, 3, 'etcdserver: key is not provided'],
  ['/v3/kv/range', 'null', 400, 3, 'etcdserver: key is not provided'],
  ['/v3/kv/range', '{"__proto__":{"key":"YQ=="}}', 400, 3, 'etcdserver: key is not provided'],
  ['/v3/kv/range', '{"key":5}', 400, 3, /number 5 into .* \[\]uint8/],
  ['/v3/kv/range', '{"key":"YQ"}', 400, 3, 'illegal base64 data at input byte 2'],
  ['/v3/kv/range', '{"key":"Y Q="}', 400, 3, 'illegal base64 data at input byte 1'],
  ['/v3/kv/range', '{"key":"YQ==","limit":1.5}', 400, 3, /number 1.5 into .* int64/],
  ['/v3/kv/range', '{"key":"YQ==","limit":"1e3"}', 400, 3, /int64/],
  ['/v3/kv/range', '{"key":"YQ==","limit":"9223372036854775808"}', 400, 3, /int64/],
  ['/v3/kv/range', '{"key":"YQ==","limit":99999999999999999999999999}', 400, 3, /int64/],
  ['/v3/kv/range', '{"key":"YQ==","keys_only":"true"}', 400, 3, /string into .* bool/],
  ['/v3/kv/range', '{"key":"YQ==","sort_order":"UP"}', 400, 3, /unknown value .*UP.* for enum/],
  ['/v3/kv/range', '{"key":"YQ==","sort_order":9}', 400, 3, 'etcdserver: invalid sort option'],
  ['/v3/kv/range', '{"key":"YQ==","revision":9}', 400, 11, 'etcdserver: mvcc: required revision is a future revision'],
  ['/v3/kv/txn', '{"success":{}}', 400, 3, /object into .* \[\]/],
  ['/v3/kv/txn', '{"success":[5]}', 400, 3, /number 5/],
  ['/v3/kv/txn', '{"success":[{}]}', 400, 3, 'etcdserver: key not found'],
  ['/v3/kv/txn', '{"compare":[{"key":"YQ==","target":9}]}', 400, 3, /unknown compare/],
  ['/v3/kv/txn', deep(200), 400, 3, 'etcdserver: too many operations in txn request'],
  ['/v3/kv/txn', deep(100_000), 400, 3, /./],
  ['/v3/kv/txn', '['.repeat(100_000), 400, 3, 'unexpected EOF'],
  ['/v3/kv/put', '{"key":"YQ==","lease":7}', 404, 5, notFound],
  ['/v3/lease/revoke', '{"ID":7}', 404, 5, notFound],
  ['/v3/lease/grant', '{"TTL":"9000000001"}', 400, 11, 'etcdserver: too large lease TTL'],
  ['/v3/lease/keepalive', 'x', 500, 2, /^invalid character/],
  ['/v3/watch', '{"create_request":{"key":5}}', 500, 2, /number 5/],
  ['/v3/auth/enable', '{}', 501, 12, /revkv\/testing has no \/v3\/auth\/enable/],
  ['/v3/maintenance/snapshot', '{}', 501, 12, /has no/],
])('%s of %.40s is refused', async (path, body, status, code, message) => {
  const etcd = await newEtcd()
  const [...got] = await refusal(etcd, path, body)
  expect(got).toEqual([status, code, message instanceof RegExp ? expect.stringMatching(message) : message])
  expect(revisionOf(await ask(etcd, '/v3/kv/range', { key: A }))).toBe(1)
})

test('what is too large is refused, and nothing of it is kept', async () => {
  const etcd = await newEtcd()
  const sized = (size: number) => JSON.stringify({ key: A, value: base64('x'.repeat(size)) })
  expect(await refusal(etcd, '/v3/kv/put', sized(1_600_000))).toEqual([400, 3, 'etcdserver: request is too large'])
  expect(await refusal(etcd, '/v3/kv/put', sized(3_000_000))).toEqual([
    429,
    8,
    expect.stringMatching(/^grpc: received/),
  ])
  expect(await refusal(etcd, '/v3/kv/put', sized(20_000_000))).toEqual([429, 8, expect.stringMatching(/larger than/)])
  expect(etcd.store.count()).toBe(0)
})

test('paths and methods that are none are told in plain text, as etcd does', async () => {
  const etcd = await newEtcd()
  const asked = async (path: string, method: string) => {
    const response = await etcd.fetch(`http://etcd${path}`, { method })
    return [response.status, await response.text()]
  }
  expect(await asked('/v3/nope', 'POST')).toEqual([404, 'Not Found\n'])
  expect(await asked('/constructor', 'POST')).toEqual([404, '404 page not found\n'])
  expect(await asked('/v3/kv/range', 'GET')).toEqual([405, 'Method Not Allowed\n'])
  expect(await asked('/health', 'POST')).toEqual([405, 'Method Not Allowed\n'])
  expect(await asked('/health', 'GET')).toEqual([200, '{"health":"true","reason":""}'])
  expect(await asked('/v3/kv/range', 'OPTIONS')).toEqual([200, ''])
})

test('the store and the gateway are of one content', async () => {
  const etcd = await newEtcd()
  await etcd.store.put('a', 'one')
  const { kvs } = await ask(etcd, '/v3/kv/range', { key: A })
  expect(kvs).toEqual([{ key: A, value: base64('one'), create_revision: '2', mod_revision: '2', version: '1' }])
  await put(etcd, 'b', 'two')
  expect(etcd.store.get('b')).toBe('two')
  const typed = await createEtcd({ wasm, values: json })
  await typed.store.put('a', { on: true })
  const found = (await ask(typed, '/v3/kv/range', { key: A })) as { kvs: { value: string }[] }
  expect(found.kvs.map(({ value }) => atob(value))).toEqual(['{"on":true}'])
  await typed.close()
})

test('an int64 beyond what a number holds stays what it is', async () => {
  const etcd = await newEtcd()
  const id = '9007199254740993'
  const asked = await etcd.fetch('http://etcd/v3/lease/grant', { method: 'POST', body: `{"ID":${id},"TTL":9}` })
  expect(await asked.json()).toMatchObject({ ID: id })
  expect(await ask(etcd, '/v3/lease/leases')).toMatchObject({ leases: [{ ID: id }] })
})

test('a lease ends by itself, and its keys with it, in one revision', async () => {
  const etcd = await newEtcd()
  expect(await ask(etcd, '/v3/lease/grant', { ID: 7, TTL: 1 })).toMatchObject({ ID: '7', TTL: '2' })
  await put(etcd, 'b', '1', { lease: 7 })
  await put(etcd, 'a', '1', { lease: 7 })
  const lines = await watch(etcd, { create_request: everything })
  const left = await ask(etcd, '/v3/lease/timetolive', { ID: 7, keys: true })
  expect(left).toMatchObject({ TTL: '1', grantedTTL: '2', keys: [A, B] })
  const [, ended] = await lines.take(2)
  const gone = (key: string) => ({ type: 'DELETE', kv: { key, mod_revision: '4' } })
  expect(ended?.events).toEqual([gone(A), gone(B)])
  expect(await ask(etcd, '/v3/lease/timetolive', { ID: 7 })).toMatchObject({ TTL: '-1' })
})

test('a store without room says so as etcd does, and deletes', async () => {
  const etcd = await newEtcd({ maxBytes: 10_000 })
  await put(etcd, 'a', 'x'.repeat(5000))
  const [status, code, message] = await refusal(
    etcd,
    '/v3/kv/put',
    JSON.stringify({ key: B, value: base64('x'.repeat(9000)) }),
  )
  expect([status, code, message]).toEqual([429, 8, 'etcdserver: mvcc: database space exceeded'])
  expect(await ask(etcd, '/v3/kv/deleterange', { key: A })).toMatchObject({ deleted: '1' })
})

test('a watch takes requests while it goes on', async () => {
  const etcd = await newEtcd()
  const requests = new TransformStream<Uint8Array, Uint8Array>()
  const writer = requests.writable.getWriter()
  const say = (text: string) => writer.write(new TextEncoder().encode(text))
  void say('{"create_request":{"key":"Y')
  void say('Q=="}}')
  const init = { method: 'POST', body: requests.readable, duplex: 'half' }
  const lines = new Lines(await etcd.fetch('http://etcd/v3/watch', init as RequestInit))
  expect(await lines.next()).toMatchObject({ created: true })
  await put(etcd, 'a', '1')
  expect(await lines.next()).toMatchObject({ events: [{ kv: { key: A } }] })
  await say('{"create_request":{"key":"Yg=="}}{"cancel_request":{"watch_id":0}}{"progress_request":{}}')
  expect(await lines.take(3)).toMatchObject([
    { watch_id: '1', created: true },
    { canceled: true },
    { watch_id: '-1', header: { revision: '2' } },
  ])
  await put(etcd, 'a', '2')
  await put(etcd, 'b', '2')
  expect(await lines.next()).toMatchObject({ watch_id: '1', events: [{ kv: { key: B, mod_revision: '4' } }] })
  await lines.cancel()
})

test('a reader that stops reading is waited for, and misses nothing', async () => {
  const etcd = await newEtcd()
  const lines = await watch(etcd, { create_request: everything })
  await lines.next()
  for (let i = 0; i < 500; i++) await put(etcd, 'a', String(i))
  const seen = await lines.take(500)
  expect(seen.map(revisionOf)).toEqual(Array.from({ length: 500 }, (_, i) => i + 2))
})

test('a reader that history has gone on without is told where to begin', async () => {
  const etcd = await newEtcd()
  const lines = await watch(etcd, { create_request: everything })
  for (let i = 0; i < 200; i++) await put(etcd, 'a', String(i))
  await ask(etcd, '/v3/kv/compaction', { revision: 201 })
  const seen: Json[] = []
  for (let line = await lines.next(); !line?.canceled; line = await lines.next()) seen.push(line as Json)
  expect(seen.length).toBeGreaterThan(1)
  expect(seen.length).toBeLessThan(200)
  const late = await watch(etcd, { create_request: { ...everything, start_revision: 200 } })
  const [created, canceled] = await late.take(2)
  expect([created?.created, canceled?.canceled, canceled?.compact_revision]).toEqual([true, true, '201'])
})

test('with `fragment` what is large comes in parts, and without it at once', async () => {
  const etcd = await newEtcd()
  const value = base64('x'.repeat(700_000))
  const both = { success: [A, B].map((key) => ({ request_put: { key, value } })) }
  await ask(etcd, '/v3/kv/txn', both)
  await ask(etcd, '/v3/kv/txn', both)
  const from = { ...everything, start_revision: 3, prev_kv: true }
  const parts = await (await watch(etcd, { create_request: { ...from, fragment: true } })).take(3)
  expect(parts.slice(1).map(({ fragment, events }) => [fragment, (events as Json[]).length])).toEqual([
    [true, 1],
    [undefined, 1],
  ])
  const [, whole = {}] = await (await watch(etcd, { create_request: from })).take(2)
  expect([whole.fragment, (whole.events as Json[]).length]).toEqual([undefined, 2])
})

test('progress is told from time to time to whoever asks for it, where nothing else was', async () => {
  const etcd = await newEtcd({ progressIntervalMs: 30 })
  const lines = await watch(etcd, { create_request: { key: A, progress_notify: true } })
  await put(etcd, 'b', 'elsewhere')
  const [, told] = await lines.take(2)
  expect([revisionOf(told), told?.events]).toEqual([2, undefined])
  const future = await watch(etcd, { create_request: { key: B, progress_notify: true, start_revision: 9 } })
  const silent = await watch(etcd, { create_request: { key: B } })
  await new Promise((resolve) => setTimeout(resolve, 100))
  for (const quiet of [future, silent]) {
    expect(await quiet.next()).toMatchObject({ created: true })
    const more = await Promise.race([quiet.next(), new Promise((resolve) => setTimeout(resolve, 60, 'nothing'))])
    expect(more).toBe('nothing')
  }
})

test('progress is not told to a watch that was told something else meanwhile', async () => {
  const etcd = await newEtcd({ progressIntervalMs: 100 })
  const lines = await watch(etcd, { create_request: { key: A, progress_notify: true } })
  await lines.next()
  const until = Date.now() + 350
  let puts = 0
  for (; Date.now() < until; puts++) {
    await put(etcd, 'a', 'again')
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await lines.next()).toMatchObject({ events: [{}] })
  }
  expect(puts).toBeGreaterThan(3)
  expect((await lines.next())?.events).toBeUndefined()
})

test('progress that is asked for comes when all watches are there, and else not at all', async () => {
  const etcd = await newEtcd()
  const ahead = { create_request: { key: B, start_revision: 3 } }
  const asked = { progress_request: {} }
  const lines = await watch(etcd, asked, ahead, asked, { create_request: { key: A } })
  expect(await lines.take(2)).toMatchObject([{ created: true }, { watch_id: '1', created: true }])
  await put(etcd, 'a', '1')
  expect(await lines.next()).toMatchObject({ watch_id: '1', header: { revision: '2' } })
})

test('a request that is aborted ends its watch', async () => {
  const etcd = await newEtcd()
  const abort = new AbortController()
  const body = JSON.stringify({ create_request: everything })
  const response = await etcd.fetch('http://etcd/v3/watch', { method: 'POST', body, signal: abort.signal })
  const lines = new Lines(response)
  await lines.next()
  expect(etcd.store.stats().watchers).toBe(1)
  abort.abort()
  await expect(lines.next()).rejects.toThrow(/abort/i)
  await new Promise((resolve) => setTimeout(resolve))
  expect(etcd.store.stats().watchers).toBe(0)
  await expect(etcd.fetch('http://etcd/health', { signal: abort.signal })).rejects.toThrow(/abort/i)
})

test('a client that hangs up ends its watch on a server', async () => {
  const etcd = await newEtcd()
  const { url } = await etcd.listen()
  const asked = request(`${url}/v3/watch`, { method: 'POST' })
  asked.write(JSON.stringify({ create_request: everything }))
  const line = await new Promise<string>((resolve) =>
    asked.on('response', (response) => response.on('error', () => {}).on('data', (data) => resolve(String(data)))),
  )
  expect(line).toMatch(/^\{"result":\{.*"created":true/)
  expect(etcd.store.stats().watchers).toBe(1)
  asked.on('error', () => {}).destroy()
  await expect.poll(() => etcd.store.stats().watchers).toBe(0)
})

test('closing ends watches, servers and the store', async () => {
  const etcd = await createEtcd({ wasm })
  const { url } = await etcd.listen()
  const inside = await watch(etcd, { create_request: everything })
  const outside = await watch({ fetch: (_, init) => fetch(`${url}/v3/watch`, init) }, { create_request: everything })
  await Promise.all([inside.next(), outside.next()])
  await etcd.close()
  expect(await inside.next()).toBeUndefined()
  expect(await outside.next()).toBeUndefined()
  await expect(fetch(`${url}/health`)).rejects.toThrow()
  expect(await refusal(etcd, '/v3/kv/range', `{"key":"${A}"}`)).toEqual([503, 14, 'etcdserver: server stopped'])
  await etcd.close()
})

test('a server closes by itself, and a port that is taken is told', async () => {
  const etcd = await newEtcd()
  const first = await etcd.listen()
  await expect(etcd.listen({ port: Number(new URL(first.url).port) })).rejects.toThrow(/EADDRINUSE/)
  await first.close()
  await first.close()
  expect((await etcd.fetch('http://etcd/health')).status).toBe(200)
})

test('options are checked', async () => {
  expect(await codeOf(() => createEtcd({ wasm, progressIntervalMs: 0 }))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(() => createEtcd({ wasm, progres: 1 } as object))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(() => createEtcd({ wasm, values: bytes, maxBytes: -1 }))).toBe('INVALID_ARGUMENT')
})
