import type { Database, Document, Entry, Peer, Value, Visit } from '../peer.js'
import { noSnapshot } from './reasons.js'

type Content = { value: string } | Document
type Pouch = PouchDB.Database<Content>

export const pouchdb: Peer = {
  name: 'pouchdb',
  packages: ['pouchdb-browser'],
  medium: 'IndexedDB',
  places: ['page'],
  plain: 'text',
  strict: false,
  cannot: {
    'get-old': 'has revisions of documents, not of the database',
    'range-old': 'has revisions of documents, not of the database',
    history: 'tells the last change of each document only',
    ...noSnapshot,
  },
  how: 'bulkDocs, allDocs with keys or a range; each put reads the revision that it has to name. A changes feed for each watcher.',
  async open(name) {
    const { default: Pouch } = await import('pouchdb-browser')
    return new PouchDatabase(new Pouch<Content>(name, { revs_limit: 1, auto_compaction: true }))
  },
}

class PouchDatabase implements Database {
  readonly #db: Pouch
  readonly #feeds: PouchDB.Core.Changes<Content>[] = []

  constructor(db: Pouch) {
    this.#db = db
  }

  async load(entries: readonly Entry[]): Promise<void> {
    const { rows } = await this.#db.allDocs({ keys: entries.map(({ key }) => key) })
    const docs = entries.map(({ key, value }, i) => {
      const row = rows[i]
      return { _id: key, ...contentOf(value), ...(row && 'value' in row ? { _rev: row.value.rev } : {}) }
    })
    await this.#db.bulkDocs(docs)
  }

  /** Two at once of one key: the second has read a revision that is gone, and tries again. */
  async put(key: string, value: Value): Promise<void> {
    for (;;) {
      const before = await this.#db.get(key)
      try {
        await this.#db.put({ _id: key, _rev: before._rev, ...contentOf(value) })
        return
      } catch (error) {
        if ((error as { status?: number }).status !== 409) throw error
      }
    }
  }

  async get(key: string): Promise<Value | undefined> {
    return valueIn(await this.#db.get(key))
  }

  async getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    const { rows } = await this.#db.allDocs({ keys: [...keys], include_docs: true })
    return rows.map((row) => ('doc' in row && row.doc ? valueIn(row.doc as unknown as Content) : undefined))
  }

  async range(start: string, limit: number, visit: Visit): Promise<void> {
    const { rows } = await this.#db.allDocs({ startkey: start, limit, include_docs: true })
    for (const { id, doc } of rows) visit(id, valueIn(doc as unknown as Content))
  }

  async count(prefix: string): Promise<number> {
    const { rows } = await this.#db.allDocs({ startkey: prefix, endkey: `${prefix}\uffff` })
    return rows.length
  }

  watch(key: string, listener: () => void): void {
    this.#feeds.push(this.#db.changes({ live: true, since: 'now', doc_ids: [key] }).on('change', listener))
  }

  async readAll(): Promise<number> {
    const { rows } = await this.#db.allDocs({ include_docs: true })
    return new Map(rows.map(({ id, doc }) => [id, valueIn(doc as unknown as Content)])).size
  }

  async compact(): Promise<void> {
    await this.#db.compact()
  }

  close(): Promise<void> {
    for (const feed of this.#feeds) feed.cancel()
    return this.#db.close()
  }
}

function contentOf(value: Value): Content {
  return typeof value === 'string' ? { value } : (value as Document)
}

function valueIn(content: Content): Value {
  return 'value' in content ? content.value : { n: content.n, text: content.text }
}
