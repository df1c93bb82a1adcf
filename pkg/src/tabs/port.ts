// Two ends that hear of each other by a message port: a page and its worker, or a frame.

import type { Transport } from '../types.js'

/** What a port carries. `to` undefined: to whoever is at the other end. */
interface Posted {
  revkv: string
  to: string | undefined
  message: Uint8Array
}

/**
 * The two ends of a message port, or a worker and the page it is of: for those whom no broadcast channel joins. A third tab
 * does not hear of them, so that all who open the database have to be at one of the two ends.
 *
 * @example
 * const store = await open({ storage: indexedDb(), tabs: messagePort(worker) })
 */
export function messagePort(port: MessagePort | Worker | DedicatedScope): Transport {
  return {
    name: 'message-port',
    join(database, id, receive) {
      const heard = ({ data }: { data: Partial<Posted> | null }) => {
        if (data?.revkv !== database || (data.to !== undefined && data.to !== id)) return
        receive(data.message as Uint8Array)
      }
      port.addEventListener('message', heard as (event: unknown) => void)
      if ('start' in port) port.start()
      return {
        send: (message, to) => port.postMessage({ revkv: database, to, message } satisfies Posted),
        close: () => port.removeEventListener('message', heard as (event: unknown) => void),
      }
    },
  }
}

/** What a dedicated worker is to itself. */
export interface DedicatedScope {
  /** To the page that has made the worker. */
  postMessage(message: unknown): void
  /** Hears of what that page posts. */
  addEventListener(type: 'message', listener: (event: unknown) => void): void
  /** Hears of it no more. */
  removeEventListener(type: 'message', listener: (event: unknown) => void): void
}
