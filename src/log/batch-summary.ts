/**
 * What a segment has to know of a batch that lies in its file, read from the batch's header.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import {
  attributesOf,
  batchSizeBytesOf,
  isControlBatch,
  lastOffsetOf,
  maxTimestampOf,
  recordCountOf,
} from '../format/record-batch.ts'
import type { BatchSummary } from '../storage/segment-contents.ts'

/** The summary of the batch at `at`, whose header was checked. */
export function summaryOfBatch(buffer: Buffer, at: number): BatchSummary {
  return {
    sizeBytes: batchSizeBytesOf(buffer, at),
    lastOffset: lastOffsetOf(buffer, at),
    maxTimestamp: knownTimestampOf(buffer, at),
    recordCount: isControlBatch(attributesOf(buffer, at)) ? 0 : recordCountOf(buffer, at),
  }
}

/**
 * The largest timestamp of the batch at `at`; -1 where there is none. Others may have written some
 * that no JavaScript number holds, nanoseconds say. Such a batch is whole, and must not be cut for
 * it; lookups by time pass it over.
 */
export function knownTimestampOf(buffer: Buffer, at: number): number {
  try {
    return maxTimestampOf(buffer, at)
  } catch (error) {
    if (error instanceof CorruptBytes) return -1
    throw error
  }
}
