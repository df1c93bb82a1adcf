// What an opening has to report. By itself, so that the published types hold nothing else of the log.

/** What was at the end of the log and is cut off: writes that were never confirmed as durable. */
export interface TornTail {
  file: string
  /** Where the last whole batch ends. */
  offset: number
  bytes: number
}
