// What a storage adapter and a transport have to do, as tests; and those that fail as a plan or a seed says.

export {
  type Call,
  type Fault,
  type FaultName,
  type FaultPlan,
  faultNames,
  faultyStorage,
  randomPlan,
} from './faulty.js'
export { type FaultyTransport, faultyTransport, type TransportFaults } from './faulty-transport.js'
export { type ConformanceOptions, storageConformance } from './storage.js'
export { type TransportConformanceOptions, transportConformance } from './transport.js'
