/**
 * Where in a segment recovery starts to check: at the batch of the last index entry below the
 * recovery point, so that it reads no more than an index interval of what was synced before.
 */
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  checkBatchHeader,
  lastOffsetOf,
} from '../format/record-batch.ts'
import type { Segment } from '../storage/segment.ts'
import { emptyContents, type SegmentContents } from '../storage/segment-contents.ts'
import { knownTimestampOf } from './batch-summary.ts'
import { SectorReads } from './sector-reads.ts'

/** The upper half of the largest offset there is: an incomplete batch was not checked for it. */
const SAFE_UPPER_HALF = 0x1f_ffff

/** Where a check starts. */
export interface CheckStart {
  /** The segment as it is known up to the first batch to be checked. */
  readonly start: SegmentContents
  /** The index files are missing, or lead nowhere: all is checked, and they are built anew. */
  readonly isIndexWrong: boolean
}

/** What a segment is opened with, so that its indexes can be judged before its end is known. */
export function uncheckedContents(baseOffset: number, fileBytes: number): SegmentContents {
  return {
    ...emptyContents(baseOffset),
    sizeBytes: fileBytes,
    nextOffset: Number.MAX_SAFE_INTEGER,
    abortedCount: null,
  }
}

/**
 * The last batch below the recovery point that the indexes lead to; the start where they do not.
 */
export function startOfCheck(
  segment: Segment,
  fileBytes: number,
  recoveryPoint: number,
): CheckStart {
  const nothing = emptyContents(segment.baseOffset)
  const fromStart = { start: nothing, isIndexWrong: false }
  if (recoveryPoint <= segment.baseOffset || fileBytes < BATCH_HEADER_BYTES) return fromStart
  if (segment.needsIndexRebuild) return { start: nothing, isIndexWrong: true }
  const slot = segment.offsetIndex.slotForOffset(recoveryPoint - 1)
  if (slot < 0) return fromStart
  const position = segment.offsetIndex.positionOfSlot(slot)
  const offset = segment.offsetIndex.offsetOfSlot(slot)
  const header = readHeader(segment, position)
  const first = readHeader(segment, 0)
  if (header === undefined || first === undefined || lastOffsetOf(header, 0) !== offset) {
    return { start: nothing, isIndexWrong: true }
  }
  const largest = segment.timeIndex.lastUpTo(offset)
  const start = {
    sizeBytes: position,
    nextOffset: baseOffsetOf(header, 0),
    largestTimestamp: largest?.timestamp ?? -1,
    offsetOfLargestTimestamp: largest?.offset ?? -1,
    firstTimestamp: knownTimestampOf(first, 0),
    recordCount: null,
    abortedCount: null,
    abortedCrc: 0,
  }
  return { start, isIndexWrong: false }
}

function readHeader(segment: Segment, position: number): Buffer | undefined {
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  const read = new SectorReads(segment).read(header, 0, BATCH_HEADER_BYTES, position)
  const check = checkBatchHeader(header, 0, read)
  const isHeader = check === 'ok' || check === 'incomplete'
  const isWhole = isHeader && read === BATCH_HEADER_BYTES
  return isWhole && header.readUInt32BE(0) <= SAFE_UPPER_HALF ? header : undefined
}
