// The slider over revisions, and compaction, which cuts it off at its older end.
import { find } from './page.js'
import type { Visit } from './visit.js'

export class Timeline {
  readonly #visit: Visit
  readonly #shown = find('#shown', HTMLElement)
  readonly #slider = find('#slider', HTMLInputElement)
  readonly #now = find('#now', HTMLButtonElement)
  readonly #compact = find('#compact', HTMLButtonElement)

  constructor(visit: Visit) {
    this.#visit = visit
    const { signal } = visit
    this.#slider.addEventListener('input', () => visit.show(this.#slider.valueAsNumber), { signal })
    this.#now.addEventListener('click', () => this.#showNow(), { signal })
    this.#compact.addEventListener('click', () => this.#forget(), { signal })
    visit.onDraw(() => this.#draw())
  }

  #draw(): void {
    const { store, revision, oldest, isNow } = this.#visit
    this.#slider.min = String(oldest)
    this.#slider.max = String(store.revision)
    this.#slider.value = String(revision)
    this.#slider.disabled = oldest === store.revision
    this.#slider.ariaValueText = isNow ? `now, revision ${revision}` : `revision ${revision} of ${store.revision}`
    this.#shown.textContent = isNow
      ? `Now, at revision ${revision}.`
      : `As it was at revision ${revision} of ${store.revision}. The past is read only.`
    this.#now.disabled = isNow
    this.#compact.disabled = revision <= oldest
    this.#compact.textContent = `Forget history before revision ${revision}`
    document.body.dataset.time = isNow ? 'now' : 'past'
  }

  #showNow(): void {
    this.#visit.show()
    // The button is disabled now, and would lose the focus to nobody.
    this.#slider.focus()
  }

  #forget(): void {
    const { store, revision } = this.#visit
    void this.#visit.write(`History before revision ${revision} is forgotten.`, () => store.compact(revision))
  }
}
