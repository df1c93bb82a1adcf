import { open } from 'revkv'
import { opfs } from 'revkv/storage/opfs'
import { visit } from './scenario.js'

visit({ open, storage: opfs(), print: (line) => postMessage({ line }) }).then(
  () => postMessage({ title: 'done' }),
  (error) => postMessage({ line: `${error.code}: ${error.message}`, title: 'failed' }),
)
