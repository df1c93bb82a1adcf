// One visit of a story: what is there is compared, and then, if asked to, written on until the browser is killed. It is
// a module of a page, or a dedicated worker, which is where the origin private file system can be had.
import { check, writeOn } from '/kills/story.js'
import { open, RevkvError } from '/revkv/index.js'
import { indexedDb } from '/revkv/storage/indexeddb.js'
import { opfs } from '/revkv/storage/opfs.js'

const storages = { indexeddb: indexedDb, opfs }

/** `tell` hears { found }, then { acknowledged } for each revision, or { failed }. */
async function visit({ storage, durability }, tell) {
  try {
    const store = await open({ name: storage, storage: storages[storage]() })
    tell({ found: check(store) })
    if (!durability) return await store.close()
    const acknowledged = (revision) => tell({ acknowledged: revision })
    await writeOn(store, { durability, writers: 4, acknowledged })
  } catch (error) {
    tell({ failed: RevkvError.is(error) ? `${error.code}: ${error.message}` : String(error) })
  }
}

if (typeof document === 'undefined') addEventListener('message', ({ data }) => visit(data, postMessage))
else globalThis.visit = visit
