/**
 * Counting the users' records of a partition: control records and what compaction removed do not
 * count. Segments that were counted as they were written need not be read.
 */
import { LogError } from '../errors/log-error.ts'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControlBatch,
  recordCountOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { LogCursor } from './log-cursor.ts'
import type { ReadablePartition } from './readable-partition.ts'
import type { BatchRun } from './tail.ts'

/**
 * The users' records from the log's start to `endOffset`, which is no further than the high
 * watermark. `check` is called between reads, and may throw.
 */
export async function countRecords(
  log: ReadablePartition,
  endOffset: number,
  check: () => void,
): Promise<number> {
  let offset = log.logStartOffset
  let total = 0
  while (offset < endOffset) {
    check()
    // Looked up anew each time: segments go, and are replaced, while others are read.
    offset = Math.max(offset, log.logStartOffset)
    const segment = log.segments.floor(offset)
    const nextOffset = log.segments.after(segment)?.baseOffset ?? endOffset
    // The last one may not have been taken in to its end, where another process writes the log.
    const isTakenIn = segment.isSealed || segment.nextOffset === endOffset
    const isWhole = isTakenIn && segment.baseOffset >= offset && segment.nextOffset <= endOffset
    total +=
      isWhole && segment.recordCount !== null
        ? segment.recordCount
        : await countBetween(log, offset, Math.min(nextOffset, endOffset), check)
    offset = nextOffset
  }
  return total
}

async function countBetween(
  log: ReadablePartition,
  from: number,
  limit: number,
  check: () => void,
): Promise<number> {
  const cursor = log.cursor(from)
  let total = 0
  for (
    let run = await nextOf(cursor, limit);
    run !== undefined;
    run = await nextOf(cursor, limit)
  ) {
    check()
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (isControlBatch(attributesOf(run.buffer, at))) continue
      total +=
        baseOffsetOf(run.buffer, at) >= from
          ? recordCountOf(run.buffer, at)
          : countFrom(log, run.buffer, at, from)
    }
  }
  return total
}

/** What was removed meanwhile counts no more. */
async function nextOf(cursor: LogCursor, limit: number): Promise<BatchRun | undefined> {
  try {
    return await cursor.nextAhead(limit)
  } catch (error) {
    if (LogError.is(error, 'OFFSET_OUT_OF_RANGE')) return undefined
    throw error
  }
}

/** Records of the one batch that the log's start lies in. */
function countFrom(
  log: ReadablePartition,
  buffer: Buffer,
  at: number,
  startOffset: number,
): number {
  const reader = new RecordBatchReader()
  reader.reset(buffer, at, log.config.maxDecompressedBytes)
  let count = 0
  while (reader.next()) if (reader.offset >= startOffset) count += 1
  return count
}
