/**
 * LogSource: what a cursor and its like read a partition from, whoever writes it: this process, or
 * another one, whose files come, grow and go while they are read.
 *
 *   I1  the list of segments is one object for good: what it holds changes within a call of
 *       `extend` or `lookAgain`, never between two reads of one call of anything else
 */
import type { SegmentList } from './segment-list.ts'
import type { Tail } from './tail.ts'

/** What a cursor reads from. */
export interface LogSource {
  readonly topic: string
  readonly partition: number
  readonly tail: Tail
  readonly segments: SegmentList
  /** No offset was ever left out: a gap is damage. */
  readonly isGapless: boolean
  /** First offset still readable. */
  readonly logStartOffset: number
  /**
   * Takes more of what another process has appended into `segments` and the tail, about a megabyte
   * at a time; false where there is no more, and always in a log that is written here.
   */
  extend(): boolean
  /**
   * After a read that failed: true where the other process has changed the files, or what is known
   * of them, so that it is worth one more try. Always false in a log that is written here.
   */
  lookAgain(): boolean
}

/** How a cursor reads. */
export interface CursorOptions {
  /**
   * Does not even copy where it can: what `next` returns is borrowed until the next call of
   * anything that reads or changes this log, and empty then. For looking things up; never to be
   * handed out.
   */
  readonly borrow?: boolean
  /** Bytes of one read; a larger batch is read whole all the same. */
  readonly readBytes?: number
  /** What the device cannot read is CORRUPT too, for whoever does without it; not `nextAhead`. */
  readonly passesBadSectors?: boolean
}

/** `extend` and `lookAgain` of a log that nobody else writes. */
export function nothingNew(): boolean {
  return false
}
