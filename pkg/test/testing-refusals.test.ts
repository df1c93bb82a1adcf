// Requests that are none, or that etcd refuses: each has the status, gRPC's code and a message, and nothing is changed by it.

import { expect, onTestFinished, test } from 'vitest'
import { createEtcdWith } from '../src/testing/etcd.js'
import type { Etcd } from '../src/testing/types.js'
import { wasm } from './open.js'

async function newEtcd(): Promise<Etcd> {
  const etcd = await createEtcdWith(() => WebAssembly.compile(wasm))
  onTestFinished(() => etcd.close())
  return etcd
}

/** Status, gRPC code and message of whatever is sent. */
async function refusal(etcd: Etcd, path: string, body: string): Promise<[number, unknown, unknown]> {
  const response = await etcd.fetch(`http://etcd${path}`, { method: 'POST', body })
  const { code, message, error } = (await response.json()) as Record<string, unknown>
  expect(error).toBe(message)
  return [response.status, code, message]
}

const A = btoa('a')
const noKey = 'etcdserver: key is not provided'
const noLease = 'etcdserver: requested lease not found'
const compacted = 'etcdserver: mvcc: required revision has been compacted'
const future = 'etcdserver: mvcc: required revision is a future revision'
const tooMany = 'etcdserver: too many operations in txn request'
const nested = (levels: number) => `${'{"success":[{"request_txn":'.repeat(levels)}{}${'}]}'.repeat(levels)}`
const put = (size: number) => JSON.stringify({ key: A, value: btoa('x'.repeat(size)) })

test.each<[path: string, body: string, status: number, code: number, message: RegExp | string]>([
  ['/v3/kv/range', 'x', 400, 3, /JSON/],
  ['/v3/kv/range', '{', 400, 3, /JSON/],
  ['/v3/kv/range', '{"key":"YQ', 400, 3, /JSON/],
  ['/v3/kv/range', '{"key"}', 400, 3, /JSON/],
  ['/v3/kv/range', '{]', 400, 3, /JSON/],
  ['/v3/kv/range', '}', 400, 3, /JSON/],
  ['/v3/kv/range', '[]', 400, 3, /expected an object/],
  ['/v3/kv/range', '5', 400, 3, /expected an object/],
  ['/v3/kv/range', '"a"', 400, 3, /expected an object/],
  ['/v3/kv/range', 'null', 400, 3, /./],
  ['/v3/kv/range', '', 400, 3, noKey],
  ['/v3/kv/range', '{"key":null}', 400, 3, noKey],
  ['/v3/kv/range', '{"__proto__":{"key":"YQ=="}}', 400, 3, noKey],
  ['/v3/kv/range', '{"key":5}', 400, 3, /^key: /],
  ['/v3/kv/range', '{"key":"YQ"}', 400, 3, /^key: /],
  ['/v3/kv/range', '{"key":"_-8="}', 400, 3, /^key: /],
  ['/v3/kv/range', '{"key":"Y Q="}', 400, 3, /^key: /],
  ['/v3/kv/range', '{"key":"YQ==","limit":1.5}', 400, 3, /^limit: /],
  ['/v3/kv/range', '{"key":"YQ==","limit":1e300}', 400, 3, /^limit: /],
  ['/v3/kv/range', '{"key":"YQ==","limit":"1e3"}', 400, 3, /^limit: /],
  ['/v3/kv/range', '{"key":"YQ==","limit":"9223372036854775808"}', 400, 3, /^limit: /],
  ['/v3/kv/range', '{"key":"YQ==","limit":99999999999999999999999999}', 400, 3, /^limit: /],
  ['/v3/kv/range', '{"key":"YQ==","keys_only":"true"}', 400, 3, /^keys_only: /],
  ['/v3/kv/range', '{"key":"YQ==","sort_order":"UP"}', 400, 3, /unknown value .*UP.* for enum/],
  ['/v3/kv/range', '{"key":"YQ==","sort_order":9}', 400, 3, /unknown value/],
  ['/v3/kv/range', '{"key":"YQ==","revision":9}', 400, 11, future],
  ['/v3/kv/compaction', '{"revision":-1}', 400, 11, compacted],
  ['/v3/kv/compaction', '{"revision":"9223372036854775807"}', 400, 11, future],
  ['/v3/kv/txn', '{"success":{}}', 400, 3, /^success: /],
  ['/v3/kv/txn', '{"success":[5]}', 400, 3, /^success: /],
  ['/v3/kv/txn', '{"success":[{}]}', 400, 3, 'etcdserver: key not found'],
  ['/v3/kv/txn', '{"compare":[{"key":"YQ==","target":9}]}', 400, 3, /unknown value/],
  ['/v3/kv/txn', nested(200), 400, 3, tooMany],
  ['/v3/kv/txn', nested(50_000), 400, 3, /./],
  ['/v3/kv/txn', '['.repeat(100_000), 400, 3, /./],
  ['/v3/kv/put', '{"key":"YQ==","lease":7}', 404, 5, noLease],
  ['/v3/kv/put', put(1_600_000), 400, 3, 'etcdserver: request is too large'],
  ['/v3/kv/put', put(3_000_000), 429, 8, /^grpc: received message larger than max/],
  ['/v3/kv/put', put(20_000_000), 429, 8, /^grpc: received message larger than max/],
  ['/v3/lease/revoke', '{"ID":7}', 404, 5, noLease],
  ['/v3/lease/grant', '{"TTL":"9000000001"}', 400, 11, 'etcdserver: too large lease TTL'],
  ['/v3/lease/keepalive', 'x', 500, 2, /JSON/],
  ['/v3/lease/keepalive', '{"ID":"x"}', 500, 2, /^ID: /],
  ['/v3/watch', 'x', 500, 2, /JSON/],
  ['/v3/watch', '{"create_request":5}', 500, 2, /^create_request: /],
  ['/v3/watch', '{"create_request":{"key":5}}', 500, 2, /^key: /],
])('%s refuses request %#', async (path, body, status, code, message) => {
  const etcd = await newEtcd()
  const expected = message instanceof RegExp ? expect.stringMatching(message) : message
  expect(await refusal(etcd, path, body)).toEqual([status, code, expected])
  expect(etcd.revision).toBe(1)
  expect((await etcd.fetch('http://etcd/health')).status).toBe(200)
})

test('paths and methods that are none are told in plain text, as etcd does', async () => {
  const etcd = await newEtcd()
  const asked = async (path: string, method: string) => {
    const response = await etcd.fetch(`http://etcd${path}`, { method })
    return [response.status, await response.text()]
  }
  expect(await asked('/v3/nope', 'POST')).toEqual([404, 'Not Found\n'])
  expect(await asked('/v3/constructor', 'POST')).toEqual([404, 'Not Found\n'])
  expect(await asked('/nope', 'POST')).toEqual([404, '404 page not found\n'])
  expect(await asked('/v3/kv/range', 'GET')).toEqual([405, 'Method Not Allowed\n'])
  expect(await asked('/health', 'POST')).toEqual([405, 'Method Not Allowed\n'])
  expect(await asked('/v3/kv/range', 'OPTIONS')).toEqual([200, ''])
})

test('what cannot be read behind a request ends nothing', async () => {
  const etcd = await newEtcd()
  const watch = `{"create_request":{"key":"${A}"}} x`
  const response = await etcd.fetch('http://etcd/v3/watch', { method: 'POST', body: watch })
  const reader = response.body
    ?.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader()
  expect((await reader?.read())?.value).toMatch(/"created":true/)
  const body = `{"key":"${A}"} x`
  expect((await etcd.fetch('http://etcd/v3/kv/put', { method: 'POST', body })).status).toBe(200)
  expect((await reader?.read())?.value).toMatch(/"events":/)
  await reader?.cancel()
})
