// How tabs hear of each other, for those who want another way than the usual one.

export type { Transport, TransportChannel } from '../types.js'
export { broadcast } from './broadcast.js'
export { tellPageLife } from './page.js'
export { type DedicatedScope, messagePort } from './port.js'
