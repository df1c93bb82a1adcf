// Where each blob lies, and how much of each segment is still of use.

/** A file of the log. */
export interface Segment {
  readonly number: number
  /** Its length, all frames whole. */
  bytes: number
  /** Blobs in it that are live. */
  live: number
}

export interface Place {
  readonly segment: Segment
  readonly at: number
  readonly length: number
  readonly checksum: number
}

/** What a live blob needs beyond its bytes: its line in the directory of a frame that copies it. */
const entryBytes = 32

/**
 * Invariants:
 * - a segment's `live` is the number of places in it;
 * - `liveBytes` is what a copy of all live blobs would take, but for the headers of its frames.
 */
export class Places {
  readonly #places = new Map<string, Place>()
  liveBytes = 0

  get(id: string): Place | undefined {
    return this.#places.get(id)
  }

  /** Takes the place of an earlier copy, if there is one. */
  put(id: string, place: Place): void {
    this.delete(id)
    this.#places.set(id, place)
    place.segment.live++
    this.liveBytes += place.length + entryBytes
  }

  delete(id: string): void {
    const place = this.#places.get(id)
    if (!place) return
    this.#places.delete(id)
    place.segment.live--
    this.liveBytes -= place.length + entryBytes
  }

  ids(): string[] {
    return [...this.#places.keys()].sort()
  }

  idsIn(segment: Segment): string[] {
    return [...this.#places].filter(([, place]) => place.segment === segment).map(([id]) => id)
  }
}

export function segmentName(number: number): string {
  return `${number.toString().padStart(8, '0')}.log`
}

/** The number in a segment's name; undefined for any other file. */
export function segmentNumber(name: string): number | undefined {
  const digits = /^(\d{8,15})\.log$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
