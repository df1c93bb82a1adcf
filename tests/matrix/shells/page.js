// What an app with a page is made of: a visit on IndexedDB, its lines in the page, and the outcome in the title.

import { open } from 'revkv'
import { indexedDb } from 'revkv/storage/indexeddb'
import { visit } from './scenario.js'

const output = document.querySelector('output')
const print = (line) => {
  output.textContent += `${line}\n`
}

visit({ open, storage: indexedDb(), print }).then(
  () => {
    document.title = 'done'
  },
  (error) => {
    print(`${error.code}: ${error.message}`)
    document.title = 'failed'
  },
)
