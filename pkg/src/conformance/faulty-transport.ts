// Tabs in one process, whose messages are lost, late, repeated and out of order, the same each time for the same seed.

import type { Transport, TransportChannel } from '../types.js'
import { Random } from './random.js'

/** What befalls messages; without any of it they arrive in order, each in a microtask of its own. */
export interface TransportFaults {
  /** What the faults follow from. */
  seed?: number
  /** Of 100 messages, so many do not arrive. */
  lost?: number
  /** Of 100 messages, so many arrive twice. */
  repeated?: number
  /** A message arrives so many milliseconds later at most, each by chance, which puts them out of order. */
  delayMs?: number
}

/** A transport whose tabs are those that were given it, and can be cut off. */
export interface FaultyTransport extends Transport {
  /** What is sent to or by this tab is lost, until it is mended. */
  cut(id: string): void
  /** It is heard, and hears, again. */
  mend(id: string): void
  /** Who has joined, in that order. */
  readonly ids: readonly string[]
}

interface Joined {
  database: string
  id: string
  receive: (message: Uint8Array) => void
}

/**
 * A transport for tests: whoever opens a store with it hears of the others who did, as far as the faults let them.
 *
 * @example
 * const tabs = faultyTransport({ seed: 7, lost: 10, repeated: 10, delayMs: 20 })
 * const [a, b] = [await open({ storage, tabs }), await open({ storage, tabs })]
 */
export function faultyTransport(faults: TransportFaults = {}): FaultyTransport {
  const { seed = 1, lost = 0, repeated = 0, delayMs = 0 } = faults
  const random = new Random(seed)
  const joined = new Set<Joined>()
  const cut = new Set<string>()
  const arrive = (to: Joined, from: string, message: Uint8Array) => {
    if (joined.has(to) && !cut.has(to.id) && !cut.has(from)) to.receive(message.slice())
  }
  const send = (from: Joined, message: Uint8Array, to: string | undefined) => {
    const others = [...joined].filter((other) => other !== from && other.database === from.database)
    for (const other of others.filter(({ id }) => to === undefined || id === to)) {
      const copies = random.below(100) < lost ? 0 : random.below(100) < repeated ? 2 : 1
      for (let copy = 0; copy < copies; copy++) {
        const kept = message.slice()
        if (delayMs === 0) queueMicrotask(() => arrive(other, from.id, kept))
        else setTimeout(() => arrive(other, from.id, kept), random.below(delayMs + 1))
      }
    }
  }
  return {
    name: 'faulty',
    cut: (id) => cut.add(id),
    mend: (id) => cut.delete(id),
    get ids() {
      return [...joined].map(({ id }) => id)
    },
    join(database, id, receive): TransportChannel {
      const own = { database, id, receive }
      joined.add(own)
      return { send: (message, to) => send(own, message, to), close: () => joined.delete(own) }
    },
  }
}
