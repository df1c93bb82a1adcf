export { bytes, json, utf8 } from './codecs.js'
export { type ErrorDetails, RevkvError } from './errors.js'
export { open } from './open.js'
export type * from './types.js'
