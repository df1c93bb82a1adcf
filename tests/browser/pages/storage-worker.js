// A dedicated worker, where the origin private file system can be had. It is asked by messages: { act, given, id }.
import { storageConformance } from '/revkv/conformance/index.js'
import { open, RevkvError } from '/revkv/index.js'
import { opfs } from '/revkv/storage/opfs.js'

/** The store that is left open. */
let store

const acts = {
  conformance: () => conformance(),

  async open({ name, durability }) {
    store = await open({ name, storage: opfs(), durability })
    store.addEventListener('error', () => {})
    const values = store.history({}).flatMap((change) => (change.type === 'put' ? [change.entry.value] : []))
    return { revision: store.revision, values: values.map((value) => [value.slice(0, 8), value.length]) }
  },

  async put([key, value]) {
    return (await store.put(key, value)).revision
  },

  async close() {
    await store.close()
  },

  /** Writes until it is refused. */
  async fill() {
    let acknowledged = store.revision
    for (;;) {
      try {
        acknowledged = (await store.put('n', 'x'.repeat(60_000))).revision
      } catch (error) {
        const close = await store.close().then(
          () => 'closed',
          (error) => error.code,
        )
        return { acknowledged, refused: error.code, close }
      }
    }
  },

  /** Deletes and compacts what `fill` has written, and writes some of it again. */
  async forget() {
    // The handle that has found no room finds none any more; the refused write has it opened anew.
    const refused = await store.delete('n').then(
      () => 'none',
      (error) => error.code,
    )
    if (refused !== 'none') await store.delete('n')
    await store.compact(store.revision)
    let written = 0
    for (; written < 50; written++) await store.put('n', 'x'.repeat(60_000))
    return { written, revision: store.revision }
  },

  /** Writes for as long as it is let, and says how far it has come. */
  async writeOn({ durability }) {
    for (let i = 1; ; i++) {
      const value = `${i}:`.padEnd(1 + ((i * 7919) % 60_000), 'x')
      await store.put('n', value, { durability })
      postMessage({ written: i })
    }
  },

  /** A process that has ended in the middle of a write, as the next one finds it. */
  async tear({ name }) {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle(`revkv-${name}`)
    const handle = await (await folder.getFileHandle('00000001.log')).createSyncAccessHandle()
    handle.write(new Uint8Array(500), { at: handle.getSize() })
    handle.close()
    let torn
    const onTornTail = (tail) => {
      torn = tail
    }
    const opened = await open({ name, storage: opfs({ onTornTail }) })
    await opened.close()
    return torn
  },
}

async function conformance() {
  const failures = []
  const tests = []
  storageConformance({ name: 'opfs', test: (name, run) => tests.push([name, run]), create: () => opfs() })
  for (const [name, run] of tests) {
    try {
      await run()
    } catch (error) {
      failures.push(`${name}: ${error}`)
    }
    await removeAll()
  }
  return { tests: tests.length, failures }
}

/** The tests share an origin, and each begins with nothing. */
async function removeAll() {
  const root = await navigator.storage.getDirectory()
  const names = []
  for await (const name of root.keys()) names.push(name)
  for (const name of names) await root.removeEntry(name, { recursive: true })
}

addEventListener('message', async ({ data: { act, given, id } }) => {
  try {
    postMessage({ id, answer: await acts[act](given) })
  } catch (error) {
    postMessage({ id, error: RevkvError.is(error) ? error.code : String(error) })
  }
})
