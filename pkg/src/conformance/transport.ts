// The tests that every transport has to pass, given as those of storages are.

import type { Transport, TransportChannel } from '../types.js'

/** What is tested, and with what. */
export interface TransportConformanceOptions {
  /** What is tested; each test's name begins with it. */
  name: string
  /** Registers a test, as `test` of vitest, node:test, jest or Deno does. */
  test: (name: string, run: () => Promise<void>) => unknown
  /** Gives the transports of two tabs, which may be the same one, and what closes them. */
  create: () => readonly [Transport, Transport, (() => void)?]
  /** How long a message may take; default 1,000. */
  waitMs?: number
}

/**
 * Registers the tests of a transport. One that loses or repeats messages is right too, but does not pass them.
 *
 * @example
 * transportConformance({ name: 'broadcast', test, create: () => [broadcast(), broadcast()] })
 */
export function transportConformance({ name, test, create, waitMs = 1000 }: TransportConformanceOptions): void {
  let databases = 0
  for (const [title, run] of Object.entries(tests)) {
    test(`${name}: ${title}`, async () => {
      const [one, other, close] = create()
      const tabs = new Tabs([one, other], `conformance-${++databases}`, waitMs)
      try {
        await run(tabs)
      } finally {
        tabs.closeAll()
        close?.()
      }
    })
  }
}

interface Tab {
  channel: TransportChannel
  received: string[]
}

class Tabs {
  readonly #transports: readonly [Transport, Transport]
  readonly #database: string
  readonly #waitMs: number
  readonly #channels: TransportChannel[] = []

  constructor(transports: readonly [Transport, Transport], database: string, waitMs: number) {
    this.#transports = transports
    this.#database = database
    this.#waitMs = waitMs
  }

  /** At one of the two ends. */
  join(end: 0 | 1, id: string, database = this.#database): Tab {
    const received: string[] = []
    const receive = (message: Uint8Array) => received.push(shown(message))
    const channel = this.#transports[end].join(database, id, receive)
    this.#channels.push(channel)
    return { channel, received }
  }

  closeAll(): void {
    for (const channel of this.#channels) channel.close()
  }

  /** Fails when it has not received just these in time; or anything more, by the time that a message sent later is there. */
  async receives(tab: Tab, expected: string[]): Promise<void> {
    const deadline = Date.now() + this.#waitMs
    while (tab.received.length < expected.length && Date.now() < deadline) await pause()
    const [got, wanted] = [tab.received.join(), expected.join()]
    if (got !== wanted) throw new Error(`received [${got}], expected [${wanted}]`)
  }
}

const tests: Record<string, (tabs: Tabs) => Promise<void>> = {
  'a message to all reaches the other, and not whoever sends it': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    a.channel.send(Uint8Array.of(1, 2))
    await tabs.receives(b, ['1 2'])
    b.channel.send(Uint8Array.of(3))
    await tabs.receives(a, ['3'])
    await tabs.receives(b, ['1 2'])
  },
  'a message to one reaches it alone': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    a.channel.send(Uint8Array.of(1), 'c')
    a.channel.send(Uint8Array.of(2), 'b')
    await tabs.receives(b, ['2'])
  },
  'messages of one tab to another arrive in order': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    const sent = Array.from({ length: 200 }, (_, i) => i)
    for (const i of sent) a.channel.send(Uint8Array.of(i), 'b')
    await tabs.receives(b, sent.map(String))
  },
  'a view of a larger buffer is sent as what it shows': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    a.channel.send(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))
    await tabs.receives(b, ['2 3'])
  },
  'what is changed after it was sent is sent as it was': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    const message = Uint8Array.of(1)
    a.channel.send(message)
    message[0] = 9
    await tabs.receives(b, ['1'])
  },
  'a database does not hear of another': async (tabs) => {
    const [a, b, other] = [tabs.join(0, 'a'), tabs.join(1, 'b'), tabs.join(1, 'b', 'conformance-other')]
    a.channel.send(Uint8Array.of(1))
    await tabs.receives(b, ['1'])
    await tabs.receives(other, [])
  },
  'nothing is received after closing': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    b.channel.close()
    const again = tabs.join(1, 'b')
    a.channel.send(Uint8Array.of(1), 'b')
    await tabs.receives(again, ['1'])
    await tabs.receives(b, [])
  },
  'a large message arrives whole': async (tabs) => {
    const [a, b] = [tabs.join(0, 'a'), tabs.join(1, 'b')]
    a.channel.send(new Uint8Array(1 << 20).fill(7))
    await tabs.receives(b, [shown(new Uint8Array(1 << 20).fill(7))])
  },
}

function shown(message: Uint8Array): string {
  return message.length > 8 ? `${message.length} bytes of ${[...new Set(message)].join()}` : [...message].join(' ')
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1))
}
