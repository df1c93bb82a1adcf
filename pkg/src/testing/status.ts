// Failures as etcd's gateway words them: a gRPC code, a message, and the HTTP status that the code stands for.

import { RevkvError } from '../errors.js'
import type { ErrorCode } from '../types.js'

export type GrpcCode = keyof typeof httpStatuses

/** By gRPC code, the status of grpc-gateway. */
const httpStatuses = {
  1: 408, // Canceled
  2: 500, // Unknown
  3: 400, // InvalidArgument
  5: 404, // NotFound
  8: 429, // ResourceExhausted
  9: 400, // FailedPrecondition
  11: 400, // OutOfRange
  12: 501, // Unimplemented
  13: 500, // Internal
  14: 503, // Unavailable
} as const

/** What a request is refused with. */
export class Status extends Error {
  readonly code: GrpcCode

  constructor(code: GrpcCode, message: string) {
    super(message)
    this.code = code
  }

  /** A request that cannot be read. */
  static invalid(message: string): Status {
    return new Status(3, message)
  }

  /** The status of anything that was thrown. */
  static of(e: unknown): Status {
    if (e instanceof Status) return e
    if (!RevkvError.is(e)) return new Status(13, e instanceof Error ? e.message : String(e))
    const known = statuses[e.code]
    return known ? new Status(...known) : new Status(13, e.message)
  }

  get http(): number {
    return httpStatuses[this.code]
  }

  toJSON(): object {
    return { error: this.message, code: this.code, message: this.message }
  }
}

export const compacted = 'etcdserver: mvcc: required revision has been compacted'

const statuses: Partial<Record<ErrorCode, [GrpcCode, string]>> = {
  COMPACTED: [11, compacted],
  FUTURE_REVISION: [11, 'etcdserver: mvcc: required revision is a future revision'],
  INVALID_KEY: [3, 'etcdserver: key is not provided'],
  KEY_NOT_FOUND: [3, 'etcdserver: key not found'],
  VALUE_PROVIDED: [3, 'etcdserver: value is provided'],
  LEASE_PROVIDED: [3, 'etcdserver: lease is provided'],
  DUPLICATE_KEY: [3, 'etcdserver: duplicate key given in txn request'],
  TOO_MANY_OPERATIONS: [3, 'etcdserver: too many operations in txn request'],
  TOO_LARGE: [3, 'etcdserver: request is too large'],
  LEASE_NOT_FOUND: [5, 'etcdserver: requested lease not found'],
  LEASE_EXISTS: [9, 'etcdserver: lease already exists'],
  QUOTA_EXCEEDED: [8, 'etcdserver: mvcc: database space exceeded'],
  CLOSED: [14, 'etcdserver: server stopped'],
}
