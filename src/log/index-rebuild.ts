/**
 * Rebuilds the indexes of a segment from its log alone, by a walk over the batch headers. Used
 * where an index file is missing or does not match; recovery builds them while it checks the
 * batches.
 */
import {
  BATCH_HEADER_BYTES,
  batchSizeBytesOf,
  checkBatchHeader,
  lastOffsetOf,
} from '../format/record-batch.ts'
import { summaryOfBatch } from './batch-summary.ts'
import type { Segment } from '../storage/segment.ts'
import { emptyContents } from '../storage/segment.ts'
import { LogWindow } from './log-window.ts'

/**
 * Reads every batch header of `segment` and writes its indexes anew. A header that cannot be right
 * ends the walk: lookups behind it walk from the last entry and meet the damage themselves.
 */
export function rebuildIndexes(segment: Segment): void {
  const { sizeBytes, nextOffset } = segment.contents
  const window = new LogWindow(segment, sizeBytes)
  segment.rewind(emptyContents(segment.baseOffset))
  while (segment.sizeBytes < sizeBytes) {
    const at = window.at(segment.sizeBytes, BATCH_HEADER_BYTES)
    const { buffer } = window
    const check = checkBatchHeader(buffer, at, window.end)
    if (check !== 'ok' && check !== 'incomplete') break
    if (window.end - at < BATCH_HEADER_BYTES || lastOffsetOf(buffer, at) < segment.nextOffset) break
    const batchBytes = batchSizeBytesOf(buffer, at)
    if (segment.sizeBytes + batchBytes > sizeBytes) break
    segment.admit(summaryOfBatch(buffer, at))
  }
  segment.restoreEnd(sizeBytes, nextOffset)
  if (segment.isSealed) segment.completeIndexes()
}
