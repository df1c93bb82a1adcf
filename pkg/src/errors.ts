// The one class of failure, and how what others throw becomes one.

import type { ErrorCode } from './types.js'

/** Registered, so that an error made by another copy of the package is known here. */
const brand = Symbol.for('revkv.error')

/** What an error may carry beside its code and text. */
export interface ErrorDetails {
  revision?: number
  compactRevision?: number
  cause?: unknown
  /** Where the code alone does not say. */
  retryable?: boolean
}

/** Every failure is one of these; compare `code`, never the text. `RevkvError.is(e)` works across copies of the package. */
export class RevkvError extends Error {
  // Said here, because a minifier shortens the class's own name, and the prototype's is what a stack begins with.
  static override readonly name = 'RevkvError'
  static {
    RevkvError.prototype.name = RevkvError.name
  }

  /** What to compare. It does not change from one version to the next. */
  readonly code: ErrorCode
  /** True when doing the same thing again can succeed. */
  readonly retryable: boolean
  declare readonly revision?: number
  declare readonly compactRevision?: number

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.retryable = details.retryable ?? (code === 'CONFLICT' || code === 'STORAGE_BLOCKED')
    if (details.revision !== undefined) this.revision = details.revision
    if (details.compactRevision !== undefined) this.compactRevision = details.compactRevision
    Object.defineProperty(this, brand, { value: true })
  }

  /** True for an error of this class, also for one that another copy of the package has made. */
  static is(e: unknown): e is RevkvError {
    return typeof e === 'object' && e !== null && (e as { [brand]?: unknown })[brand] === true
  }
}

/** An argument the caller has to change. */
export function invalidArgument(message: string, cause?: unknown): RevkvError {
  return new RevkvError('INVALID_ARGUMENT', message, cause === undefined ? {} : { cause })
}

/** A medium's failure: an adapter's own RevkvError as it is, anything else under the code that says what it means. */
export function storageError(e: unknown): RevkvError {
  if (RevkvError.is(e)) return e
  const name = e instanceof Error ? e.name : typeof e
  if (name === 'QuotaExceededError' || isFull(e))
    return new RevkvError('QUOTA_EXCEEDED', 'The storage is full.', { cause: e })
  return new RevkvError('STORAGE_LOST', `The storage failed (${name}); close the store and open it again.`, {
    cause: e,
  })
}

/** What an operating system says of a disk, or a user's share of it, that is full. */
function isFull(e: unknown): boolean {
  return e instanceof Error && ['ENOSPC', 'EDQUOT'].includes((e as { code?: unknown }).code as string)
}
