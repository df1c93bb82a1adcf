import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { OpenOptions } from '../src/index.js'
import { wasm } from './open.js'

const url = new URL('../wasm/revkv_bg.wasm', import.meta.url)
const response = (type: string, body: BodyInit = wasm, status = 200) =>
  new Response(body, { status, headers: { 'content-type': type } })

// Each test has a package of its own, with no engine loaded.
beforeEach(() => {
  vi.resetModules()
})

describe('the engine is taken from', () => {
  const sources: [string, () => NonNullable<OpenOptions['wasm']> | Promise<WebAssembly.Module>][] = [
    ['a compiled module', () => WebAssembly.compile(wasm)],
    ['bytes', () => wasm],
    ['an ArrayBuffer', () => new Uint8Array(wasm).buffer],
    ['a file URL', () => url],
    ['a file URL as text', () => url.href],
    ['a path', () => fileURLToPath(url)],
    ['a data URL', () => `data:application/wasm;base64,${wasm.toString('base64')}`],
    ['a response', () => response('application/wasm')],
    ['a response whose type is wrong', () => response('application/octet-stream')],
    ['a promise of a response', () => Promise.resolve(response('application/wasm'))],
  ]
  test.each(sources)('%s', async (_, source) => {
    const { open } = await import('../src/index.js')
    const given = source()
    // A compiled module is handed over as such; a promise of a response is awaited by `open`.
    const store = await open({ wasm: given instanceof Promise ? await given : given })
    await store.put('a', 1)
    expect(store.get('a')).toBe(1)
    await store.close()
  })

  test('a promise that is still open, once for all who wait', async () => {
    const { open } = await import('../src/index.js')
    const source = new Promise<Response>((resolve) => setImmediate(() => resolve(response('application/wasm'))))
    const stores = await Promise.all([open({ wasm: source }), open(), open({ wasm: source })])
    expect(stores.map((store) => store.revision)).toEqual([1, 1, 1])
    await Promise.all(stores.map((store) => store.close()))
  })
})

test('a promise that fails is the failure of its own open, and of nobody else', async () => {
  const { open } = await import('../src/index.js')
  const unhandled: unknown[] = []
  const hear = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', hear)
  onTestFinished(() => {
    process.off('unhandledRejection', hear)
  })
  const failing = () => Promise.reject<Response>(new TypeError('network'))
  await expect(open({ wasm: failing() })).rejects.toMatchObject({ code: 'ENGINE_FAILED' })
  await expect(open({ wasm: failing(), signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
  await expect(open({ wasm: failing(), name: '' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await (await open({ wasm })).close()
  await (await open({ wasm: failing() })).close()
  await expect(open({ wasm: 5 as never })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(unhandled).toEqual([])
})

test('what is no engine is told, and the next open tries again', async () => {
  const { open } = await import('../src/index.js')
  const rows: [unknown, string, RegExp][] = [
    [5, 'INVALID_ARGUMENT', /expected/],
    [{}, 'INVALID_ARGUMENT', /expected/],
    [new Uint8Array([1, 2, 3]), 'ENGINE_FAILED', /could not be loaded/],
    ['/nowhere/revkv.wasm', 'ENGINE_FAILED', /ENOENT/],
    [response('text/plain', 'Not Found', 404), 'ENGINE_FAILED', /404/],
    [response('text/html', '<!doctype html>'), 'ENGINE_FAILED', /text\/html.*option `wasm`/],
    [
      { then: (_: unknown, reject: (e: Error) => void) => reject(new TypeError('network')) },
      'ENGINE_FAILED',
      /network/,
    ],
  ]
  for (const [source, code, message] of rows) {
    const error = await open({ wasm: source as OpenOptions['wasm'] }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
  }
  await (await open({ wasm })).close()
})
