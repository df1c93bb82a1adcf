// The mirror on the stand-in for etcd: what needs a member that does as it is told, and no real cluster.

import { expect, onTestFinished, test, vi } from 'vitest'
import { mirror } from '../src/etcd/index.js'
import { open, utf8 } from '../src/index.js'
import { memory } from '../src/storage/memory.js'
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

/** The store was named by the cluster alone: it went on from its revision, with the keys of the first range and not of the second. */
test('a store that mirrors another range than before reads that one', async () => {
  const etcd = await createEtcd()
  for (const key of ['a/1', 'b/1']) await put(etcd, key, key)
  const storage = memory()
  const kept = async (prefix: string) => {
    const store = await open<string>({ wasm, values: utf8, storage })
    const kept = mirror(store, { endpoints: [url], range: { prefix }, fetch: etcd.fetch })
    const statuses: string[] = []
    kept.addEventListener('status', ({ detail }) => statuses.push(detail.status))
    await kept.inSync()
    const found = { keys: [...store.list()].map(({ key }) => key), statuses: [...statuses] }
    await kept.close()
    await store.close()
    return found
  }
  const [anew, on] = [['resyncing', 'in-sync'], ['in-sync']]
  expect(await kept('a/')).toEqual({ keys: ['a/1'], statuses: anew })
  expect(await kept('a/')).toEqual({ keys: ['a/1'], statuses: on })
  expect(await kept('b/')).toEqual({ keys: ['b/1'], statuses: anew })
  expect(await kept('b/')).toEqual({ keys: ['b/1'], statuses: on })
})

/** Each waited for the cluster's revision, of which a mirror of a range hears by the next progress: in ten minutes. */
test('what changes nothing in a range does not wait for what others write outside of it', async () => {
  const etcd = await createEtcd()
  const { store } = await mirrored(etcd, { range: { prefix: 'a/' }, write: true })
  await store.put('a/n', '1')
  const elsewhere = () => put(etcd, 'b', 'x')
  await elsewhere()
  expect(await store.delete('a/none')).toMatchObject({ deleted: 0, revision: store.revision })
  expect(await store.compareAndSet('a/n', '7', '8')).toMatchObject({ ok: false, revision: store.revision })
  expect(await store.txn({ then: [{ get: 'a/n' }] })).toMatchObject({ ok: true, revision: store.revision })
  // What it has not seen of the cluster yet is there when it has been refused for it.
  await Promise.all([put(etcd, 'a/n', '2'), elsewhere()])
  expect(await store.compareAndSet('a/n', '7', '8')).toMatchObject({ ok: false })
  expect(store.get('a/n')).toBe('2')
  await Promise.all([post(etcd, url, 'kv/deleterange', { key: btoa('a/n') }), elsewhere()])
  expect(await store.delete('a/n')).toMatchObject({ deleted: 0 })
  expect(store.get('a/n')).toBeUndefined()
  let runs = 0
  await store.transact(async (tx) => {
    const value = tx.get('a/m') ?? '0'
    if (runs++ === 0) await Promise.all([put(etcd, 'a/m', '5'), elsewhere()])
    tx.put('a/m', `${value}+1`)
  })
  expect([store.get('a/m'), runs]).toEqual(['5+1', 2])
  const lease = await store.grant(60)
  await post(etcd, url, 'kv/put', { key: btoa('b'), lease: String(lease.id) })
  await store.put('a/leased', '1', { lease })
  await elsewhere()
  await lease.revoke()
  expect(store.get('a/leased')).toBeUndefined()
})

/** After a failover to a member that was some writes behind, everything was read anew. */
test('a member that is behind is followed from where the store is', async () => {
  const etcd = await createEtcd()
  await put(etcd, 'a', '1')
  let isBehind = false
  const behind: typeof fetch = async (input, init) => {
    const response = await etcd.fetch(input, init)
    if (!isBehind || !String(input).endsWith('status')) return response
    return new Response((await response.text()).replace(/"revision":"\d+"/, '"revision":"1"'), response)
  }
  const { store, kept } = await mirrored(etcd, { fetch: behind })
  await kept.close()
  isBehind = true
  const again = mirror(store, { endpoints: [url], range: {}, fetch: behind })
  const statuses: string[] = []
  again.addEventListener('status', ({ detail }) => statuses.push(detail.status))
  await again.inSync()
  await put(etcd, 'a', '2')
  await vi.waitFor(() => expect(store.get('a')).toBe('2'))
  expect(statuses).toEqual(['in-sync'])
  await again.close()
})
