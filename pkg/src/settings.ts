// What `open` is asked for, checked.

import * as args from './arguments.js'
import { isWellFormed, json } from './codecs.js'
import type { Form } from './entry.js'
import { invalidArgument } from './errors.js'
import { Keyspace } from './keyspace.js'
import { checkSource } from './load/source.js'
import type { Codec, Durability, NamespaceOptions, OpenOptions, Retention, StorageAdapter, Transport } from './types.js'

export interface Settings<V> {
  name: string
  storage: StorageAdapter | undefined
  durability: Durability
  maxBytes: number
  retention: Retention
  form: Form<V>
  wasm: OpenOptions['wasm']
  tabs: Transport | false | undefined
  signal: AbortSignal | undefined
}

const openOptions = [
  'name',
  'storage',
  'durability',
  'retention',
  'maxBytes',
  'values',
  'keys',
  'wasm',
  'tabs',
  'signal',
]

export function checkOpen<V>(options: OpenOptions<V> | undefined): Settings<V> {
  const given = args.options(options, openOptions, 'open')
  return {
    name: checkName(given.name ?? 'revkv'),
    storage: checkStorage(given.storage),
    durability: args.durability(given.durability) ?? 'strict',
    maxBytes: checkMaxBytes(given.maxBytes),
    retention: checkRetention(given.retention),
    form: { values: checkCodec<V>(given.values ?? json), keys: checkKeys(given.keys) ?? 'utf8', space: new Keyspace() },
    wasm: checkSource(given.wasm),
    tabs: checkTransport(given.tabs),
    signal: args.abortSignal(given.signal),
  }
}

/** What a namespace does not say is as in the store it is of. */
export function checkNamespace<W>(
  prefix: unknown,
  options: NamespaceOptions<W> | undefined,
  above: Form<unknown>,
): Form<W> {
  const given = args.options(options, ['values', 'keys'], 'namespace')
  return {
    values: checkCodec<W>(given.values ?? above.values),
    keys: checkKeys(given.keys) ?? above.keys,
    space: above.space.below(prefix),
  }
}

function checkKeys(keys: unknown): Form<unknown>['keys'] | undefined {
  return args.oneOf(keys, ['utf8', 'bytes'], 'keys')
}

/** What is not bounded is kept for ever. */
function checkRetention(retention: unknown): Retention {
  const bounds = ['revisions', 'ageMs', 'bytes'] as const
  const given = args.options(retention, bounds, 'retention')
  const wanted = bounds.filter((name) => given[name] !== undefined)
  return Object.fromEntries(
    wanted.map((name) => {
      const bound = args.integer(given[name], name)
      if (bound === 0) throw invalidArgument(`${name}: expected at least 1.`)
      return [name, bound]
    }),
  )
}

/** The engine counts in 32 bits, beyond which no memory goes either. */
function checkMaxBytes(maxBytes: unknown): number {
  const bytes = args.natural(maxBytes, 'maxBytes')
  return Math.min(bytes, 2 ** 32 - 1)
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || name === '') throw invalidArgument('name: expected text that is not empty.')
  if (!isWellFormed(name)) throw invalidArgument('name: may not contain a lone surrogate.')
  return name
}

function checkStorage(storage: unknown): StorageAdapter | undefined {
  if (storage === undefined) return undefined
  const adapter = storage as Partial<StorageAdapter> | null
  if (typeof adapter?.open !== 'function' || typeof (adapter.supports ?? 0) !== 'object') {
    throw invalidArgument('storage: expected a storage adapter, such as memory() or indexedDb().')
  }
  if (!Number.isSafeInteger(adapter.maxBlobBytes) || (adapter.maxBlobBytes as number) < 1) {
    throw invalidArgument('storage: maxBlobBytes has to be a positive integer.')
  }
  return adapter as StorageAdapter
}

function checkTransport(tabs: unknown): Transport | false | undefined {
  if (tabs === undefined || tabs === false) return tabs
  if (typeof (tabs as Partial<Transport> | null)?.join === 'function') return tabs as Transport
  throw invalidArgument('tabs: expected false, or a transport such as broadcast().')
}

function checkCodec<V>(codec: unknown): Codec<V> {
  const { encode, decode } = (codec ?? {}) as Partial<Codec<V>>
  if (typeof encode === 'function' && typeof decode === 'function') return codec as Codec<V>
  throw invalidArgument('values: expected a codec with encode and decode, such as json, utf8 or bytes.')
}
