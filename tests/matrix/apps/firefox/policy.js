// The policy forbids import maps that lie in the page, too.
import { open } from './node_modules/revkv/dist/index.js'

const output = document.querySelector('output')
open().then(
  (store) => {
    output.textContent = `opened at revision ${store.revision}`
  },
  ({ code, message }) => {
    output.textContent = `refused: ${code}: ${message}`
  },
)
