// The playground: opens one IndexedDB store and joins the parts of the page over it.
import { open, utf8 } from 'revkv'
import { indexedDb } from 'revkv/storage/indexeddb'
import { Entries } from './entries.js'
import { History } from './history.js'
import { Log } from './log.js'
import { Notice } from './notice.js'
import { find } from './page.js'
import { Timeline } from './timeline.js'
import { Visit } from './visit.js'

const notice = new Notice(() => void restart())
let opening = new AbortController()
let visit: Visit | undefined

async function start(): Promise<void> {
  opening = new AbortController()
  const { signal } = opening
  notice.say('Opening the store…')
  try {
    const store = await open({ name: 'playground', storage: indexedDb(), values: utf8, signal })
    visit = new Visit(store, notice)
    join(visit)
    notice.say('')
  } catch (error) {
    if (!signal.aborted) notice.show(error)
  }
}

async function end(): Promise<void> {
  opening.abort()
  const ending = visit
  visit = undefined
  try {
    await ending?.end()
  } catch {
    // What could not be written was said when it failed.
  }
}

async function restart(): Promise<void> {
  await end()
  await start()
}

function join(visit: Visit): void {
  const { store, signal } = visit
  new Timeline(visit)
  new Entries(visit)
  new History(visit)
  new Log(visit)
  visit.onDraw(() => drawStatus(visit))
  store.addEventListener('durable', () => visit.draw(), { signal })
  store.addEventListener('compacted', () => visit.draw(), { signal })
  store.addEventListener('role', () => visit.draw(), { signal })
  // How many follow, and how far this one is behind, is told by no event.
  const timer = setInterval(() => drawStatus(visit), 1000)
  signal.addEventListener('abort', () => clearInterval(timer))
  store.addEventListener('error', ({ detail }) => notice.show(detail.error), { signal })
  find('main', HTMLElement).hidden = false
}

function drawStatus({ store }: Visit): void {
  find('#role', HTMLElement).textContent = describeRole(store)
  find('#revision', HTMLElement).textContent = String(store.revision)
  find('#durable-revision', HTMLElement).textContent = String(store.durableRevision)
  find('#compact-revision', HTMLElement).textContent =
    store.compactRevision === 0 ? 'never' : String(store.compactRevision)
}

function describeRole(store: Visit['store']): string {
  const { followers, lag } = store.stats()
  if (store.role === 'follower') return lag === 0 ? 'follower, up to date' : `follower, ${lag} behind`
  return `${store.role}, followed by ${followers}`
}

void start()
