// When a page is put aside, frozen or into the back/forward cache, and when it is there again. A worker hears of it from its
// page, if that says so; of a page that is killed, nobody hears anything.

/** What a page tells its worker. */
interface PageLife {
  revkvPage: 'away' | 'back'
}

/** Hears of it until the function given is called. */
export function onPageLife(leave: () => void, back: () => void): () => void {
  if (typeof document === 'undefined') return onToldLife(leave, back)
  if (typeof document.addEventListener !== 'function') return () => {}
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

/** In a dedicated worker. */
function onToldLife(leave: () => void, back: () => void): () => void {
  if (!('WorkerGlobalScope' in globalThis)) return () => {}
  const heard = ({ data }: { data?: Partial<PageLife> | null }) => {
    if (data?.revkvPage === 'away') leave()
    else if (data?.revkvPage === 'back') back()
  }
  const scope = globalThis as unknown as EventTarget
  scope.addEventListener('message', heard as (event: unknown) => void)
  return () => scope.removeEventListener('message', heard as (event: unknown) => void)
}

/**
 * Tells a dedicated worker when this page is put aside, and when it is there again, so that a store that is open there lets
 * go of the lock and of its files, and others can lead at once. Without it, a worker hears nothing of that, and others wait
 * until they take the lead from it. The worker of a page that Chromium freezes stops before it hears of it. Gives what ends it.
 * The worker's own `message` listeners hear of it too: `{ revkvPage: 'away' }` and `{ revkvPage: 'back' }`.
 *
 * @example
 * const worker = new Worker('store.js', { type: 'module' })
 * tellPageLife(worker)
 */
export function tellPageLife(worker: Pick<Worker, 'postMessage'>): () => void {
  const tell = (revkvPage: PageLife['revkvPage']) => worker.postMessage({ revkvPage } satisfies PageLife)
  return onPageLife(
    () => tell('away'),
    () => tell('back'),
  )
}
