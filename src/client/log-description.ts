/**
 * `log.describe()`: sizes and times of everything, from memory but for the first batch of each
 * partition.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import type { LogTopic } from '../log/open-topics.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import { attributesOf, batchSizeBytesOf, isControlBatch } from '../format/record-batch.ts'
import type { LogDescription } from './log-reports.ts'

const READ_BYTES = 16_384

/** Describes these topics. */
export function describeLog(topics: readonly LogTopic[]): LogDescription {
  const described = topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(describePartition),
  }))
  const bytes = described
    .flatMap((topic) => topic.partitions)
    .reduce((sum, partition) => sum + partition.bytes, 0)
  return { bytes, topics: described }
}

function describePartition(
  log: PartitionLog,
): LogDescription['topics'][number]['partitions'][number] {
  let newest = -1
  for (const segment of log.segments)
    if (segment.nextOffset > log.logStartOffset) newest = Math.max(newest, segment.largestTimestamp)
  return {
    partition: log.partition,
    offsets: log.logEndOffset - log.logStartOffset,
    bytes: log.logBytes,
    segments: log.segments.count,
    oldestTimestamp: firstTimestamp(log),
    newestTimestamp: newest < 0 || log.logEndOffset === log.logStartOffset ? null : newest,
  }
}

/** Null where there is none, or where damage hides it: a description is given all the same. */
function firstTimestamp(log: PartitionLog): number | null {
  try {
    return timestampOfFirstRecord(log)
  } catch (error) {
    if (error instanceof CorruptBytes || LogError.is(error, 'CORRUPT')) return null
    throw error
  }
}

function timestampOfFirstRecord(log: PartitionLog): number | null {
  const cursor = log.cursor(log.logStartOffset, { readBytes: READ_BYTES })
  const reader = new RecordBatchReader()
  for (
    let run = cursor.next(log.highWatermark);
    run !== undefined;
    run = cursor.next(log.highWatermark)
  ) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (isControlBatch(attributesOf(run.buffer, at))) continue
      reader.reset(run.buffer, at, log.config.maxDecompressedBytes)
      while (reader.next()) if (reader.offset >= log.logStartOffset) return reader.timestamp
    }
  }
  return null
}
