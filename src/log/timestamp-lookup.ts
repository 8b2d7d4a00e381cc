/**
 * Lookup by time: the first offset whose record is as late as asked for, as Kafka's
 * UnifiedLog.fetchOffsetByTimestamp. Times need not ascend: it is the earliest offset that counts.
 */
import {
  attributesOf,
  batchSizeBytesOf,
  isControlBatch,
  maxTimestampOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { PartitionLog } from './partition-log.ts'

const READ_BYTES = 65_536

/**
 * The first offset from the log's start on whose timestamp is at least `timestamp`; null where none
 * is.
 */
export function offsetForTimestamp(log: PartitionLog, timestamp: number): number | null {
  for (const segment of log.segments) {
    if (segment.largestTimestamp < timestamp || segment.nextOffset <= log.logStartOffset) continue
    const before = segment.timeIndex.floor(timestamp - 1)
    const from = Math.max(
      before === undefined ? segment.baseOffset : before.offset + 1,
      log.logStartOffset,
    )
    const found = firstFrom(log, from, timestamp)
    if (found !== null) return found
  }
  return null
}

function firstFrom(log: PartitionLog, offset: number, timestamp: number): number | null {
  const cursor = log.cursor(offset, { reuse: true, readBytes: READ_BYTES })
  const reader = new RecordBatchReader()
  for (
    let run = cursor.next(log.highWatermark);
    run !== undefined;
    run = cursor.next(log.highWatermark)
  ) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (
        maxTimestampOf(run.buffer, at) < timestamp ||
        isControlBatch(attributesOf(run.buffer, at))
      )
        continue
      reader.reset(run.buffer, at, log.config.maxDecompressedBytes)
      while (reader.next()) {
        if (reader.timestamp >= timestamp && reader.offset >= offset) return reader.offset
      }
    }
  }
  return null
}
