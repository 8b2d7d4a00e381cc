/**
 * Damage: a stretch of a stored file that is not what was written, as recovery, verification and
 * repair report it.
 */

/** A stretch of a partition that cannot be read any more, or a file that is not what it was. */
export interface Damage {
  /** Empty for a file of the log's own directory. */
  readonly topic: string
  /** -1 for a file of the log's own directory. */
  readonly partition: number
  /** Relative to the log's directory. */
  readonly file: string
  readonly position: number
  readonly bytes: number
  /** First and last offset that are gone; null where none is that anybody could have read. */
  readonly firstOffset: number | null
  readonly lastOffset: number | null
  readonly reason: string
}

/** Damage of a file of the log's own directory, all of it. */
export function fileDamage(file: string, bytes: number, reason: string): Damage {
  return {
    topic: '',
    partition: -1,
    file,
    position: 0,
    bytes,
    firstOffset: null,
    lastOffset: null,
    reason,
  }
}
