/**
 * What is known of a segment and of a batch without reading them: the values that segment.ts keeps,
 * recovery finds out and the clean marker remembers.
 */

/** What is known of a segment's contents without reading them. */
export interface SegmentContents {
  readonly sizeBytes: number
  readonly nextOffset: number
  /** Largest record timestamp; -1 where there is none. */
  readonly largestTimestamp: number
  /** Last offset of the earliest batch that has it; -1 where there is none. */
  readonly offsetOfLargestTimestamp: number
  /**
   * Largest timestamp of the first batch, from which the age of the segment counts; -1 where there
   * is none.
   */
  readonly firstTimestamp: number
  /** User records held; null where nobody counted them. */
  readonly recordCount: number | null
  /** Aborted transactions whose marker it holds; null where nobody vouches for its .txnindex. */
  readonly abortedCount: number | null
  /** CRC-32C of the .txnindex; 0 where there is nothing in it, or nobody vouches for it. */
  readonly abortedCrc: number
}

/** What a segment has to know of a batch. */
export interface BatchSummary {
  readonly sizeBytes: number
  readonly lastOffset: number
  /** -1 where there is none. */
  readonly maxTimestamp: number
  /** User records in it: 0 for a control batch. */
  readonly recordCount: number
}

/** A validated batch with its offsets assigned. */
export interface BatchBytes extends BatchSummary {
  readonly buffer: Buffer
  readonly start: number
}

/** Contents of a segment without a batch. */
export function emptyContents(baseOffset: number): SegmentContents {
  return {
    sizeBytes: 0,
    nextOffset: baseOffset,
    largestTimestamp: -1,
    offsetOfLargestTimestamp: -1,
    firstTimestamp: -1,
    recordCount: 0,
    abortedCount: 0,
    abortedCrc: 0,
  }
}
