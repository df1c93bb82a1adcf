// One tab of several that share a store, or a worker of it: it is asked for acts, keeps its story, and says which of its
// writes were acknowledged as soon as they are, on the console, where they are heard of though it dies the next moment.
import { open, RevkvError } from '/revkv/index.js'
import { indexedDb } from '/revkv/storage/indexeddb.js'
import { opfs } from '/revkv/storage/opfs.js'
import { tellPageLife } from '/revkv/tabs/index.js'

const storages = { indexeddb: indexedDb, opfs }
const isPage = typeof document !== 'undefined'

let store
/** The values of this tab are told apart from those of others by it. */
let name
let written = 0
/** Writers go on while it is true. */
let isWriting = false
let writers = []
const roles = []
/** What is stored, and what is applied. */
const watched = []
const watchedAtOnce = []
const failed = []

const acts = {
  async open(given) {
    name = given.name
    store = await open({ name: given.database, storage: storages[given.storage](), durability: 'relaxed' })
    store.addEventListener('error', ({ detail }) => say({ trouble: String(detail?.error ?? detail) }))
    store.addEventListener('role', ({ detail }) => {
      roles.push(detail.role)
      say({ role: detail.role, at: Date.now() })
    })
    // Each batch by its revision, and each change in it.
    for (const [watch, options] of [
      [watched, { durable: true }],
      [watchedAtOnce, {}],
    ]) {
      const heard = ({ revision, changes, resync }) =>
        watch.push(resync ? 'resync' : `${revision}: ${changes.map(shown).join()}`)
      store.on({}, heard, { from: 2, ...options, onError: (error) => watch.push(error.code) })
    }
    return store.role
  },

  role: () => store.role,

  revision: () => store.revision,

  async put() {
    await put('idle')
    return Date.now()
  },

  /** Writers that do not wait for each other, until it is stopped. */
  write(count) {
    isWriting = true
    const writeOn = async (key) => {
      while (isWriting) {
        await put(key).catch(() => {})
        // In OPFS all of that may be done in one turn, and nothing else would ever be heard.
        await new Promise((resolve) => setTimeout(resolve))
      }
    }
    writers = Array.from({ length: count }, (_, i) => writeOn(`${name}/${i}`))
  },

  async stop() {
    isWriting = false
    await Promise.all(writers)
  },

  story: () => ({
    role: store.role,
    roles,
    failed,
    watched,
    watchedAtOnce,
    revision: store.revision,
    hash: store.hash().hash,
    history: byRevision(store.history({})),
  }),

  close: () => store.close(),
}

/** A value that nobody else writes, so that each put can be told in the history. */
async function put(key) {
  const value = `${name}-${++written}`
  try {
    const { revision } = await store.put(key, value)
    say({ acknowledged: value, revision })
  } catch (error) {
    failed.push([value, RevkvError.is(error) ? error.code : String(error)])
    throw error
  }
}

function shown(change) {
  return change.type === 'put' ? `${change.entry.key}=${change.entry.value.slice(0, 40)}` : `-${change.key}`
}

/** As a watch has it: all of one revision together. */
function byRevision(changes) {
  const revisions = new Map()
  for (const change of changes) {
    const revision = change.type === 'put' ? change.entry.modRevision : change.modRevision
    revisions.set(revision, [...(revisions.get(revision) ?? []), shown(change)])
  }
  return [...revisions].map(([revision, changes]) => `${revision}: ${changes.join()}`)
}

let say = (told) => postMessage({ told })

async function answer({ act, given, id }, post) {
  try {
    post({ id, answer: await acts[act](given) })
  } catch (error) {
    post({ id, error: RevkvError.is(error) ? `${error.code}: ${error.message}` : String(error?.stack ?? error) })
  }
}

/** The page's way to whoever has the store: itself, or a worker of its own, or one that pages share. */
const homes = {
  page: () => {
    say = tell
    return (asked) => answer(asked, settle)
  },
  worker: () => {
    const worker = new Worker('/pages/tab.js', { type: 'module' })
    tellPageLife(worker)
    worker.onmessage = ({ data }) => (data.told ? tell(data.told) : settle(data))
    globalThis.terminate = () => worker.terminate()
    return (asked) => worker.postMessage(asked)
  },
  shared: () => {
    const { port } = new SharedWorker('/pages/tab.js', { type: 'module' })
    port.onmessage = ({ data }) => (data.told ? tell(data.told) : settle(data))
    return (asked) => port.postMessage(asked)
  },
}

const waiting = new Map()

function settle({ id, answer, error }) {
  const { resolve, reject } = waiting.get(id)
  waiting.delete(id)
  if (error === undefined) resolve(answer)
  else reject(new Error(error))
}

function tell(told) {
  console.debug(`tab ${JSON.stringify(told)}`)
}

if (isPage) {
  globalThis.isCached = false
  addEventListener('pageshow', ({ persisted }) => {
    globalThis.isCached ||= persisted
  })
  const home = homes[new URLSearchParams(location.search).get('in') ?? 'page']()
  let asked = 0
  globalThis.ask = (act, given) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject })
      home({ act, given, id: asked })
    })
} else if ('onconnect' in globalThis) {
  addEventListener('connect', ({ ports: [port] }) => {
    say = (told) => port.postMessage({ told })
    port.onmessage = ({ data }) => answer(data, (said) => port.postMessage(said))
  })
} else {
  // The store hears of the page's life by such messages too.
  addEventListener('message', ({ data }) => data.act && answer(data, postMessage))
}
