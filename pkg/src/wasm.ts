// The engine: an instance of it, and the guard around every call into it.
// This is the only file that imports generated code.

import init, { Engine } from '../wasm/revkv.js'
import { isRefusal, RevkvError } from './errors.js'
import { compile, type Find, loadError } from './load/compile.js'
import type { Source } from './load/source.js'

export type { Engine }

/** The generated code holds one instance, which every store of the page shares; so it is loaded once. */
let loading: Promise<void> | undefined
/** Set by the first trap. The instance's memory may be half changed from then on, so no call may reach it again. */
let trap: RevkvError | undefined

/** Loads the engine. A failure is not kept: the next `open` tries again. */
export function loadEngine(source: Source | Find): Promise<void> {
  loading ??= instantiate(source).catch((e: unknown) => {
    loading = undefined
    throw loadError(e)
  })
  return loading
}

async function instantiate(source: Source | Find): Promise<void> {
  await init({ module_or_path: await compile(source) })
}

/** One store's engine. Every call goes through `call`, which tells refusals from traps. */
export class Core {
  #engine: Engine | undefined

  constructor(incarnation: Uint8Array, maxBlobBytes: number, maxBytes: number) {
    this.#engine = guarded(() => new Engine(incarnation, maxBlobBytes, maxBytes))
  }

  /** Ends the recovery. */
  start(): this {
    this.call((engine) => engine.start())
    return this
  }

  /** Runs one call into the engine; CLOSED after `free`. */
  call<T>(work: (engine: Engine) => T): T {
    const engine = this.#engine
    if (!engine) throw new RevkvError('CLOSED', 'The store is closed.')
    return guarded(() => work(engine))
  }

  /** Hands the engine of another core over to this one's. */
  adopt(other: Core, work: (engine: Engine, found: Engine) => void): void {
    const found = other.#engine
    other.#engine = undefined
    if (found) this.call((engine) => work(engine, found))
  }

  free(): void {
    const engine = this.#engine
    this.#engine = undefined
    // After a trap nothing of the instance can be given back.
    if (engine && !trap) guarded(() => engine.free())
  }
}

/** Turns what the engine throws into a RevkvError. Anything but a refusal is a trap, after which every call fails alike. */
export function guarded<T>(work: () => T): T {
  if (trap) throw trap
  try {
    return work()
  } catch (e) {
    if (isRefusal(e)) throw new RevkvError(e.code, e.message, e)
    const text = 'The engine stopped on an internal error. Reload to go on from what the storage holds.'
    trap = new RevkvError('ENGINE_FAILED', text, { cause: e })
    throw trap
  }
}
