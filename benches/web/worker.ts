// A turn in a dedicated worker, for storages that are fast there only.
import { type Step, steps, type Turn, takeTurn } from './turn.js'

addEventListener('message', ({ data }: MessageEvent<{ turn: Turn; step?: Step }>) => {
  const { turn, step } = data
  const answering: Promise<unknown> = step ? steps[step](turn) : takeTurn(turn)
  answering.then(
    (answer) => postMessage({ answer }),
    (error: unknown) => postMessage({ error: error instanceof Error ? error.stack : String(error) }),
  )
})
