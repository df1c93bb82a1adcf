import { open } from 'revkv'
import { file } from 'revkv/storage/file'
import { visit } from './scenario.js'

await visit({ open, storage: file({ folder: 'data' }), print: (line) => console.log(`revkv: ${line}`) })
