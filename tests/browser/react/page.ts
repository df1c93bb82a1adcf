// The page that the scenarios mount into, and waiting for React to be done with it.

let current: HTMLElement | undefined

/** A new place to mount into; the one before goes. */
export function container(): HTMLElement {
  current?.remove()
  current = document.createElement('div')
  document.body.append(current)
  return current
}

export function shown(): string {
  return current?.textContent ?? ''
}

/**
 * Waits until nothing has changed in the page for three frames, in which React's scheduler and the store's microtasks have
 * had their turns; and until the condition holds, if there is one.
 */
export async function settled(condition: () => boolean = () => true): Promise<void> {
  let [before, quiet] = [shown(), 0]
  while (quiet < 3) {
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    quiet = condition() && shown() === before ? quiet + 1 : 0
    before = shown()
  }
}

/** Does something and waits for what comes of it. */
export async function act(something: () => unknown): Promise<void> {
  await something()
  await settled()
}
