import { open } from 'revkv'
import { memory } from 'revkv/storage/memory'
import { visit } from '../../scenario.js'

export const runtime = 'edge'

export async function GET() {
  const lines = []
  await visit({ open, storage: memory(), print: (line) => lines.push(`revkv: ${line}`) })
  return new Response(lines.join('\n'))
}
