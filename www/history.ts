// Every revision of one key that is still kept: what was put, and when it was deleted.
import type { Change } from 'revkv'
import { arrange, copy, find } from './page.js'
import type { Visit } from './visit.js'

export class History {
  readonly #visit: Visit
  readonly #title = find('#history-title', HTMLElement)
  readonly #hint = find('#history-hint', HTMLElement)
  readonly #list = find('#history', HTMLOListElement)
  #items = new Map<string, HTMLLIElement>()

  constructor(visit: Visit) {
    this.#visit = visit
    visit.onDraw(() => this.#draw())
  }

  #draw(): void {
    const { store, key } = this.#visit
    this.#title.textContent = key === undefined ? 'History' : `History of ${key}`
    const changes = key === undefined ? [] : store.history(key)
    this.#hint.textContent = hint(key, changes.length)
    this.#items = new Map(changes.map((change) => this.#itemOf(change)))
    arrange(this.#list, [...this.#items.values()])
  }

  /** A change never changes, and neither does its item, but for whether it can still be shown. */
  #itemOf(change: Change<string>): [id: string, item: HTMLLIElement] {
    const key = change.type === 'put' ? change.entry.key : change.key
    const revision = change.type === 'put' ? change.entry.modRevision : change.modRevision
    const id = `${revision} ${change.type} ${key}`
    const item = this.#items.get(id) ?? this.#newItem(revision, change)
    find('.revision', HTMLButtonElement, item).disabled = revision < this.#visit.oldest
    return [id, item]
  }

  #newItem(revision: number, change: Change<string>): HTMLLIElement {
    const item = copy('#history-template')
    item.dataset.type = change.type
    const button = find('.revision', HTMLButtonElement, item)
    button.textContent = String(revision)
    button.ariaLabel = `Show the store at revision ${revision}`
    button.addEventListener('click', () => this.#visit.show(revision))
    find('.type', HTMLElement, item).textContent = change.type
    find('.value', HTMLElement, item).textContent = change.type === 'put' ? change.entry.value : ''
    return item
  }
}

function hint(key: string | undefined, changes: number): string {
  if (key === undefined) return 'Choose a key to see every revision it has.'
  if (changes === 0) return 'No revision of this key is kept any more.'
  return 'Oldest first. Choose a revision to see the whole store as it was then.'
}
