import { BrowserLevel } from 'browser-level'
import type { Value } from '../peer.js'
import { level } from './level.js'

export const browserLevel = level('browser-level', 'IndexedDB', ['page'], (location, options) => {
  return new BrowserLevel<string, Value>(location, options)
})
