/** Records and watermarks as the tests of followers compare them. */
import { attributesOf, batchSizeBytesOf, isControlBatch } from '../../../src/format/record-batch.ts'
import { RecordBatchReader } from '../../../src/format/record-batch-reader.ts'
import type { FollowedPartition } from '../../../src/log/follow/followed-partition.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'

const MAX_DECOMPRESSED_BYTES = 1 << 26

/** What became of a record that was appended. */
export interface Written {
  readonly value: string
  readonly producerId: number
  /** Of its batch: a cleaner keeps whole batches. */
  readonly lastOffset: number
  state: 'plain' | 'open' | 'commit' | 'abort'
  /** It may be gone: compacted, or below the start of the log. */
  mayBeGone: boolean
}

/** A record as a test compares it. */
export interface SeenRecord {
  readonly offset: number
  readonly value: string
}

/** The records of the batches there, but for markers. */
export function* recordsIn(buffer: Buffer, start: number, end: number): Generator<SeenRecord> {
  const reader = new RecordBatchReader()
  for (let at = start; at < end; at += batchSizeBytesOf(buffer, at)) {
    if (isControlBatch(attributesOf(buffer, at))) continue
    reader.reset(buffer, at, MAX_DECOMPRESSED_BYTES)
    while (reader.next()) yield { offset: reader.offset, value: valueOf(reader) }
  }
}

/** The value of the record that a reader is at. */
export function valueOf({ buffer, valueStart, valueLength }: RecordBatchReader): string {
  return buffer.toString('utf8', valueStart, valueStart + valueLength)
}

/** How far a partition is. */
export function marksOf(log: FollowedPartition | PartitionLog): {
  readonly logStartOffset: number
  readonly lastStableOffset: number
  readonly highWatermark: number
  readonly logEndOffset: number
} {
  const { logStartOffset, lastStableOffset, highWatermark, logEndOffset } = log
  return { logStartOffset, lastStableOffset, highWatermark, logEndOffset }
}
