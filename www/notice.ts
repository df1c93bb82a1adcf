// What the page tells its user: that something was done, or what went wrong and what can be done about it.
import { type ErrorCode, RevkvError } from 'revkv'
import { find } from './page.js'

/** The codes that a user of the page can do something about, in the page's words. The others speak for themselves. */
const words: { [code in ErrorCode]?: string } = {
  STORAGE_BLOCKED: 'Another tab or window keeps this store from being opened. Close it there, then try again.',
  STORAGE_LOST:
    'The browser has taken the storage away. What you see can still be read; try again to open the store anew.',
  NOT_LEADER:
    'Another page has taken this store over. What you see can still be read; try again to open the store anew.',
  QUOTA_EXCEEDED:
    'The browser has no room left, so this was not written. Make room, then try again to open the store anew.',
}

export class Notice {
  readonly #said = find('#said', HTMLElement)
  readonly #alert = find('#notice', HTMLElement)
  readonly #text = find('#notice p', HTMLElement)
  readonly #again = find('#notice button', HTMLButtonElement)

  /** `again` is what "Try again" does. */
  constructor(again: () => void) {
    this.#again.addEventListener('click', () => {
      this.#alert.hidden = true
      again()
    })
  }

  say(text: string): void {
    this.#alert.hidden = true
    this.#said.textContent = text
  }

  show(error: unknown): void {
    this.#said.textContent = ''
    this.#text.textContent = describe(error)
    this.#again.hidden = !(RevkvError.is(error) && error.code in words)
    this.#alert.hidden = false
  }
}

function describe(error: unknown): string {
  if (RevkvError.is(error)) return `${words[error.code] ?? error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}
