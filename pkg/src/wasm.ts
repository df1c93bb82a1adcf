// The engine: loading it, and the guard around every call into it.

import { Engine, Instance } from './engine.js'
import { RevkvError } from './errors.js'
import { compile, type Find, loadError } from './load/compile.js'
import type { Source } from './load/source.js'

/** Compiled once; every store has an instance of its own. */
let loading: Promise<void> | undefined
let compiled: WebAssembly.Module | undefined

/** Loads the engine. A failure is not kept: the next `open` tries again. */
export function loadEngine(source: Source | Find): Promise<void> {
  loading ??= load(source).catch((e: unknown) => {
    loading = undefined
    throw loadError(e)
  })
  return loading
}

async function load(source: Source | Find): Promise<void> {
  const module = await compile(source)
  // What is WebAssembly, but not this engine, is found out here.
  if (new Instance(module).bytes.length === 0) throw new TypeError('This is no engine of revkv.')
  compiled = module
}

/**
 * One store's engine, in an instance that it shares with nobody but those that are read beside it. Every call goes through
 * `call`, which tells refusals from traps.
 */
export class Core {
  /** Hears of the first trap, during the call that met it. */
  onTrap: (error: RevkvError) => void = () => {}
  #instance: Instance
  #engine: Engine | undefined

  constructor(incarnation: Uint8Array, maxBlobBytes: number, maxBytes: number, instance = newInstance()) {
    this.#instance = instance
    this.#engine = this.#guarded(() => new Engine(instance, incarnation, maxBlobBytes, maxBytes))
  }

  /** Another engine that can be adopted. */
  beside(incarnation: Uint8Array, maxBlobBytes: number, maxBytes: number): Core {
    return new Core(incarnation, maxBlobBytes, maxBytes, this.#instance)
  }

  /** Ends the recovery. */
  start(): this {
    this.call((engine) => engine.start())
    return this
  }

  /** Runs one call into the engine; CLOSED after `free`, ENGINE_FAILED after a trap. */
  call<T>(work: (engine: Engine) => T): T {
    const engine = this.#engine
    if (!engine) throw new RevkvError('CLOSED', 'The store is closed.')
    if (this.#instance.trap) throw this.#instance.trap
    try {
      return work(engine)
    } catch (e) {
      throw this.#judge(e)
    }
  }

  /** What stopped the engine. */
  get trap(): RevkvError | undefined {
    return this.#instance.trap
  }

  /** Hands the engine of another core beside this one over to this one's. */
  adopt(other: Core, work: (engine: Engine, found: Engine) => void): void {
    const found = other.#engine
    other.#engine = undefined
    if (found) this.call((engine) => work(engine, found))
  }

  /**
   * Goes on with the engine of another core in the place of one that has stopped: behind the last revision of that, unless
   * others say which revisions there are.
   */
  replace(other: Core, isReplica = false): void {
    // The board is written when a call is done, and reading memory is no call.
    const revision = this.#engine?.revision ?? 0
    this.#instance = other.#instance
    this.#engine = other.#engine
    other.#engine = undefined
    if (!isReplica && Number.isSafeInteger(revision) && revision > 0) this.call((engine) => engine.skipTo(revision))
  }

  free(): void {
    const engine = this.#engine
    this.#engine = undefined
    // After a trap nothing of the instance can be given back; it goes as a whole.
    if (engine && !this.trap) this.#guarded(() => engine.free())
  }

  #guarded<T>(work: () => T): T {
    if (this.#instance.trap) throw this.#instance.trap
    try {
      return work()
    } catch (e) {
      throw this.#judge(e)
    }
  }

  /** Anything but a refusal is a trap, after which every call fails alike. */
  #judge(cause: unknown): RevkvError {
    if (RevkvError.is(cause)) return cause
    const text = 'The engine stopped on an internal error. A store with a storage goes on from what that holds.'
    const trap = new RevkvError('ENGINE_FAILED', text, { cause, retryable: true })
    this.#instance.trap = trap
    this.onTrap(trap)
    return trap
  }
}

function newInstance(): Instance {
  if (!compiled) throw new RevkvError('ENGINE_FAILED', 'The engine is not loaded.')
  return new Instance(compiled)
}
