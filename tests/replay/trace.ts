// The traces as they are written: see ../traces/README.md. Bytes stay base64, so that both sides compare as text.

export interface Kv {
  key: string
  value: string
  createRevision: number
  modRevision: number
  version: number
  lease: string
}

export interface Event {
  type: 'put' | 'delete'
  kv: Kv
  prevKv: Kv | null
}

export interface Keys {
  key: string
  rangeEnd?: string
}

export interface PutOp {
  type: 'put'
  key: string
  value?: string
  lease?: string
  prevKv?: boolean
  ignoreValue?: boolean
  ignoreLease?: boolean
}

export interface RangeOp extends Keys {
  type: 'range'
  revision?: number
  limit?: number
  keysOnly?: boolean
  countOnly?: boolean
  sortTarget?: 'KEY' | 'VERSION' | 'CREATE' | 'MOD' | 'VALUE'
  sortOrder?: 'NONE' | 'ASCEND' | 'DESCEND'
  minModRevision?: number
  maxModRevision?: number
  minCreateRevision?: number
  maxCreateRevision?: number
}

export interface DeleteRangeOp extends Keys {
  type: 'deleteRange'
  prevKv?: boolean
}

export interface CompareOp extends Keys {
  target: 'VERSION' | 'CREATE' | 'MOD' | 'VALUE' | 'LEASE'
  result: 'EQUAL' | 'NOT_EQUAL' | 'GREATER' | 'LESS'
  version?: number
  createRevision?: number
  modRevision?: number
  value?: string
  lease?: string
}

export interface TxnOp {
  type: 'txn'
  compare: CompareOp[]
  success: OpInTxn[]
  failure: OpInTxn[]
}

export type OpInTxn = PutOp | RangeOp | DeleteRangeOp | TxnOp

export interface WatchOp extends Keys {
  type: 'watch'
  id: string
  startRevision?: number
  prevKv?: boolean
  filters?: ('noput' | 'nodelete')[]
}

export type Op =
  | OpInTxn
  | WatchOp
  | { type: 'compact'; revision: number }
  | { type: 'leaseGrant'; id: string; ttl: number }
  | { type: 'leaseRevoke' | 'leaseTimeToLive'; id: string }
  | { type: 'leaseLeases' }

/** Everything that a watch ever saw. */
export interface Stream {
  events: Event[]
  canceled: { compactRevision: number; reason: string } | null
}

export interface Trace {
  operations: { op: Op; result: Record<string, unknown> }[]
  watches: ({ watch: number } & Stream)[]
}

/** Throws a SyntaxError that names the line. */
export function parse(text: string): Trace {
  const trace: Trace = { operations: [], watches: [] }
  const [head, ...lines] = text.trimEnd().split('\n').map(parseLine)
  if (head?.trace !== 1) throw new SyntaxError('line 1 does not say that this is a trace of version 1')
  for (const line of lines) {
    if ('op' in line) trace.operations.push(line as unknown as Trace['operations'][number])
    else trace.watches.push(line as unknown as Trace['watches'][number])
  }
  if (trace.operations.length === 0) throw new SyntaxError('it records no operation')
  return trace
}

function parseLine(line: string, index: number): Record<string, unknown> {
  try {
    return JSON.parse(withTextIds(line))
  } catch (error) {
    throw new SyntaxError(`line ${index + 1}: ${error instanceof Error ? error.message : error}`)
  }
}

/** A lease's id has 64 bits, more than a number keeps. No key or value looks like one: they are base64. */
function withTextIds(line: string): string {
  return line
    .replace(/"(id|lease)":\s*(-?\d+)/g, '"$1":"$2"')
    .replace(/"ids":\s*\[[^\]]*\]/g, (ids) => ids.replace(/-?\d+/g, '"$&"'))
}
