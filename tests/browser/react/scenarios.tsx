// What components do with a store, each as a function that a page runs. It mounts, waits for what should show, and gives
// what it has seen; the expectations are in react.test.ts.

import { Component, type ReactNode, StrictMode, Suspense, startTransition, use, useLayoutEffect, useState } from 'react'
import { createRoot, hydrateRoot, type Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { open, RevkvError, type Store } from 'revkv'
import { useGet, useList, useLive } from 'revkv/react'
import { act, container, settled, shown } from './page.js'
import { Todos } from './todos.js'

const engine = () => new URL('/revkv/revkv.wasm', location.href)

async function openStore(): Promise<Store<number>> {
  return open<number>({ durability: 'memory', wasm: engine() })
}

/** Mounts, runs, unmounts; gives what `play` gave and how many watches are left. */
async function visit<T>(
  element: (store: Store<number>) => ReactNode,
  play: (store: Store<number>, root: Root) => Promise<T>,
): Promise<{ seen: T; watchers: number }> {
  const store = await openStore()
  const root = createRoot(container())
  root.render(element(store))
  await settled()
  try {
    const seen = await play(store, root)
    root.unmount()
    await settled()
    return { seen, watchers: store.stats().watchers }
  } finally {
    await store.close()
  }
}

/** A key's changes are shown, and other keys' make no render. */
export async function get() {
  const renders: (number | undefined)[] = []
  function Value({ store }: { store: Store<number> }) {
    const value = useGet(store, 'a')
    renders.push(value)
    return <p>{value ?? 'absent'}</p>
  }
  return visit(
    (store) => <Value store={store} />,
    async (store) => {
      const texts = [shown()]
      for (const write of [
        () => store.put('a', 1),
        () => store.put('b', 1),
        () => store.put('a', 2),
        () => store.delete('a'),
      ]) {
        await act(write)
        texts.push(shown())
      }
      return { texts, renders, watchers: store.stats().watchers }
    },
  )
}

/** A range and options that are written in place are the same ones at each render, and so is the result. */
export async function list() {
  const results = new Set<unknown>()
  let renders = 0
  let again = () => {}
  function Keys({ store }: { store: Store<number> }) {
    again = useState(0)[1].bind(undefined, (n: number) => n + 1)
    const result = useList(store, { prefix: 'a/', end: new TextEncoder().encode('a/z') }, { limit: 2, reverse: true })
    results.add(result)
    renders++
    return <p>{`${result.toArray().map((entry) => `${entry.key}=${entry.value}`)} of ${result.count}`}</p>
  }
  return visit(
    (store) => <Keys store={store} />,
    async (store) => {
      const texts = [shown()]
      await act(() => store.txn({ then: [1, 2, 3].map((n) => ({ put: [`a/${n}`, n] })) }))
      texts.push(shown())
      await act(() => store.put('b/1', 1))
      await act(() => again())
      await act(() => again())
      texts.push(shown())
      return { texts, renders, results: results.size }
    },
  )
}

/** A key that changes is another key: the old one's changes are nothing any more. */
export async function key() {
  const encode = (text: string) => new TextEncoder().encode(text)
  let renders = 0
  function Value({ store, of }: { store: Store<number>; of: string }) {
    renders++
    // Bytes made at each render: what is in them counts.
    return <p>{useGet(store, encode(of)) ?? 'absent'}</p>
  }
  return visit(
    (store) => <Value store={store} of="a" />,
    async (store, root) => {
      await act(() => store.txn({ then: [{ put: ['a', 1] }, { put: ['b', 2] }] }))
      const texts = [shown()]
      await act(() => root.render(<Value store={store} of="b" />))
      texts.push(shown())
      const rendersThen = renders
      await act(() => store.put('a', 3))
      const rendersOfOldKey = renders - rendersThen
      await act(() => store.put('b', 4))
      texts.push(shown())
      return { texts, rendersOfOldKey, watchers: store.stats().watchers }
    },
  )
}

/** A query written in place sees the props of its render. */
export async function query() {
  const renders: string[] = []
  function Sum({ store, below }: { store: Store<number>; below: number }) {
    const values = useLive(store, (view) =>
      view
        .list({ prefix: 'n/' })
        .toArray()
        .map(({ value }) => value),
    )
    const sum = useLive(store, (view) =>
      view
        .list({ prefix: 'n/' })
        .toArray()
        .reduce((sum, { value }) => (value < below ? sum + value : sum), 0),
    )
    renders.push(`${values} ${below} ${sum}`)
    return <p>{`${values} ${sum}`}</p>
  }
  return visit(
    (store) => <Sum store={store} below={10} />,
    async (store, root) => {
      await act(() => store.txn({ then: [5, 8, 20].map((n) => ({ put: [`n/${n}`, n] })) }))
      await act(() => root.render(<Sum store={store} below={6} />))
      await act(() => store.put('n/1', 1))
      await act(() => store.put('other', 1))
      return { renders, watchers: store.stats().watchers }
    },
  )
}

/** With what it depends on named, what a query gave stays the same until that, or what it read, changes. */
export async function deps() {
  const results: unknown[] = []
  let asked = 0
  let again = () => {}
  function Values({ store, prefix }: { store: Store<number>; prefix: string }) {
    again = useState(0)[1].bind(undefined, (n: number) => n + 1)
    const values = useLive(
      store,
      (view) => {
        asked++
        return view
          .list({ prefix })
          .toArray()
          .map(({ value }) => value)
      },
      [prefix],
    )
    results.push(values)
    return <p>{`${values}`}</p>
  }
  return visit(
    (store) => <Values store={store} prefix="a/" />,
    async (store, root) => {
      await act(() => again())
      await act(() => again())
      const askedAtFirst = asked
      await act(() => store.put('a/1', 1))
      await act(() => again())
      await act(() => root.render(<Values store={store} prefix="b/" />))
      return { results: results.map((result) => results.indexOf(result)), askedAtFirst, text: shown() }
    },
  )
}

/** Many components that take long to render, and a write between two of them: no frame shows two revisions. */
export async function tearing() {
  const frames: string[] = []
  let rendered = 0
  let between = () => {}
  function Slow({ store }: { store: Store<number> }) {
    const end = performance.now() + 3
    const value = useGet(store, 'n')
    const twice = useGet(store, 'twice')
    while (performance.now() < end);
    rendered++
    between()
    return <i>{`${value}:${twice};`}</i>
  }
  function Frame({ store, count }: { store: Store<number>; count: number }) {
    useLayoutEffect(() => {
      frames.push([...new Set(shown().split(';'))].filter(Boolean).join(' '))
    })
    return Array.from({ length: count }, (_, n) => `${n}`).map((name) => <Slow key={name} store={store} />)
  }
  return visit(
    (store) => <Frame store={store} count={1} />,
    async (store, root) => {
      const write = (n: number) => store.txn({ then: [{ put: ['n', n] }, { put: ['twice', 2 * n] }] })
      await act(() => write(1))
      // The scheduler yields every few milliseconds, which is when this write comes.
      let written = 1
      between = () => {
        if (rendered % 10 === 0 && written < 4) setTimeout(() => void write(++written))
      }
      rendered = 0
      startTransition(() => root.render(<Frame store={store} count={60} />))
      await settled(() => shown().split(';').length === 61 && shown().startsWith('4:8;'))
      return { frames, last: [...new Set(shown().split(';'))].filter(Boolean) }
    },
  )
}

/** What is written after the render and before anybody listens is shown. */
export async function between() {
  function Writer({ store }: { store: Store<number> }) {
    useLayoutEffect(() => {
      void store.put('a', 7)
    }, [store])
    return null
  }
  function Value({ store }: { store: Store<number> }) {
    return <p>{useGet(store, 'a') ?? 'absent'}</p>
  }
  return visit(
    (store) => (
      <>
        <Value store={store} />
        <Writer store={store} />
      </>
    ),
    async () => shown(),
  )
}

/** Effects that run twice leave one watch each while mounted, and none after. */
export async function strict() {
  function Values({ store }: { store: Store<number> }) {
    const value = useGet(store, 'a')
    const count = useList(store, { prefix: 'a' }).length
    const twice = useLive(store, (view) => (view.get('a') ?? 0) * 2)
    return <p>{`${value} ${count} ${twice}`}</p>
  }
  return visit(
    (store) => (
      <StrictMode>
        <Values store={store} />
      </StrictMode>
    ),
    async (store) => {
      await act(() => store.put('a', 1))
      await act(() => store.put('a', 2))
      return shown()
    },
  )
}

/** A render that is never committed leaves no watch behind. */
export async function abandoned() {
  const never = new Promise<never>(() => {})
  let renders = 0
  function Waiting({ store }: { store: Store<number> }): ReactNode {
    renders++
    useGet(store, 'a')
    useLive(store, (view) => view.count())
    if (typeof use === 'function') return use(never)
    throw never
  }
  return visit(
    (store) => (
      <Suspense fallback={<p>waiting</p>}>
        <Waiting store={store} />
      </Suspense>
    ),
    async (store) => ({ text: shown(), rendered: renders > 0, watchers: store.stats().watchers }),
  )
}

/** What the README shows. */
export async function readme() {
  const store = await open<{ title: string }>({ durability: 'memory', wasm: engine() })
  const root = createRoot(container())
  root.render(<Todos store={store} />)
  await settled()
  await act(() => store.put('todo/1', { title: 'write' }))
  await act(() => store.put('todo/2', { title: 'read' }))
  await act(() => store.delete('todo/1'))
  const text = shown()
  root.unmount()
  await store.close()
  return text
}

class Boundary extends Component<{ children: ReactNode }, { failed?: unknown }> {
  override state: { failed?: unknown } = {}
  static getDerivedStateFromError(failed: unknown) {
    return { failed }
  }
  override render(): ReactNode {
    const { failed } = this.state
    if (failed === undefined) return this.props.children
    return <p>{RevkvError.is(failed) ? failed.code : String(failed)}</p>
  }
}

/** What a query throws, at first or later, is thrown while rendering. */
export async function failing() {
  function Value({ store, of }: { store: Store<number>; of: string }) {
    return <p>{useGet(store, of) ?? 'absent'}</p>
  }
  function Failing({ store }: { store: Store<number> }) {
    const value = useLive(store, (view) => {
      if (view.get('a') === 1) throw new Error('as asked')
      return 'none yet'
    })
    return <p>{value}</p>
  }
  // React 19 tells the root of what a boundary has caught, React 18 the window.
  const options = { onCaughtError: () => {} }
  const handled = (event: ErrorEvent) => event.preventDefault()
  addEventListener('error', handled)
  const store = await openStore()
  const texts: string[] = []
  for (const element of [
    <Value key="1" store={store} of="" />,
    <Value key="2" store={store} of={'\ud800'} />,
    <Failing key="3" store={store} />,
  ]) {
    const root = createRoot(container(), options)
    root.render(<Boundary>{element}</Boundary>)
    await settled()
    texts.push(shown())
    await act(() => store.put('a', 1))
    if (texts.at(-1) !== shown()) texts.push(shown())
    root.unmount()
    await settled()
    await store.delete('a')
  }
  removeEventListener('error', handled)
  const { watchers } = store.stats()
  await store.close()
  return { texts, watchers }
}

/** A page takes over what a server has rendered, from a store that says the same, and goes on from there. */
export async function hydrated() {
  function Values({ store }: { store: Store<number> | undefined }) {
    const value = useGet(store, 'a')
    const count = useList(store, {})?.length
    return <p>{`${value} ${count}`}</p>
  }
  const store = await openStore()
  await store.put('a', 1)
  const texts: string[] = []
  const here = container()
  here.innerHTML = renderToString(<Values store={store} />)
  texts.push(shown())
  const paragraph = here.firstChild
  const recovered: unknown[] = []
  const root = hydrateRoot(here, <Values store={store} />, { onRecoverableError: (error) => recovered.push(error) })
  await settled()
  await act(() => store.put('a', 2))
  texts.push(shown())
  const kept = here.firstChild === paragraph
  root.unmount()

  // The server has no store, and the page none yet.
  const there = container()
  there.innerHTML = renderToString(<Values store={undefined} />)
  texts.push(shown())
  const later = hydrateRoot(there, <Values store={undefined} />, {
    onRecoverableError: (error) => recovered.push(error),
  })
  await settled()
  await act(() => later.render(<Values store={store} />))
  texts.push(shown())
  await act(() => store.put('a', 3))
  texts.push(shown())
  later.unmount()
  await settled()
  const { watchers } = store.stats()
  await store.close()
  return { texts, kept, recovered: recovered.map(String), watchers }
}
