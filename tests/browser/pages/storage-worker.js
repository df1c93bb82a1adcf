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

  /** Has the database open, and writes to it until it is refused; one write stops for a while, before or after its bytes. */
  async hold({ name, epoch, stops }) {
    const handle = await opfs().open(name)
    let written = (await blobsIn(handle)).length
    const stopsAt = written + 50
    for (;;) {
      try {
        if (written === stopsAt) stopOnce(stops)
        await handle.write({ epoch, put: [blob(written + 1)], delete: [] }, written % 3 === 0 ? 'strict' : 'relaxed')
        postMessage({ written: ++written })
        // Nobody hears of it before.
        if (written % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 4))
      } catch (error) {
        await handle.close()
        return { written, refused: error.code }
      }
    }
  },

  /** Opens the database, whoever has it open; gives what is there, and writes one more. */
  async take({ name, epoch }) {
    const handle = await opfs().open(name)
    const found = await blobsIn(handle)
    await handle.write({ epoch, put: [blob(found.length + 1)], delete: [] }, 'strict')
    await handle.close()
    return found
  },

  async folders({ name }) {
    const root = await navigator.storage.getDirectory()
    const names = []
    for await (const key of (await root.getDirectoryHandle(`revkv-${name}`)).keys()) names.push(key)
    return names.sort()
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

/** The next write to a file takes as long as another worker needs to take the database, as if the process were stopped. */
function stopOnce(when) {
  const { prototype } = FileSystemSyncAccessHandle
  const { write } = prototype
  prototype.write = function (...given) {
    prototype.write = write
    const stop = () => {
      for (const end = performance.now() + 2500; performance.now() < end; );
    }
    if (when === 'before') stop()
    const length = write.apply(this, given)
    if (when === 'after') stop()
    return length
  }
}

function blob(number) {
  return { id: String(number).padStart(16, '0'), bytes: new Uint8Array(1 + ((number * 7919) % 6_000)) }
}

async function blobsIn(handle) {
  const found = []
  for await (const { id, bytes } of handle.read()) found.push([Number(id), bytes.length])
  return found
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
