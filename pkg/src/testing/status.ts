// Failures as gRPC knows them, with etcd's own texts.

import { RevkvError } from '../errors.js'
import type { ErrorCode } from '../types.js'

/** gRPC's number of a code, and the HTTP status under which the gateway sends it. */
const codes = {
  CANCELLED: [1, 408],
  UNKNOWN: [2, 500],
  INVALID_ARGUMENT: [3, 400],
  NOT_FOUND: [5, 404],
  RESOURCE_EXHAUSTED: [8, 429],
  FAILED_PRECONDITION: [9, 400],
  OUT_OF_RANGE: [11, 400],
  UNIMPLEMENTED: [12, 501],
  UNAVAILABLE: [14, 503],
  UNAUTHENTICATED: [16, 401],
} as const

export type Code = keyof typeof codes

export class Status extends Error {
  readonly code: number
  readonly httpStatus: number

  constructor(code: Code, message: string) {
    super(message)
    const [number, httpStatus] = codes[code]
    this.code = number
    this.httpStatus = httpStatus
  }
}

/** What etcd says where the engine refuses. */
const refusals: Partial<Record<ErrorCode, [Code, string]>> = {
  COMPACTED: ['OUT_OF_RANGE', 'etcdserver: mvcc: required revision has been compacted'],
  FUTURE_REVISION: ['OUT_OF_RANGE', 'etcdserver: mvcc: required revision is a future revision'],
  INVALID_KEY: ['INVALID_ARGUMENT', 'etcdserver: key is not provided'],
  KEY_NOT_FOUND: ['INVALID_ARGUMENT', 'etcdserver: key not found'],
  VALUE_PROVIDED: ['INVALID_ARGUMENT', 'etcdserver: value is provided'],
  LEASE_PROVIDED: ['INVALID_ARGUMENT', 'etcdserver: lease is provided'],
  DUPLICATE_KEY: ['INVALID_ARGUMENT', 'etcdserver: duplicate key given in txn request'],
  TOO_MANY_OPERATIONS: ['INVALID_ARGUMENT', 'etcdserver: too many operations in txn request'],
  TOO_LARGE: ['INVALID_ARGUMENT', 'etcdserver: request is too large'],
  QUOTA_EXCEEDED: ['RESOURCE_EXHAUSTED', 'etcdserver: mvcc: database space exceeded'],
  LEASE_NOT_FOUND: ['NOT_FOUND', 'etcdserver: requested lease not found'],
  LEASE_EXISTS: ['FAILED_PRECONDITION', 'etcdserver: lease already exists'],
  CLOSED: ['UNAVAILABLE', 'etcdserver: server stopped'],
}

export function statusOf(error: unknown): Status {
  if (error instanceof Status) return error
  const [code, text] = (RevkvError.is(error) && refusals[error.code]) || (['UNKNOWN', String(error)] as const)
  return new Status(code, text)
}
