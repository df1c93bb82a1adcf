// The watch over the whole store and its log. The last revision seen outlives the page, so that the next one misses nothing.
import type { Change, WatchBatch } from 'revkv'
import { copy, find } from './page.js'
import type { Visit } from './visit.js'

const seenItem = 'revkv-playground-seen'

/** Older lines are taken off the page; a key's history still has them. */
const linesMax = 200

/** Revisions that a new page shows again. */
const revisionsRecalledMax = 50

export class Log {
  readonly #visit: Visit
  readonly #list = find('#log', HTMLOListElement)

  constructor(visit: Visit) {
    this.#visit = visit
    this.#list.replaceChildren()
    const seen = this.#seen()
    if (seen > 0) this.#recall(seen)
    visit.store.on({}, (batch) => this.#take(batch), {
      // Revision 1 is the empty store: from there on is everything.
      from: seen + 1,
      // What is saved as seen must not be ahead of what is stored.
      durable: true,
      onCompacted: 'resync',
      signal: visit.signal,
    })
  }

  /** 0 = nothing yet. A store that is behind what was seen is another one: the old was deleted. */
  #seen(): number {
    const seen = Number(localStorage.getItem(seenItem) ?? 0)
    return seen <= this.#visit.store.revision ? seen : 0
  }

  /** The last lines of the log as an earlier page had it, read from history as far as that is kept. */
  #recall(seen: number): void {
    const { store, oldest } = this.#visit
    const from = Math.max(oldest, seen - revisionsRecalledMax + 1)
    const changes = from <= seen ? store.history({}, { from, to: seen }) : []
    for (const change of changes)
      this.#add(change.type === 'put' ? change.entry.modRevision : change.modRevision, change)
    this.#note(`Seen before, up to revision ${seen}. The watch goes on from there.`)
  }

  #take(batch: WatchBatch<string>): void {
    if (batch.resync) this.#note(`History up to revision ${batch.revision} is forgotten. This is what there is:`)
    for (const change of batch.changes) this.#add(batch.revision, change)
    localStorage.setItem(seenItem, String(batch.revision))
    this.#visit.draw()
  }

  #add(revision: number, change: Change<string>): void {
    const key = change.type === 'put' ? change.entry.key : change.key
    const line = copy('#log-template')
    line.dataset.type = change.type
    find('.revision', HTMLElement, line).textContent = String(revision)
    find('.type', HTMLElement, line).textContent = change.type
    const name = find('.key', HTMLButtonElement, line)
    name.textContent = key
    name.addEventListener('click', () => this.#visit.select(key))
    find('.value', HTMLElement, line).textContent = change.type === 'put' ? change.entry.value : ''
    this.#prepend(line)
  }

  #note(text: string): void {
    const line = copy('#log-note-template')
    line.textContent = text
    this.#prepend(line)
  }

  #prepend(line: HTMLLIElement): void {
    this.#list.prepend(line)
    while (this.#list.children.length > linesMax) this.#list.lastElementChild?.remove()
  }
}
