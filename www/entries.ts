// The keys and values at the shown revision; and, now, the form that changes them.
import type { Entry } from 'revkv'
import { arrange, copy, find } from './page.js'
import type { Visit } from './visit.js'

/** A page with more rows than this is slow to draw and of no use to a reader, who has the filter. */
const rowsMax = 500

export class Entries {
  readonly #visit: Visit
  readonly #list = find('#entries', HTMLUListElement)
  readonly #count = find('#count', HTMLElement)
  readonly #empty = find('#empty', HTMLElement)
  readonly #prefix = find('#prefix', HTMLInputElement)
  readonly #fields = find('#edit fieldset', HTMLFieldSetElement)
  readonly #key = find('#edit [name=key]', HTMLInputElement)
  readonly #value = find('#edit [name=value]', HTMLInputElement)
  #rows = new Map<string, HTMLLIElement>()

  constructor(visit: Visit) {
    this.#visit = visit
    const { signal } = visit
    this.#prefix.addEventListener('input', () => this.#draw(), { signal })
    find('#example', HTMLButtonElement).addEventListener('click', () => this.#writeExample(), { signal })
    find('#edit', HTMLFormElement).addEventListener(
      'submit',
      (event) => {
        event.preventDefault()
        void this.#save()
      },
      { signal },
    )
    visit.onDraw(() => this.#draw())
  }

  #draw(): void {
    const { store, revision, isNow } = this.#visit
    const prefix = this.#prefix.value
    const found = store.list(prefix ? { prefix } : {}, { revision, limit: rowsMax })
    this.#drawRows(found.toArray())
    const keys = `${found.count} ${found.count === 1 ? 'key' : 'keys'}`
    this.#count.textContent = found.more ? `${keys}, of which the first ${found.length} are shown` : keys
    this.#empty.hidden = store.revision > 1 || prefix !== ''
    this.#fields.disabled = !isNow
  }

  #drawRows(entries: Entry<string>[]): void {
    this.#rows = new Map(entries.map(({ key }) => [key, this.#rows.get(key) ?? this.#newRow(key)]))
    arrange(this.#list, [...this.#rows.values()])
    for (const entry of entries) {
      const row = this.#rows.get(entry.key)
      if (row) this.#fillRow(row, entry)
    }
  }

  #newRow(key: string): HTMLLIElement {
    const row = copy('#entry-template')
    const name = find('.key', HTMLButtonElement, row)
    name.textContent = key
    name.addEventListener('click', () => this.#visit.select(key))
    const edit = find('.edit', HTMLButtonElement, row)
    edit.ariaLabel = `Edit ${key}`
    edit.addEventListener('click', () => this.#edit(key))
    const remove = find('.delete', HTMLButtonElement, row)
    remove.ariaLabel = `Delete ${key}`
    remove.addEventListener('click', () => this.#delete(key))
    return row
  }

  #fillRow(row: HTMLLIElement, entry: Entry<string>): void {
    const { isNow, key } = this.#visit
    find('.value', HTMLElement, row).textContent = entry.value
    find('.version', HTMLElement, row).textContent = `revision ${entry.modRevision}, version ${entry.version}`
    find('.key', HTMLButtonElement, row).ariaPressed = String(entry.key === key)
    for (const button of row.querySelectorAll<HTMLButtonElement>('.actions button')) button.disabled = !isNow
  }

  #edit(key: string): void {
    this.#key.value = key
    this.#value.value = this.#visit.store.get(key) ?? ''
    this.#value.focus()
    this.#value.select()
  }

  async #save(): Promise<void> {
    const key = this.#key.value
    const value = this.#value.value
    if (!(await this.#visit.write(`${key} is saved.`, () => this.#visit.store.put(key, value)))) return
    this.#key.value = ''
    this.#value.value = ''
    this.#key.focus()
  }

  async #delete(key: string): Promise<void> {
    const row = this.#rows.get(key)
    const next = row?.nextElementSibling ?? row?.previousElementSibling
    if (!(await this.#visit.write(`${key} is deleted.`, () => this.#visit.store.delete(key)))) return
    // The button that had the focus is gone with its row.
    const button = next?.querySelector<HTMLButtonElement>('.delete')
    if (button) button.focus()
    else this.#key.focus()
  }

  #writeExample(): void {
    const { store } = this.#visit
    void this.#visit.write('The example is written: five revisions. Try the slider.', async () => {
      await store.put('flag/theme', 'light')
      await store.put('flag/beta', 'on')
      await store.put('flag/theme', 'dark')
      await store.txn({ then: [{ put: ['user/ada', 'admin'] }, { put: ['user/alan', 'guest'] }] })
      await store.delete('flag/beta')
    })
  }
}
