// Who sees an engine's content: the store itself, or a namespace of it, or one of that.

import type { Form } from './entry.js'

export class Scope<V> {
  readonly form: Form<V>
  readonly #above: Scope<unknown> | undefined
  #ended = false

  constructor(form: Form<V>, above?: Scope<unknown>) {
    this.form = form
    this.#above = above
  }

  /** With what it is part of, if not before. Nothing above knows of it, so that one that is not used any more is garbage. */
  get closed(): boolean {
    return this.#ended || this.#above?.closed === true
  }

  end(): void {
    this.#ended = true
  }
}
