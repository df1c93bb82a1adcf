// When a page is put aside, frozen or into the back/forward cache, and when it is there again. A worker is told nothing of
// the kind; nor is a page that is killed.

/** Hears of it until the function given is called. */
export function onPageLife(leave: () => void, back: () => void): () => void {
  if (typeof document === 'undefined' || typeof document.addEventListener !== 'function') return () => {}
  const shown = (event: Event) => {
    // The first showing of a page is not a return.
    if ((event as PageTransitionEvent).persisted) back()
  }
  const heard: [EventTarget, string, (event: Event) => void][] = [
    [globalThis, 'pagehide', leave],
    [globalThis, 'pageshow', shown],
    [document, 'freeze', leave],
    [document, 'resume', back],
  ]
  for (const [target, type, listener] of heard) target.addEventListener(type, listener)
  return () => {
    for (const [target, type, listener] of heard) target.removeEventListener(type, listener)
  }
}
