// A gateway that answers what etcd does not: it is named, nothing wrong is ever read, and with etcd back all is well.

import { expect, test, vi } from 'vitest'
import { mirror } from '../../src/etcd/index.js'
import { type RevkvError, utf8 } from '../../src/index.js'
import { codeOf, openStore } from '../open.js'
import { Cluster } from './cluster.js'

type Change = (text: string, path: string) => string | Response

/** As much of an answer as is changed here. */
interface Answer {
  header?: { revision: string; cluster_id: string }
  kvs: Record<string, unknown>[]
  result: { events?: { type?: string; kv: Record<string, unknown> }[] }
}

const json = (change: (answer: Answer) => void, of: string): Change => {
  return (text, path) => {
    if (!path.includes(of)) return text
    const answer = JSON.parse(text)
    change(answer)
    return JSON.stringify(answer)
  }
}

/** etcd's answers, each line changed on its way, as long as there is a change. */
function through(state: { change: Change | undefined }): typeof fetch {
  return async (input, init) => {
    const path = new URL(String(input)).pathname
    const response = await fetch(input, init)
    const { change } = state
    if (!change) return response
    if (path !== '/v3/watch') {
      const changed = change(await response.text(), path)
      return typeof changed === 'string' ? new Response(changed, { status: response.status }) : changed
    }
    const decoder = new TextDecoder()
    const lines = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        for (const line of decoder.decode(chunk).split('\n').filter(Boolean)) {
          controller.enqueue(new TextEncoder().encode(`${change(line, path)}\n`))
        }
      },
    })
    return new Response(response.body?.pipeThrough(lines), { status: response.status })
  }
}

const rows: [name: string, code: string, change: Change][] = [
  ['HTML', 'CORRUPT', () => '<html>Bad gateway</html>'],
  ['HTML with a status', 'CORRUPT', () => new Response('<html>Bad gateway</html>', { status: 502 })],
  ['nothing', 'CORRUPT', () => ''],
  ['half an answer', 'CORRUPT', (text) => text.slice(0, text.length / 2)],
  ['a list', 'CORRUPT', () => '[]'],
  ['no header', 'CORRUPT', json((answer) => delete answer.header, 'range')],
  [
    'a revision that is no number',
    'CORRUPT',
    json(({ header }) => Object.assign(header ?? {}, { revision: 'many' }), 'range'),
  ],
  [
    'a revision above 2^53',
    'CORRUPT',
    json(({ header }) => Object.assign(header ?? {}, { revision: '9007199254740993' }), 'range'),
  ],
  ['a negative version', 'CORRUPT', json(({ kvs }) => Object.assign(kvs[0] ?? {}, { version: '-1' }), 'range')],
  ['a key that is no base64', 'CORRUPT', json(({ kvs }) => Object.assign(kvs[0] ?? {}, { key: '%' }), 'range')],
  ['a key twice', 'INVALID_ARGUMENT', json(({ kvs }) => kvs.push(...kvs.slice(0, 1)), 'range')],
  [
    'a key of a later revision',
    'INVALID_ARGUMENT',
    json(({ kvs }) => Object.assign(kvs[0] ?? {}, { mod_revision: '999999' }), 'range'),
  ],
  ['keys that are no list', 'CORRUPT', json((answer) => Object.assign(answer, { kvs: { polluted: 1 } }), 'range')],
  [
    'a token that has expired',
    'INVALID_ARGUMENT',
    () => {
      return new Response(
        JSON.stringify({
          error: 'etcdserver: invalid auth token',
          code: 16,
          message: 'etcdserver: invalid auth token',
        }),
        { status: 401 },
      )
    },
  ],
  [
    'another cluster in the middle',
    'DIVERGED',
    json(({ header }) => Object.assign(header ?? {}, { cluster_id: '7' }), 'range'),
  ],
]

test.for(rows)('a gateway that answers with %s', async ([, code, change]) => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  await cluster.put('b', '1')
  const state: { change: Change | undefined } = { change }
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: through(state) })
  const error = await new Promise<RevkvError>((resolve) => {
    kept.addEventListener('error', ({ detail }) => resolve(detail.error), { once: true })
  })
  expect([error.code, store.revision, store.count({}), kept.status]).toEqual([code, 1, 0, 'waiting'])
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  state.change = undefined
  await kept.inSync()
  expect([store.get('a'), await kept.verify()]).toEqual(['1', true])
})

const events: [name: string, code: string, change: Change][] = [
  ['half a line', 'CORRUPT', (line) => (line.includes('events') ? line.slice(0, 50) : line)],
  [
    'a revision that goes back',
    'CORRUPT',
    json(({ result }) => Object.assign(result.events?.[0]?.kv ?? {}, { mod_revision: '2' }), 'watch'),
  ],
  [
    'a change that was left out',
    'DIVERGED',
    json(({ result }) => Object.assign(result.events?.[0]?.kv ?? {}, { version: '9' }), 'watch'),
  ],
  [
    'a deletion of what is not there',
    'REVISION_NOT_FOUND',
    json(({ result }) => {
      const mod_revision = result.events?.[0]?.kv.mod_revision
      if (mod_revision) result.events = [{ type: 'DELETE', kv: { key: btoa('zz'), mod_revision } }]
    }, 'watch'),
  ],
  [
    'an event of no kind',
    'CORRUPT',
    json(({ result }) => Object.assign(result.events?.[0] ?? {}, { type: 'MOVE' }), 'watch'),
  ],
  [
    'an error',
    'STORAGE_LOST',
    (line) => (line.includes('events') ? '{"error":{"grpc_code":14,"message":"gone"}}' : line),
  ],
]

test.for(events)('a watch that tells %s', async ([, code, change]) => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  const state: { change: Change | undefined } = { change }
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: through(state) })
  await kept.inSync()
  const told = new Promise<RevkvError>((resolve) => {
    kept.addEventListener('error', ({ detail }) => resolve(detail.error), { once: true })
  })
  await cluster.put('a', '2')
  expect([(await told).code, store.get('a')]).toEqual([code, '1'])
  state.change = undefined
  await vi.waitFor(() => expect(store.get('a')).toBe('2'), { timeout: 5000 })
  expect(await kept.verify()).toBe(true)
})

test('a line of 10 MB is read, and one without end is not', async () => {
  const cluster = await Cluster.start()
  await cluster.put('a', '1')
  const padded: Change = (line, path) =>
    path === '/v3/watch' ? `${line.slice(0, -1)},"pad":"${'x'.repeat(10 << 20)}"}` : line
  const store = await openStore<string>({ values: utf8 })
  const kept = mirror(store, { endpoints: cluster.endpoints, range: {}, fetch: through({ change: padded }) })
  await kept.inSync()
  await cluster.put('a', '2')
  await vi.waitFor(() => expect(store.get('a')).toBe('2'), { timeout: 8000 })
})

test('arguments of mirror', async () => {
  const store = await openStore()
  const endpoints = ['http://127.0.0.1:1']
  const bad: [unknown, unknown][] = [
    [{}, { endpoints, range: {} }],
    [null, { endpoints, range: {} }],
    [store.namespace('n'), { endpoints, range: {} }],
    [store, null],
    [store, { range: {} }],
    [store, { endpoints: [], range: {} }],
    [store, { endpoints: ['nowhere'], range: {} }],
    [store, { endpoints: [5], range: {} }],
    [store, { endpoints, range: 5 }],
    [store, { endpoints, range: {}, write: 'yes' }],
    [store, { endpoints, range: {}, signal: {} }],
    [store, { endpoints, range: {}, other: 1 }],
  ]
  for (const [given, options] of bad) {
    expect(await codeOf(() => mirror(given as never, options as never)), JSON.stringify(options)).toBe(
      'INVALID_ARGUMENT',
    )
  }
  const kept = mirror(store, { endpoints, range: {} })
  expect(await codeOf(() => mirror(store, { endpoints, range: {} }))).toBe('INVALID_ARGUMENT')
  const waiting = codeOf(() => kept.inSync())
  await kept.close()
  await kept.close()
  expect(await waiting).toBe('CLOSED')
})
