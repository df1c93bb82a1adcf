// Renders what a store says on a server, and what there is without one; prints both.
import { renderToString } from 'react-dom/server'
import { open, type Store } from 'revkv'
import { useGet, useList, useLive } from 'revkv/react'

function Page({ store }: { store: Store<string> | null }) {
  const theme = useGet(store, 'flag/theme')
  const flags = useList(store, { prefix: 'flag/' })
  const count = useLive(store, (view) => view.count())
  return <p>{`${theme} ${flags?.toArray().map((flag) => flag.key)} ${count}`}</p>
}

const wasm = new Uint8Array(await (await import('node:fs/promises')).readFile(process.argv[2] as string))
const store = await open<string>({ wasm })
await store.put('flag/theme', 'dark')
await store.put('other', 'x')
const html = renderToString(<Page store={store} />)
const { watchers } = store.stats()
await store.close()
console.log(JSON.stringify({ html, without: renderToString(<Page store={null} />), watchers }))
