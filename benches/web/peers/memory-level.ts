import { MemoryLevel } from 'memory-level'
import type { Value } from '../peer.js'
import { level } from './level.js'

export const memoryLevel = level('memory-level', 'memory', ['page', 'node'], (_, options) => {
  return new MemoryLevel<string, Value>(options)
})
