// The stand-in for etcd and a real one, asked the same.

import { expect, onTestFinished, test } from 'vitest'
import { createEtcdWith } from '../../src/testing/etcd.js'
import { answersOf, post } from '../gateway.js'
import { wasm } from '../open.js'
import { Cluster, hasEtcd } from './cluster.js'

if (!hasEtcd()) throw new Error('There is no etcd here: set ETCD, or install etcd-server.')

test('both answer the same, to the letter, but for what names the cluster', { timeout: 30_000 }, async () => {
  const etcd = await createEtcdWith(async () => WebAssembly.compile(wasm), {})
  onTestFinished(() => etcd.close())
  const cluster = await Cluster.start()
  const url = cluster.endpoints[0] as string
  const [expected, got] = [await answersOf({ url, fetch }), await answersOf({ url: 'http://etcd', fetch: etcd.fetch })]
  // etcd 3.4 says 412 where 3.5 says 400: of what is refused by the state it finds.
  const answers = expected.answers.map((answer) => ({ ...answer, status: answer.status === 412 ? 400 : answer.status }))
  expect(got.answers).toEqual(answers)
  expect(got.told).toEqual(expected.told)
  const fieldsOf = async (of: { fetch: typeof fetch }, url: string, path: string) =>
    Object.keys((await post(of, url, path, {})).body)
  for (const path of ['maintenance/status', 'cluster/member/list']) {
    expect(await fieldsOf(etcd, 'http://etcd', path)).toEqual(await fieldsOf({ fetch }, url, path))
  }
})
