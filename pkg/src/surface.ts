// What every entry exports, beside an `open` of its own.

export { bytes, json, utf8 } from './codecs.js'
export { type ErrorDetails, RevkvError } from './errors.js'
export type * from './types.js'
