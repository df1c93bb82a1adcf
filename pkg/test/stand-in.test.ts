// The mirror on the stand-in for etcd: what needs a member that does as it is told, and no real cluster.

import { expect, onTestFinished, test, vi } from 'vitest'
import { mirror } from '../src/etcd/index.js'
import { utf8 } from '../src/index.js'
import { createEtcdWith } from '../src/testing/etcd.js'
import type { Etcd, EtcdOptions } from '../src/testing/types.js'
import { post } from './gateway.js'
import { openStore, wasm } from './open.js'

const url = 'http://etcd'

async function createEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const etcd = await createEtcdWith(async () => WebAssembly.compile(wasm), options)
  onTestFinished(() => etcd.close())
  return etcd
}

async function mirrored(etcd: Etcd, options: object = {}) {
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: [url], range: {}, fetch: etcd.fetch, ...options })
  onTestFinished(() => kept.close())
  await kept.inSync()
  return { store, kept }
}

const put = (etcd: Etcd, key: string, value: string) =>
  post(etcd, url, 'kv/put', { key: btoa(key), value: btoa(value) })

/** A cluster that was never compacted says so by -1, which was taken for an answer that no etcd gives. */
test('is compared by HashKV where both have the same history, and else key by key', async () => {
  const etcd = await createEtcd()
  const asked: string[] = []
  let lie = (text: string) => text
  const listening: typeof fetch = async (input, init) => {
    const path = new URL(String(input)).pathname
    asked.push(path)
    const response = await etcd.fetch(input, init)
    return path === '/v3/watch' ? response : new Response(lie(await response.text()), response)
  }
  for (let i = 0; i < 20; i++) await put(etcd, `k${i % 7}`, `${i}`)
  const { store, kept } = await mirrored(etcd, { fetch: listening })
  const verified = async () => {
    asked.length = 0
    return { is: await kept.verify(), asked: asked.filter((path) => !path.endsWith('status')) }
  }
  const [byHash, byKeys] = [['/v3/maintenance/hashkv'], ['/v3/maintenance/hashkv', '/v3/kv/range']]
  expect(await verified()).toEqual({ is: true, asked: byKeys })
  await post(etcd, url, 'kv/compaction', { revision: store.compactRevision })
  expect(await verified()).toEqual({ is: true, asked: byHash })
  await put(etcd, 'new', '1')
  await post(etcd, url, 'kv/deleterange', { key: btoa('k0') })
  await vi.waitFor(() => expect(store.get('k0')).toBeUndefined())
  expect(await verified()).toEqual({ is: true, asked: byHash })
  lie = (text) => text.replace(/"hash":\d+/, '"hash":1').replace(`"value":"${btoa('1')}"`, `"value":"${btoa('2')}"`)
  expect(await verified()).toEqual({ is: false, asked: byKeys })
})

test('a write goes through, and what it depends on is looked at by the cluster', async () => {
  const etcd = await createEtcd()
  const [one, two] = [await mirrored(etcd, { write: true }), await mirrored(etcd, { write: true })]
  await one.store.put('n', '0')
  const add = async ({ store }: typeof one) => {
    for (let i = 0; i < 50; i++) {
      await store.transact((tx) => tx.put('n', String(Number(tx.get('n')) + 1)), { retries: 1000 })
    }
  }
  await vi.waitFor(() => expect(two.store.get('n')).toBe('0'))
  await Promise.all([add(one), add(two)])
  await vi.waitFor(() => expect([one.store.get('n'), two.store.get('n')]).toEqual(['100', '100']))
  expect(one.store.revision).toBe(etcd.revision)
})
