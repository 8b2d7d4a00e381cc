/**
 * Lookup by time: the first offset whose record is as late as asked for, as Kafka's
 * UnifiedLog.fetchOffsetByTimestamp. Times need not ascend: it is the earliest offset that counts.
 */
import { LogError } from '../errors/log-error.ts'
import { attributesOf, batchSizeBytesOf, isControlBatch } from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { Segment } from '../storage/segment.ts'
import type { TimestampAndOffset } from '../storage/time-index.ts'
import { knownTimestampOf } from './batch-summary.ts'
import { rebuildIndexes } from './index-rebuild.ts'
import type { PartitionLog } from './partition-log.ts'

const READ_BYTES = 65_536
/** One batch is enough to judge an entry by. */
const HINT_BYTES = 8_192

/**
 * The first offset from the log's start on whose timestamp is at least `timestamp`; null where none
 * is. Timestamps that no number holds exactly are passed over.
 *
 * @throws {CorruptBytes} for a batch on the way that cannot be decoded.
 * @throws {LogError} CORRUPT for one that is not what was written.
 */
export function offsetForTimestamp(log: PartitionLog, timestamp: number): number | null {
  for (const segment of log.segments) {
    if (segment.largestTimestamp < timestamp || segment.nextOffset <= log.logStartOffset) continue
    const from = Math.max(startOfSearch(log, segment, timestamp), log.logStartOffset)
    const found = firstFrom(log, from, segment.nextOffset, timestamp)
    if (found !== null) return found
  }
  return null
}

/** An offset of the segment before which everything is earlier than `timestamp`. */
function startOfSearch(log: PartitionLog, segment: Segment, timestamp: number): number {
  if (segment.needsIndexRebuild) rebuildIndexes(segment)
  const before = segment.timeIndex.floor(timestamp - 1)
  if (before === undefined) return segment.baseOffset
  if (isTrue(log, before)) return before.offset + 1
  rebuildIndexes(segment)
  return (segment.timeIndex.floor(timestamp - 1)?.offset ?? segment.baseOffset - 1) + 1
}

/** An entry is a hint: the batch that holds its offset has to have its timestamp. */
function isTrue(log: PartitionLog, entry: TimestampAndOffset): boolean {
  const cursor = log.cursor(entry.offset, { borrow: true, readBytes: HINT_BYTES })
  try {
    const run = cursor.next(entry.offset + 1)
    return run !== undefined && knownTimestampOf(run.buffer, run.start) === entry.timestamp
  } catch (error) {
    if (LogError.is(error, 'CORRUPT')) return true // What it says can no longer be checked.
    throw error
  }
}

function firstFrom(
  log: PartitionLog,
  offset: number,
  limitOffset: number,
  timestamp: number,
): number | null {
  const limit = Math.min(limitOffset, log.highWatermark)
  const cursor = log.cursor(offset, { borrow: true, readBytes: READ_BYTES })
  const reader = new RecordBatchReader()
  for (let run = cursor.next(limit); run !== undefined; run = cursor.next(limit)) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (knownTimestampOf(run.buffer, at) < timestamp) continue
      if (isControlBatch(attributesOf(run.buffer, at))) continue
      reader.reset(run.buffer, at, log.config.maxDecompressedBytes)
      while (reader.next()) {
        if (reader.timestamp >= timestamp && reader.offset >= offset) return reader.offset
      }
    }
  }
  return null
}
