import { ClassicLevel } from 'classic-level'
import type { Value } from '../peer.js'
import { level } from './level.js'

export const classicLevel = level('classic-level', 'file', ['node'], (location, options) => {
  return new ClassicLevel<string, Value>(location, options)
})
