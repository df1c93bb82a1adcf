// Keys in order, for those that have no order of their own; kept the way one would by hand.

export class SortedKeys {
  #keys: string[] = []

  /** Keys not yet there are put in their places; many at once are sorted once. */
  add(keys: Iterable<string>): void {
    const added = [...keys]
    if (added.length > 1) {
      this.#keys = [...new Set([...this.#keys, ...added])].sort()
      return
    }
    for (const key of added) {
      const at = this.indexOf(key)
      if (this.#keys[at] !== key) this.#keys.splice(at, 0, key)
    }
  }

  /** Where `key` is, or would be. */
  indexOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] as string) < key) low = middle + 1
      else high = middle
    }
    return low
  }

  from(start: string, limit: number): string[] {
    const first = this.indexOf(start)
    return this.#keys.slice(first, first + limit)
  }

  count(prefix: string): number {
    return this.indexOf(`${prefix}\uffff`) - this.indexOf(prefix)
  }
}
