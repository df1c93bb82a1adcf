// React hooks: what a component reads from a store, read again when it changes. A store that is null or undefined is one that
// is not there yet.

import { useMemo, useSyncExternalStore } from 'react'
import type { Key, ListOptions, ListResult, Live, Range, ReadView } from './types.js'

/** The one thing of a store that the hooks use. Every `Store` is one. */
export interface LiveSource<V> {
  /** `Store.live`. */
  live<T>(query: (view: ReadView<V>) => T): Live<T>
}

/**
 * The value of a key, undefined where absent. The component renders again when the key changes, and only then.
 * Where there is no store yet (on a server, or until `open` has resolved) it is null or undefined, and the value is
 * undefined. What `get` throws is thrown while rendering.
 *
 * @example
 * function Theme({ store }: { store: Store<string> }) {
 *   return <p>{useGet(store, 'flag/theme') ?? 'light'}</p>
 * }
 */
export function useGet<V>(store: LiveSource<V> | null | undefined, key: Key): V | undefined {
  return useLive(store, (view) => view.get(key), [identityOf(key)])
}

/**
 * The entries of a range, with the options that `list` takes; the same result until something in the range changes.
 * Ranges and options count by what is in them, so they may be written in place.
 *
 * @example
 * const users = useList(store, { prefix: 'users/' }, { limit: 20 })
 * return <ul>{users.toArray().map((user) => <li key={user.key}>{user.value.name}</li>)}</ul>
 */
export function useList<V>(store: LiveSource<V>, range: Range, options?: ListOptions): ListResult<V>
export function useList<V>(
  store: LiveSource<V> | null | undefined,
  range: Range,
  options?: ListOptions,
): ListResult<V> | undefined
export function useList<V>(store: LiveSource<V> | null | undefined, range: Range, options?: ListOptions) {
  return useLive(store, (view) => view.list(range, options), [identityOf(range), identityOf(options)])
}

/**
 * What `query` gives, asked again when something that it read has changed; all it reads is of one revision.
 *
 * A query written in place is a new one each time the component renders, and is asked again then. To keep what it gave,
 * name what it depends on, as for `useMemo`, or give a function that stays the same.
 *
 * On a server it is asked once. A page that takes over what a server has rendered has to show the same at first: give it a
 * store that says the same, or on both sides none, and the store when it is open.
 *
 * @example
 * const open = useLive(store, (view) => view.count({ prefix: `todo/${list}/` }), [list])
 */
export function useLive<V, T>(store: LiveSource<V>, query: (view: ReadView<V>) => T, deps?: readonly unknown[]): T
export function useLive<V, T>(
  store: LiveSource<V> | null | undefined,
  query: (view: ReadView<V>) => T,
  deps?: readonly unknown[],
): T | undefined
export function useLive<V, T>(
  store: LiveSource<V> | null | undefined,
  query: (view: ReadView<V>) => T,
  deps: readonly unknown[] = [query],
): T | undefined {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the caller says what the query depends on.
  const live = useMemo(() => (store ? store.live(query) : nothing), [store, ...deps])
  const [subscribe, value] = useMemo(
    () => [(onChange: () => void) => live.subscribe(onChange), () => live.value],
    [live],
  )
  return useSyncExternalStore(subscribe, value, value)
}

const nothing: Live<undefined> = { value: undefined, subscribe: () => () => {} }

/** Equal for what says the same, so that it can be one of the things that a query depends on. */
function identityOf(given: unknown): string {
  if (typeof given !== 'object' || given === null) return typeof given + String(given)
  if (ArrayBuffer.isView(given)) return String(given)
  return JSON.stringify(Object.entries(given).map(([name, value]) => [name, identityOf(value)]))
}
