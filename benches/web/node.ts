// A turn in a process of its own: asked and answered over the channel to the runner.
import { type Description, describe, type Outcome, type Step, steps, type Turn, takeTurn } from './turn.js'

export type Question = { turn: Turn } | { step: Step; turn: Turn } | { look: 'memory' | 'peers' }
export type Answer = { answer: Outcome | number | Description[] | undefined } | { error: string }

process.on('message', (question: Question) => {
  answer(question).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
  )
})

async function answer(question: Question): Promise<Outcome | number | Description[] | undefined> {
  if ('look' in question) return question.look === 'memory' ? memory() : describe('node')
  if ('step' in question) return Number((await steps[question.step](question.turn)) ?? 0)
  return takeTurn(question.turn)
}

/** What V8 knows of, which includes the memories of wasm. */
async function memory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
