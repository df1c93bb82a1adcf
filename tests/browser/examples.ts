// The examples of the papers: found in the Markdown, and made into programs that notice when they are no longer true.
import { readFile } from 'node:fs/promises'

const root = new URL('../../', import.meta.url)

export interface Example {
  /** The paper, and the line where the example begins. */
  name: string
  /** As it is shown. */
  source: string
}

/** Every ts block behind a line `<!-- example -->`; where `all`, every one there is. */
export async function examplesOf(paper: string, all = false): Promise<Example[]> {
  const text = await readFile(new URL(paper, root), 'utf8')
  const blocks = all ? /^```ts\n(.*?)^```$/gms : /^<!-- example -->\n```ts\n(.*?)^```$/gms
  return [...text.matchAll(blocks)].map((found) => ({
    name: `${paper}:${text.slice(0, found.index).split('\n').length}`,
    source: found[1] ?? '',
  }))
}

/**
 * The example as a program. A statement that ends with `// => value` has to give that value, one that ends with
 * `// throws CODE` that error; both are on a line of their own.
 */
export function programOf({ source }: Example): string {
  return source
    .replace(/^(.*\S) +\/\/ => (.+)$/gm, (line, expression, value) => {
      return `;example.gives(${expression}, ${value}, ${JSON.stringify(line.trim())});`
    })
    .replace(/^(.*\S) +\/\/ throws ([A-Z_]+)$/gm, (line, statement, code) => {
      return `;await example.throws(async () => { ${statement} }, '${code}', ${JSON.stringify(line.trim())});`
    })
}

/** How many of its lines are checked. */
export function checksOf({ source }: Example): number {
  return [...source.matchAll(/ \/\/ (=> |throws [A-Z_]+$)/gm)].length
}
