const { open } = require('revkv')
const { file } = require('revkv/storage/file')
const { visit } = require('./scenario.js')

visit({ open, storage: file({ folder: 'data' }), print: (line) => console.log(`revkv: ${line}`) })
