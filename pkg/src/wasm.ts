// The engine: finding and compiling the .wasm, and the guard around every call into it.

import { Engine, Instance } from './engine.js'
import { invalidArgument, RevkvError } from './errors.js'
import type { OpenOptions } from './types.js'

type Source = NonNullable<OpenOptions['wasm']>

/** Compiled once; every store has an instance of its own. */
let loading: Promise<void> | undefined
let compiled: WebAssembly.Module | undefined

/** Loads the engine. A failure is not kept: the next `open` tries again. */
export function loadEngine(source?: Source): Promise<void> {
  loading ??= load(source).catch((e: unknown) => {
    loading = undefined
    throw RevkvError.is(e) ? e : loadError(e)
  })
  return loading
}

/**
 * Refuses what no engine can be made of, even when there is one already. What a promise gives is looked at when it is
 * needed: the first `open` may well be done before it.
 */
export function checkSource(source: unknown): Source | undefined {
  const isThenable = typeof (source as Promise<unknown> | null | undefined)?.then === 'function'
  const isKnown = ['Undefined', 'WebAssembly.Module', 'String', 'URL', 'Response', 'ArrayBuffer'].includes(
    typeOf(source),
  )
  if (isThenable || isKnown || ArrayBuffer.isView(source)) return source as Source | undefined
  throw invalidArgument('wasm: expected a WebAssembly.Module, bytes, URL, string or Response.')
}

async function load(source?: Source): Promise<void> {
  const module = await compile(checkSource(await source))
  // What is WebAssembly, but not this engine, is found out here.
  new Instance(module)
  compiled = module
}

/** The platform's name for what it is; unlike instanceof it also knows what comes from another realm. */
function typeOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

async function compile(source: unknown): Promise<WebAssembly.Module> {
  const type = typeOf(source)
  if (source === undefined) return compileAt(new URL('./revkv.wasm', import.meta.url))
  if (type === 'String' || type === 'URL') return compileAt(source as string | URL)
  if (type === 'Response') return compileResponse(source as Response)
  // Edge workers hand over a compiled module, and compile nothing themselves.
  if (type === 'WebAssembly.Module') return source as WebAssembly.Module
  return WebAssembly.compile(source as BufferSource)
}

async function compileAt(where: URL | string): Promise<WebAssembly.Module> {
  const bytes = readLocal(where)
  return bytes ? WebAssembly.compile(bytes) : compileResponse(await fetch(where))
}

interface FileSystem {
  readFileSync(path: URL | string): Uint8Array<ArrayBuffer>
}

/** The file's bytes in Node, Bun and Deno, whose `fetch` does not read files; undefined where it has to be fetched. */
function readLocal(where: URL | string): Uint8Array<ArrayBuffer> | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): FileSystem | undefined } }
  const files = process?.getBuiltinModule?.('node:fs')
  const url = String(where)
  if (!files || (/^[a-z][a-z+.-]+:/i.test(url) && !url.startsWith('file:'))) return undefined
  return files.readFileSync(url.startsWith('file:') ? new URL(url) : url)
}

async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) {
    throw new RevkvError('ENGINE_FAILED', `The engine was not found: ${response.url} answered ${response.status}.`)
  }
  const type = response.headers.get('content-type') ?? ''
  if (type.startsWith('application/wasm')) return WebAssembly.compileStreaming(response)
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d) return WebAssembly.compile(bytes)
  const advice = 'give `open` the option `wasm` with the address of revkv.wasm'
  throw new RevkvError('ENGINE_FAILED', `${response.url} is not WebAssembly but ${type || 'of no type'}; ${advice}.`)
}

function loadError(cause: unknown): RevkvError {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (/unsafe-eval|content security policy|\bCSP\b/i.test(message)) {
    const text = "The page's Content-Security-Policy forbids WebAssembly; add 'wasm-unsafe-eval' to its script-src."
    return new RevkvError('CSP', text, { cause })
  }
  return new RevkvError('ENGINE_FAILED', `The engine could not be loaded: ${message}`, { cause })
}

/**
 * One store's engine, in an instance that it shares with nobody but those that are read beside it. Every call goes through
 * `call`, which tells refusals from traps.
 */
export class Core {
  /** Hears of the first trap, during the call that met it. */
  onTrap: (error: RevkvError) => void = () => {}
  readonly #limits: { maxBlobBytes: number; maxBytes: number }
  #instance: Instance
  #engine: Engine | undefined

  constructor(incarnation: Uint8Array, maxBlobBytes: number, maxBytes: number, instance = newInstance()) {
    this.#limits = { maxBlobBytes, maxBytes }
    this.#instance = instance
    this.#engine = this.#guarded(() => new Engine(instance, incarnation, maxBlobBytes, maxBytes))
  }

  /** Another engine that can be adopted. */
  beside(incarnation: Uint8Array): Core {
    const { maxBlobBytes, maxBytes } = this.#limits
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
    return this.#guarded(() => work(engine))
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

  /** Goes on with the engine of another core in the place of one that has stopped, behind the last revision of that. */
  replace(other: Core): void {
    // The board is written when a call is done, and reading memory is no call.
    const revision = this.#engine?.revision ?? 0
    this.#instance = other.#instance
    this.#engine = other.#engine
    other.#engine = undefined
    if (Number.isSafeInteger(revision) && revision > 0) this.call((engine) => engine.skipTo(revision))
  }

  free(): void {
    const engine = this.#engine
    this.#engine = undefined
    // After a trap nothing of the instance can be given back; it goes as a whole.
    if (engine && !this.trap) this.#guarded(() => engine.free())
  }

  /** Anything but a refusal is a trap, after which every call fails alike. */
  #guarded<T>(work: () => T): T {
    if (this.#instance.trap) throw this.#instance.trap
    try {
      return work()
    } catch (cause) {
      if (RevkvError.is(cause)) throw cause
      const text = 'The engine stopped on an internal error. A store with a storage goes on from what that holds.'
      this.#instance.trap = new RevkvError('ENGINE_FAILED', text, { cause, retryable: true })
      this.onTrap(this.#instance.trap)
      throw this.#instance.trap
    }
  }
}

function newInstance(): Instance {
  if (!compiled) throw new RevkvError('ENGINE_FAILED', 'The engine is not loaded.')
  return new Instance(compiled)
}
