// What a storage adapter has to do, as tests; and an adapter that fails as a plan says.

export {
  type Call,
  type Fault,
  type FaultName,
  type FaultPlan,
  faultNames,
  faultyStorage,
  randomPlan,
} from './faulty.js'
export { type ConformanceOptions, storageConformance } from './storage.js'
