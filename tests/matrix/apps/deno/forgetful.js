import { open } from 'revkv'
import { memory } from 'revkv/storage/memory'
import { visit } from './scenario.js'

await visit({ open, storage: memory(), print: (line) => console.log(`revkv: ${line}`) })
