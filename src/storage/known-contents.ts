/**
 * KnownContents: what is known of a segment's batches without reading them, kept up to date batch
 * by batch.
 *
 * Owns the numbers alone; which batches there are is segment.ts' business. Of a segment that
 * another process has filled, the largest timestamp is found out when it is first asked for: a log
 * has thousands of them.
 *   I1  nothing is added up that was not counted: a count that cannot be known is null
 */
import type { BatchSummary, SegmentContents } from './segment-contents.ts'
import type { TimestampAndOffset } from './time-index.ts'

/** Numbers of one segment. */
export class KnownContents {
  sizeBytes = 0
  nextOffset = 0
  /** Largest timestamp of the first batch; -1 where there is none. */
  firstTimestamp = -1
  recordCount: number | null = 0
  #largestTimestamp = -1
  #offsetOfLargestTimestamp = -1
  /** Finds out the largest timestamp, where nobody knows it: batches are admitted by it. */
  #find: (() => void) | undefined

  constructor(contents: SegmentContents) {
    this.take(contents)
  }

  /** The largest timestamp is asked of `find`, which has every batch behind some point admitted. */
  findLargestBy(find: () => void): void {
    this.#find = find
  }

  /** Everything is as `contents` say. */
  take(contents: SegmentContents): void {
    this.sizeBytes = contents.sizeBytes
    this.nextOffset = contents.nextOffset
    this.firstTimestamp = contents.firstTimestamp
    this.recordCount = contents.recordCount
    this.#largestTimestamp = contents.largestTimestamp
    this.#offsetOfLargestTimestamp = contents.offsetOfLargestTimestamp
  }

  /** One more batch, behind the others. */
  admit(batch: BatchSummary): void {
    const { lastOffset, maxTimestamp } = batch
    if (this.sizeBytes === 0) this.firstTimestamp = maxTimestamp
    this.sizeBytes += batch.sizeBytes
    this.nextOffset = lastOffset + 1
    if (this.recordCount !== null) this.recordCount += batch.recordCount
  }

  /** The largest timestamp up to and with a batch that is admitted next. */
  noteTimestamp({ lastOffset, maxTimestamp }: BatchSummary): void {
    if (maxTimestamp <= this.#largestTimestamp) return
    this.#largestTimestamp = maxTimestamp
    this.#offsetOfLargestTimestamp = lastOffset
  }

  /**
   * Largest record timestamp; -1 where there is none.
   * @throws {LogError} IO where it has to be found out and cannot be.
   */
  get largestTimestamp(): number {
    const find = this.#find
    if (find !== undefined) {
      find()
      this.#find = undefined
    }
    return this.#largestTimestamp
  }

  /** The largest timestamp of the batches that were admitted. */
  get largest(): TimestampAndOffset {
    return { timestamp: this.#largestTimestamp, offset: this.#offsetOfLargestTimestamp }
  }
}
