/**
 * Counting the users' records of a partition: control records and what compaction removed do not
 * count. Segments that were counted as they were written need not be read.
 */
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControlBatch,
  recordCountOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { Segment } from '../storage/segment.ts'
import type { PartitionLog } from './partition-log.ts'

/**
 * The users' records from the log's start to its end now. `check` is called between reads, and may
 * throw.
 */
export async function countRecords(log: PartitionLog, check: () => void): Promise<number> {
  const endOffset = log.highWatermark
  const startOffset = log.logStartOffset
  let total = 0
  for (const segment of log.segments) {
    check()
    if (segment.nextOffset <= startOffset || segment.baseOffset >= endOffset) continue
    const isWhole = segment.baseOffset >= startOffset && segment.nextOffset <= endOffset
    total +=
      isWhole && segment.recordCount !== null
        ? segment.recordCount
        : await countInSegment(log, segment, startOffset, endOffset, check)
  }
  return total
}

async function countInSegment(
  log: PartitionLog,
  segment: Segment,
  startOffset: number,
  endOffset: number,
  check: () => void,
): Promise<number> {
  const cursor = log.cursor(Math.max(segment.baseOffset, startOffset))
  const limit = Math.min(segment.nextOffset, endOffset)
  let total = 0
  for (
    let run = await cursor.nextAhead(limit);
    run !== undefined;
    run = await cursor.nextAhead(limit)
  ) {
    check()
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (isControlBatch(attributesOf(run.buffer, at))) continue
      total +=
        baseOffsetOf(run.buffer, at) >= startOffset
          ? recordCountOf(run.buffer, at)
          : countFrom(log, run.buffer, at, startOffset)
    }
  }
  return total
}

/** Records of the one batch that the log's start lies in. */
function countFrom(log: PartitionLog, buffer: Buffer, at: number, startOffset: number): number {
  const reader = new RecordBatchReader()
  reader.reset(buffer, at, log.config.maxDecompressedBytes)
  let count = 0
  while (reader.next()) if (reader.offset >= startOffset) count += 1
  return count
}
