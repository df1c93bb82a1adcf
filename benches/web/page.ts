// A turn in a page, or in a worker of it.
import { describe, type Step, steps, type Turn, takeTurn } from './turn.js'

declare global {
  var bench: typeof api
}

let worker: Worker | undefined

const api = {
  takeTurn,
  describe: () => describe('web'),
  step: async (step: Step, turn: Turn): Promise<number> => Number((await steps[step](turn)) ?? 0),
  inWorker(turn: Turn, step?: Step): Promise<unknown> {
    worker ??= new Worker('./worker.js', { type: 'module' })
    const asked = worker
    return new Promise((resolve, reject) => {
      asked.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.answer))
      asked.onerror = (event) => reject(new Error(event.message))
      asked.postMessage({ turn, step })
    })
  },
}

globalThis.bench = api
