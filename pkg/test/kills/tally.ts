// How often is killed, and what came of it: the same for every storage whose process ends in the middle of its story.

import { readFile } from 'node:fs/promises'
import { transform } from 'esbuild'
import type { Durability } from '../../src/types.js'
import type { Found } from './story.js'

/** `cargo xtask test soak` asks for more. */
export const killsOr = (few: number) => Number(process.env.REVKV_KILLS ?? few)
/** When something is killed. (What it has then come to is the machine's chance.) */
export const seed = Number(process.env.REVKV_SEED ?? Date.now() % 1e9)
export const durabilities: readonly Durability[] = ['strict', 'relaxed']

/** The story as the JavaScript that it is, for whoever runs it elsewhere. */
export async function compiledStory(): Promise<string> {
  const source = await readFile(new URL('story.ts', import.meta.url), 'utf8')
  return (await transform(source, { loader: 'ts', format: 'esm', target: 'es2022' })).code
}

/** What was acknowledged in each life of a process, and what the next one has found of it. */
export class Tally {
  readonly #kills: number
  readonly #killed = new Map<Durability, number>()
  /** Kills of a life that was told of something that it had written. */
  #writing = 0
  /** The highest revision that has to be there. */
  #least = 1
  #acknowledged = 0
  /** Revisions that nobody was told of and that are there: the process ended between the two. */
  #untold = 0
  #compared = 0

  constructor(kills: number) {
    this.#kills = kills
  }

  /** A life has ended. `acknowledged`: the highest revision that the harness has heard of, 0 for none. */
  killed(durability: Durability, acknowledged: number): void {
    this.#killed.set(durability, (this.#killed.get(durability) ?? 0) + 1)
    if (acknowledged <= this.#least) return
    this.#writing++
    this.#acknowledged += acknowledged - this.#least
    this.#least = acknowledged
  }

  /** The next life has opened it. */
  found({ revision, compared }: Found): void {
    if (revision < this.#least) throw new Error(`seed ${seed}: ${this.#least} was acknowledged, ${revision} is there`)
    this.#untold += revision - this.#least
    this.#compared += compared
    // What one has found no later one may miss.
    this.#least = revision
  }

  /** Asserts that it was worth it: most were killed in the middle of writing. */
  finish(): void {
    const killed = [...this.#killed.values()].reduce((sum, count) => sum + count, 0)
    if (killed < this.#kills) throw new Error(`${killed} kills of ${this.#kills}`)
    if (this.#writing < killed / 2) throw new Error(`only ${this.#writing} of ${killed} were killed while they wrote`)
  }

  toString(): string {
    const killed = [...this.#killed].map(([durability, count]) => `${count} ${durability}`).join(', ')
    const found = `${this.#acknowledged} revisions acknowledged, 0 lost; ${this.#untold} more were there`
    return `killed ${killed}; ${found}; ${this.#compared} compared`
  }
}
