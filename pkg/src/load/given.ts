// No engine but the one that `open` is given.

import { invalidArgument } from '../errors.js'

export async function find(): Promise<never> {
  throw invalidArgument('wasm: revkv/slim brings no engine, so `open` has to be given one.')
}
