'use client'
// Rendered on the server first, where its imports are imported, too; the visit is the browser's.

import { useEffect, useState } from 'react'
import { open } from 'revkv'
import { indexedDb } from 'revkv/storage/indexeddb'
import { visit } from '../scenario.js'

export default function Page() {
  const [lines, setLines] = useState([])
  useEffect(() => {
    const seen = []
    visit({ open, storage: indexedDb(), print: (line) => seen.push(line) }).then(
      () => {
        setLines(seen)
        document.title = 'done'
      },
      (error) => {
        setLines([`${error.code}: ${error.message}`])
        document.title = 'failed'
      },
    )
  }, [])
  return <output>{lines.map((line) => `${line}\n`)}</output>
}
