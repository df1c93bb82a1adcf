import { open } from 'revkv'
import { file } from 'revkv/storage/file'
import { test } from 'vitest'
import { visit } from './scenario.js'

test('a visit', () =>
  visit({ open, storage: file({ folder: 'data' }), print: (line) => console.log(`revkv: ${line}`) }))
