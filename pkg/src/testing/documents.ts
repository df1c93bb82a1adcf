// JSON documents one after the other in a stream of bytes, with or without a line's end between them.

/** Each document's text, as soon as its last bracket has come. What is no object or list is given at the stream's end. */
export async function* documents(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const reader = stream.getReader()
  let [text, at, depth, isText] = ['', 0, 0, false]
  for (;;) {
    const { done, value } = await reader.read()
    text += done ? decoder.decode() : decoder.decode(value, { stream: true })
    for (; at < text.length; at++) {
      const letter = text[at]
      if (isText) {
        if (letter === '\\') at++
        else if (letter === '"') isText = false
      } else if (letter === '"') isText = true
      else if (letter === '{' || letter === '[') depth++
      else if ((letter === '}' || letter === ']') && --depth === 0) {
        yield text.slice(0, at + 1)
        text = text.slice(at + 1)
        at = -1
      }
    }
    if (done) break
  }
  if (text.trim() !== '') yield text
}
