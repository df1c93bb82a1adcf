// A request's body: JSON values one after the other, each there as soon as its last letter is. A stream of requests
// (watch, keepalive) goes on for as long as its client likes.

import { Status } from './status.js'

/** Far above what a request of gRPC's size takes as JSON. */
const lettersMax = 16 * 1024 * 1024

/** The values of a body. Throws where it is no JSON; the values before that were given. */
export async function* valuesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void> {
  const decoder = new TextDecoder()
  const scanner = new Scanner()
  for await (const chunk of body) {
    for (const text of scanner.add(decoder.decode(chunk, { stream: true }))) yield parse(text)
  }
  for (const text of scanner.add(`${decoder.decode()}\n`)) yield parse(text)
  if (scanner.isInside) throw Status.invalid('unexpected EOF')
}

/** Finds where a value ends: its last bracket closes, its string does, or a blank follows. */
class Scanner {
  #text = ''
  #at = 0
  #depth = 0
  #inString = false

  get isInside(): boolean {
    return this.#text !== ''
  }

  *add(more: string): Generator<string> {
    this.#text += more
    for (;;) {
      if (this.#at === 0) this.#skipBlanks()
      const end = this.#end()
      if (end < 0) break
      const value = this.#text.slice(0, end)
      this.#text = this.#text.slice(end)
      this.#at = 0
      yield value
    }
    if (this.#text.length > lettersMax) throw new Status(8, `the request is larger than ${lettersMax} letters`)
  }

  #skipBlanks(): void {
    this.#text = this.#text.trimStart()
    const first = this.#text[0]
    if (first !== undefined && !/[[{"\-\w]/.test(first)) throw unexpected(first)
  }

  /** Where the value that the text begins with ends; -1 where it does not. */
  #end(): number {
    const text = this.#text
    while (this.#at < text.length) {
      const letter = text[this.#at] as string
      if (this.#inString && letter === '\\') {
        // What is escaped may be still to come.
        if (this.#at + 1 === text.length) return -1
        this.#at++
      } else if (letter === '"') {
        this.#inString = !this.#inString
        if (!this.#inString && this.#depth === 0) return this.#at + 1
      } else if (!this.#inString) {
        if (letter === '{' || letter === '[') {
          // A bare word that something follows at once.
          if (this.#depth === 0 && this.#at > 0) return this.#at
          this.#depth++
        } else if (letter === '}' || letter === ']') {
          this.#depth--
          if (this.#depth <= 0) {
            this.#depth = 0
            return this.#at + 1
          }
        } else if (this.#depth === 0 && /\s/.test(letter)) {
          return this.#at
        }
      }
      this.#at++
    }
    return -1
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(quoteLongNumbers(text))
  } catch (e) {
    const first = text[0] as string
    // One that is nested beyond what the platform's parser takes is a RangeError.
    throw /[a-z]/i.test(first) && !/^(true|false|null)/.test(text)
      ? unexpected(first)
      : Status.invalid(e instanceof Error ? e.message : String(e))
  }
}

function unexpected(letter: string): Status {
  return Status.invalid(`invalid character '${letter}' looking for beginning of value`)
}

/** An int64 may be written as a number, of which JavaScript would keep 53 bits. */
function quoteLongNumbers(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (match) => (match[0] === '"' ? match : `"${match}"`))
}
