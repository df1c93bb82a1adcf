// What a process writes until it is killed, and what the next one has to find.
//
// What each revision says follows from its number, so nothing else has to be remembered: whoever opens the store
// compares every change that it has with what it has to be. A lost write in the middle is a hole, one at the end a
// revision below those that were acknowledged, and half a transaction a change that is missing.
//
// It runs in Node, in pages, in workers and in Durable Objects, and so imports nothing.

import type { Change, Durability, Store, TxnOp } from '../../src/types.js'

const prefix = 'k/'
const single = 40
const paired = 17
/** History is forgotten now and then, up to here before the newest: what rewrites the storage is to be killed, too. */
const retention = 100
const compactedEach = 60

/** What the transaction says that makes this revision. */
export function writeOf(revision: number): TxnOp<string>[] {
  const put = (key: number, part: number): TxnOp<string> => ({ put: [`${prefix}${key}`, textOf(revision, part)] })
  const ops = [put(revision % single, 0)]
  if (revision % 3 === 0) ops.push(put(single + (revision % paired), 1))
  if (revision % 5 === 0) ops.push({ delete: `${prefix}${(revision * 7 + 1) % single}` })
  // A key may be written once in a transaction.
  return revision % 5 === 0 && (revision * 7 + 1) % single === revision % single ? ops.slice(0, -1) : ops
}

/** Mostly short; now and then larger than a blob of any storage. */
function textOf(revision: number, part: number): string {
  const length = 20 + ((revision * 7919 + part) % (revision % 40 === 0 ? 150_000 : 1500))
  return `${revision}.${part};`.repeat(length / 4).slice(0, length)
}

export interface Writing {
  durability: Durability
  /** So many write at the same time. */
  writers: number
  /** Called with each revision that was acknowledged, when it was. */
  acknowledged: (revision: number) => void
}

/** Writes until the process ends. */
export async function writeOn(store: Store<string>, { durability, writers, acknowledged }: Writing): Promise<never> {
  const write = async (): Promise<never> => {
    for (;;) acknowledged(await writeNext(store, durability))
  }
  return await Promise.race(Array.from({ length: writers }, write))
}

/** The write that makes the next revision. */
export async function writeNext(store: Store<string>, durability: Durability): Promise<number> {
  const next = store.revision + 1
  const { revision } = await store.txn({ then: writeOf(next) }, { durability })
  if (revision !== next) throw new Error(`revision ${revision} in the place of ${next}`)
  if (revision % compactedEach === 0 && revision > retention) await store.compact(revision - retention)
  return revision
}

export interface Found {
  revision: number
  /** Revisions whose every change was compared. */
  compared: number
}

/** Compares all there is with what was written; throws at the first difference. */
export function check(store: Store<string>): Found {
  const { revision, compactRevision } = store
  const first = Math.max(2, compactRevision + 1)
  const present = new Map<string, string>()
  const expected: string[] = []
  for (let at = 2; at <= revision; at++) {
    const changes = apply(present, at)
    if (at >= first) expected.push(...changes)
    if (at === compactRevision) compareState(store, at, present)
  }
  compareState(store, 0, present)
  const seen = first > revision ? [] : store.history({ prefix }, { from: first }).map(written)
  const place = Math.max(seen.length, expected.length)
  for (let i = 0; i < place; i++) {
    if (seen[i] !== expected[i]) throw new Error(`${short(seen[i])} in the place of ${short(expected[i])}`)
  }
  return { revision, compared: revision - first + 1 }
}

/** Does to a map what the revision does to the store; gives its changes, by key, as `written` gives them. */
function apply(present: Map<string, string>, revision: number): string[] {
  const changes: string[] = []
  for (const op of writeOf(revision)) {
    if ('put' in op) {
      const [key, value] = op.put as [string, string]
      present.set(key, value)
      changes.push(`${revision} ${key} ${value}`)
    } else if ('delete' in op && present.delete(op.delete as string)) {
      changes.push(`${revision} ${op.delete} deleted`)
    }
  }
  return changes
}

function written(change: Change<string>): string {
  if (change.type === 'delete') return `${change.modRevision} ${change.key} deleted`
  return `${change.entry.modRevision} ${change.entry.key} ${change.entry.value}`
}

/** `revision` 0: now. */
function compareState(store: Store<string>, revision: number, present: Map<string, string>): void {
  const entries = store.list({ prefix }, { revision }).toArray()
  const wrong = entries.find(({ key, value }) => present.get(key) !== value)
  if (wrong)
    throw new Error(`at ${revision} ${wrong.key} is ${short(wrong.value)}, not ${short(present.get(wrong.key))}`)
  if (entries.length !== present.size)
    throw new Error(`at ${revision} there are ${entries.length} of ${present.size} keys`)
}

function short(text: string | undefined): string {
  return text === undefined ? 'nothing' : `"${text.slice(0, 40)}" (${text.length})`
}
