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
    if (this.#text.length > lettersMax) throw new Status(8, `the request is larger than ${lettersMax} letters`)
    for (;;) {
      if (this.#at === 0) this.#skipBlanks()
      const end = this.#end()
      if (end < 0) return
      const value = this.#text.slice(0, end)
      this.#text = this.#text.slice(end)
      this.#at = 0
      yield value
    }
  }

  #skipBlanks(): void {
    this.#text = this.#text.trimStart()
    const first = this.#text[0]
    if (first !== undefined && !/[[{"\-\w]/.test(first)) throw unexpected(first)
  }

  /** Where the value that the text begins with ends; -1 where it does not. */
  #end(): number {
    const text = this.#text
    for (; this.#at < text.length; this.#at++) {
      if (this.#inString && !this.#leaveString()) return -1
      const end = this.#step(text.charAt(this.#at))
      if (end >= 0) return end
    }
    return -1
  }

  /** Goes to the quote that ends the string. A quote behind an odd number of backslashes is part of it. */
  #leaveString(): boolean {
    for (;;) {
      const quote = this.#text.indexOf('"', this.#at)
      this.#at = quote < 0 ? this.#text.length : quote
      if (quote < 0) return false
      let slashes = 0
      while (this.#text[quote - 1 - slashes] === '\\') slashes++
      if (slashes % 2 === 0) return true
      this.#at++
    }
  }

  /** Takes the letter at hand; gives where the value ends if it ends there. */
  #step(letter: string): number {
    const at = this.#at
    switch (letter) {
      case '"':
        this.#inString = !this.#inString
        return this.#inString || this.#depth > 0 ? -1 : at + 1
      case '{':
      case '[':
        // Behind a bare word something else begins.
        if (this.#depth === 0 && at > 0) return at
        this.#depth++
        return -1
      case '}':
      case ']':
        this.#depth = Math.max(0, this.#depth - 1)
        return this.#depth === 0 ? at + 1 : -1
      default:
        return this.#depth === 0 && /\s/.test(letter) ? at : -1
    }
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
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g, (match) =>
    match[0] === '"' ? match : `"${match}"`,
  )
}
