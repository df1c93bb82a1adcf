import { DurableObject } from 'cloudflare:workers'
import { open } from 'revkv'
import { durableObject } from 'revkv/storage/durable-object'
import { memory } from 'revkv/storage/memory'
import { visit } from './scenario.js'

async function answer(storage) {
  const lines = []
  const print = (line) => lines.push(`revkv: ${line}`)
  await visit({ open, storage, print }).catch((error) => lines.push(String(error)))
  return new Response(lines.join('\n'))
}

export class Visited extends DurableObject {
  fetch() {
    return answer(durableObject(this.ctx.storage))
  }
}

export default {
  fetch(request, { VISITED }) {
    if (new URL(request.url).pathname !== '/object') return answer(memory())
    return VISITED.get(VISITED.idFromName('one')).fetch(request)
  },
}
