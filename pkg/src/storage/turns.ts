// Batches to one medium one at a time, through however many handles they come: each is judged by what the one before has
// left. For media that one process has to itself and that cannot judge and write in one transaction.

const last = new WeakMap<object, Map<string, Promise<unknown>>>()

/** Runs when everything asked for earlier, of this database in this medium, is done. */
export function inTurn<T>(medium: object, database: string, run: () => Promise<T>): Promise<T> {
  let databases = last.get(medium)
  if (!databases) {
    databases = new Map()
    last.set(medium, databases)
  }
  const result = (databases.get(database) ?? Promise.resolve()).then(run)
  databases.set(
    database,
    result.catch(() => {}),
  )
  return result
}
