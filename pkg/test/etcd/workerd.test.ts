// A worker at the edge, in a real workerd, mirrors a real etcd and writes through to it.

import { expect, onTestFinished, test } from 'vitest'
import { Workerd } from '../workerd/workerd.js'
import { Cluster } from './cluster.js'

test('a Durable Object mirrors a cluster, writes through to it, and goes on from what it has', async () => {
  const cluster = await Cluster.start()
  const workerd = await Workerd.start()
  onTestFinished(() => workerd.stop())
  const mirrored = () => workerd.ask('sqlite', 'mirror', 'mirror', cluster.endpoints[0])
  expect(await mirrored()).toEqual([
    ['resyncing', 'in-sync', '1', 2, true],
    ['in-sync', '2', 3, true],
  ])
  await workerd.kill()
  await workerd.run()
  // It has all of it still, and finds that nothing else was written.
  expect(await mirrored()).toEqual([
    ['in-sync', '1', 4, true],
    ['in-sync', '2', 5, true],
  ])
  const { kvs } = (await cluster.call('/v3/kv/range', { key: btoa('a') })) as { kvs: object[] }
  expect(kvs).toMatchObject([{ value: btoa('2'), version: '4', mod_revision: '5' }])
})
