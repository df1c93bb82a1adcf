import { open } from 'revkv'
import { file } from 'revkv/storage/file'
import { visit } from './scenario.js'

// Jest's console says of each line where it was printed.
const print = (line) => process.stdout.write(`revkv: ${line}\n`)

test('a visit', () => visit({ open, storage: file({ folder: 'data' }), print }))
