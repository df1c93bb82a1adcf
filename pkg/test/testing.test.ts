// The stand-in for etcd, asked as a client would: what the traces of a real one do not have.

import { expect, onTestFinished, test } from 'vitest'
import { createEtcdWith } from '../src/testing/etcd.js'
import type { Etcd, EtcdOptions } from '../src/testing/types.js'
import { Lines, post } from './gateway.js'
import { wasm } from './open.js'

async function createEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const etcd = await createEtcdWith(async () => WebAssembly.compile(wasm), options)
  onTestFinished(() => etcd.close())
  return etcd
}

const url = 'http://etcd'
const key = (text: string) => btoa(text)

test('reads both spellings of a name, numbers as text or as numbers, and numbers that a double does not keep', async () => {
  const etcd = await createEtcd()
  const id = '7587870000000000001'
  const granted = await etcd.fetch(`${url}/v3/lease/grant`, { method: 'POST', body: `{"TTL":60,"ID":${id}}` })
  expect(await granted.json()).toMatchObject({ ID: id, TTL: '60' })
  await post(etcd, url, 'kv/put', { key: key('a'), lease: id })
  const range = await post(etcd, url, 'kv/range', {
    key: key('a'),
    rangeEnd: key('b'),
    count_only: false,
    sortOrder: 2,
  })
  expect(range.body).toMatchObject({ kvs: [{ key: key('a'), lease: id, version: '1' }], count: '1' })
})

test('refuses as etcd does: its text, the number of gRPC, and the status', async () => {
  const etcd = await createEtcd()
  expect(await post(etcd, url, 'kv/range', {})).toEqual({
    status: 400,
    body: { error: 'etcdserver: key is not provided', code: 3, message: 'etcdserver: key is not provided' },
  })
})

test('a watch is told of what was, what comes, and its end', async () => {
  const etcd = await createEtcd()
  await post(etcd, url, 'kv/put', { key: key('a'), value: key('1') })
  const lines = await Lines.open(etcd, url, 'watch', { create_request: { key: key('a'), start_revision: 1 } })
  await post(etcd, url, 'kv/deleterange', { key: key('a') })
  expect(await lines.take(3)).toMatchObject([
    { result: { created: true } },
    { result: { header: { revision: '2' }, events: [{ kv: { mod_revision: '2' } }] } },
    { result: { header: { revision: '3' }, events: [{ type: 'DELETE', kv: { mod_revision: '3' } }] } },
  ])
  await etcd.close()
  expect(await lines.rest()).toEqual([])
})

test('a watch that a compaction has overtaken is cancelled with the revision to begin at', async () => {
  const etcd = await createEtcd()
  for (const value of ['1', '2', '3']) await post(etcd, url, 'kv/put', { key: key('a'), value: key(value) })
  await post(etcd, url, 'kv/compaction', { revision: 4 })
  const lines = await Lines.open(etcd, url, 'watch', { create_request: { key: key('a'), start_revision: 2 } })
  expect(await lines.take(2)).toMatchObject([
    { result: { created: true } },
    { result: { canceled: true, compact_revision: '4' } },
  ])
})

test('large responses come in fragments, and a quiet watch is told progress', async () => {
  const etcd = await createEtcd({ fragmentBytes: 500, progressIntervalMs: 20 })
  const put = (i: number) => ({ request_put: { key: key(`k${i}`), value: key('v'.repeat(100)) } })
  const request = { key: key('k'), range_end: key('l'), fragment: true, progress_notify: true }
  const lines = await Lines.open(etcd, url, 'watch', { create_request: request })
  await post(etcd, url, 'kv/txn', { success: [put(0), put(1), put(2), put(3)] })
  const results: { fragment?: boolean; events?: unknown[] }[] = []
  while (results.flatMap(({ events }) => events ?? []).length < 4) {
    const [line] = (await lines.take(1)) as { result: (typeof results)[number] }[]
    if (line) results.push(line.result)
  }
  const told = results.filter(({ events }) => events)
  expect(told.length).toBeGreaterThan(1)
  expect(told.map(({ fragment }) => fragment === true)).toEqual(told.map((_, i) => i < told.length - 1))
  await post(etcd, url, 'kv/put', { key: key('elsewhere') })
  for (;;) {
    const [line] = (await lines.take(1)) as { result: { events?: unknown[]; header: { revision: string } } }[]
    if (line?.result.header.revision === '3') return expect(line.result.events).toBeUndefined()
  }
})

test('leases end by themselves', async () => {
  const etcd = await createEtcd()
  await post(etcd, url, 'lease/grant', { TTL: 2, ID: 7 })
  await post(etcd, url, 'kv/put', { key: key('a'), lease: 7 })
  const lines = await Lines.open(etcd, url, 'watch', { create_request: { key: key('a'), start_revision: 3 } })
  expect(await lines.take(2)).toMatchObject([
    { result: { created: true } },
    { result: { events: [{ type: 'DELETE' }] } },
  ])
})

test('listens, and goes on listening', async () => {
  const etcd = await createEtcd({ token: 'let me in' })
  const server = await etcd.listen()
  const refused = await post({ fetch }, server.url, 'kv/put', { key: key('a') })
  expect(refused).toMatchObject({ status: 401, body: { code: 16 } })
  const headers = { authorization: 'let me in' }
  const watch = { create_request: { key: key('a') } }
  const lines = await Lines.open({ fetch }, server.url, 'watch', watch, headers)
  expect(await post({ fetch }, server.url, 'kv/put', { key: key('a') }, headers)).toMatchObject({ status: 200 })
  expect(await lines.take(2)).toMatchObject([{ result: { created: true } }, { result: { events: [{}] } }])
  await server.close()
  const again = await etcd.listen()
  expect(await post({ fetch }, again.url, 'kv/range', { key: key('a') }, headers)).toMatchObject({
    body: { count: '1' },
  })
})
