// The elements of a page, found by selector and checked for what they are.

export function find<E extends Element>(selector: string, kind: new () => E, root: ParentNode = document): E {
  const element = root.querySelector(selector)
  if (element instanceof kind) return element
  throw new Error(`the page has no ${kind.name} at ${selector}`)
}

/** Makes `items` the children of `list`. What is in its place is not touched: whoever has the focus there keeps it. */
export function arrange(list: Element, items: Element[]): void {
  const kept = new Set(items)
  for (const child of [...list.children]) {
    if (!kept.has(child)) child.remove()
  }
  items.forEach((item, i) => {
    const there = list.children.item(i)
    if (there !== item) list.insertBefore(item, there)
  })
}

/** A copy of what the template holds: one list item. */
export function copy(template: string): HTMLLIElement {
  const content = find(template, HTMLTemplateElement).content
  return document.importNode(find('li', HTMLLIElement, content), true)
}
