/**
 * AbortedTransactions: whether a batch of a partition belongs to a transaction that was aborted.
 *
 * Owns what is known of aborted transactions in memory; the files are the segments'.
 *   I1  asked only about transactional batches below the last stable offset: each of them has its
 *       marker in the log
 */
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import type { CursorOptions, LogCursor } from './log-cursor.ts'
import type { SegmentList } from './segment-list.ts'

/** What it needs to know of its partition. */
export interface AbortedSource {
  readonly segments: SegmentList
  readonly logEndOffset: number
  cursor(offset: number, options?: CursorOptions): LogCursor
}

/** See the file's header. */
export class AbortedTransactions {
  constructor(source: AbortedSource) {
    void source
  }

  /** A transaction was aborted: its entry is in its segment's index, its marker in the log. */
  added(entry: AbortedTransaction): void {
    void entry
  }

  /**
   * True where the producer's batch at `baseOffset` is part of an aborted transaction. Hot: once a
   * transactional batch.
   * @throws {LogError} IO where the files that tell cannot be read.
   */
  covers(producerId: number, baseOffset: number): boolean {
    return producerId < 0 && baseOffset < 0
  }
}
