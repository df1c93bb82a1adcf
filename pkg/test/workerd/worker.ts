// What runs inside workerd: /<kind of object>/<name of the object>/<what to do>?<with what>

// @ts-expect-error: a module of the platform's
import { DurableObject } from 'cloudflare:workers'
import { storageConformance } from '../../src/conformance/index.js'
import { createEtcd } from '../../src/entry/testing-workerd.js'
import { type Durability, open, RevkvError, type Store, utf8 } from '../../src/entry/workerd.js'
import { mirror } from '../../src/etcd/index.js'
import { type DurableObjectStorage, durableObject } from '../../src/storage/durable-object.js'
import { check, writeNext } from '../kills/story.js'

/** The store that an object keeps open as long as it lives. */
const stories = new WeakMap<DurableObjectStorage, Promise<Store<string>>>()

function storyOf(storage: DurableObjectStorage): Promise<Store<string>> {
  const store = stories.get(storage) ?? open<string>({ name: 'story', storage: durableObject(storage) })
  stories.set(storage, store)
  return store
}

type Act = (storage: DurableObjectStorage, given: string) => Promise<unknown>

const acts: Record<string, Act> = {
  /** One test of the suite, in an object of its own. */
  async conformance(storage, name) {
    const tests = new Map<string, () => Promise<void>>()
    const test = (title: string, run: () => Promise<void>) => tests.set(title, run)
    storageConformance({ name: 'durable-object', test, create: () => durableObject(storage) })
    await tests.get(name)?.()
    return tests.has(name)
  },

  /** The next write of a story, with this durability. */
  async write(storage, durability) {
    return await writeNext(await storyOf(storage), durability as Durability)
  },

  async check(storage) {
    return check(await storyOf(storage))
  },

  /** A real etcd at an address, or without one a stand-in, and a mirror of it in the storage; opened twice. */
  async mirror(storage, address) {
    const etcd = address ? undefined : await createEtcd()
    const cluster = etcd ? { endpoints: ['http://etcd'], fetch: etcd.fetch } : { endpoints: [address] }
    const opened = async (write: (store: Store<string>) => Promise<unknown>) => {
      const store = await open<string>({ name: 'mirror', storage: durableObject(storage), values: utf8 })
      const kept = mirror(store, { ...cluster, range: {}, write: true })
      const statuses: string[] = []
      kept.addEventListener('status', ({ detail }) => statuses.push(detail.status))
      await kept.inSync()
      await write(store)
      const seen = [...statuses, store.get('a'), store.revision, await kept.verify()]
      await kept.close()
      await store.close()
      return seen
    }
    const seen = [await opened((store) => store.put('a', '1')), await opened((store) => store.put('a', '2'))]
    await etcd?.close()
    return seen
  },

  /** What the platform is asked for in one commit of many blobs. */
  async calls(storage) {
    const calls: number[] = []
    const counting = new Proxy(storage, {
      get: (target, name) => {
        const value = Reflect.get(target, name)
        return (given: object, ...rest: unknown[]) => {
          if (name === 'put') calls.push(Object.keys(given).length)
          if (name === 'delete') calls.push(-(given as string[]).length)
          return Reflect.apply(value, target, [given, ...rest])
        }
      },
    })
    const handle = await durableObject(counting).open('calls')
    const ids = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(16, '0'))
    const bytes = new Uint8Array(3)
    await handle.write({ epoch: 1, put: ids.map((id) => ({ id, bytes })), delete: [] }, 'strict')
    await handle.write({ epoch: 1, put: [], delete: ids }, 'strict')
    return calls
  },
}

class TestObject extends DurableObject {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const [, , , act = ''] = pathname.split('/')
    try {
      const { storage } = (this as unknown as { ctx: { storage: DurableObjectStorage } }).ctx
      return Response.json({ answer: await acts[act]?.(storage, searchParams.get('with') ?? '') })
    } catch (e) {
      return Response.json({ error: String(e), code: RevkvError.is(e) && e.code })
    }
  }
}

/** One keeps its values in SQLite, the other as the platform did before. */
export class OnSqlite extends TestObject {}
export class OnKeys extends TestObject {}

interface Namespace {
  idFromName(name: string): unknown
  get(id: unknown): { fetch(request: Request): Promise<Response> }
}

export default {
  fetch(request: Request, env: Record<string, Namespace>): Promise<Response> | Response {
    const [, kind = '', name = ''] = new URL(request.url).pathname.split('/')
    const namespace = env[kind]
    return namespace ? namespace.get(namespace.idFromName(name)).fetch(request) : new Response('', { status: 404 })
  },
}
