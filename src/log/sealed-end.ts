/**
 * How a sealed segment ends, found out without reading all of it: from the last entries of its
 * indexes a walk over the batches behind them. Recovery takes a segment below the recovery point as
 * it is where this walk comes out at the end of the file; then nothing was cut off, and a segment
 * that is missing behind it shows.
 *
 * An index file that lost entries at its end makes the walk longer, never the answer wrong.
 */
import {
  baseOffsetOf,
  batchSizeBytesOf,
  BATCH_HEADER_BYTES,
  checkBatch,
  lastOffsetOf,
  leaderEpochOf,
} from '../format/record-batch.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  readIndexPosition,
  readIndexRelativeOffset,
} from '../format/offset-index-entry.ts'
import {
  readTimeIndexRelativeOffset,
  readTimeIndexTimestamp,
  TIME_INDEX_ENTRY_BYTES,
} from '../format/time-index-entry.ts'
import { isDeviceFailure } from '../storage/file-failure.ts'
import type { Procedure } from '../storage/procedure.ts'
import { emptyContents, type SegmentContents } from '../storage/segment-contents.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import type { StorageDriver, StorageFile } from '../storage/storage-driver.ts'
import { knownTimestampOf } from './batch-summary.ts'
import { nextTurn } from './clock.ts'
import { LogWindow } from './log-window.ts'
import { SectorReads } from './sector-reads.ts'

/** Bytes walked before other work of the process gets its turn. */
const SLICE_BYTES = 4_194_304

const UNCOUNTED = { recordCount: null, abortedCount: null } as const

/** What the end of a segment tells. */
export interface SealedEnd {
  readonly contents: SegmentContents
  /**
   * Leader epoch of its last batch and a batch from which on it holds; undefined without a batch.
   */
  readonly epoch: { readonly leaderEpoch: number; readonly startOffset: number } | undefined
}

/** What the walk has come to. */
interface Walk {
  position: number
  nextOffset: number
  largestTimestamp: number
  offsetOfLargestTimestamp: number
  epoch: SealedEnd['epoch']
}

/**
 * How the segment ends; undefined where its files do not fit each other, so that all must be read.
 */
export function* findSealedEnd(place: SegmentPlace): Procedure<SealedEnd | undefined> {
  const log = place.driver.openFile(segmentPath(place, '.log'), 'read')
  try {
    const { sizeBytes } = log
    const walk = startOfWalk(place, sizeBytes)
    if (walk === undefined || !(yield* walkToEnd(log, sizeBytes, walk))) return undefined
    const { nextOffset, largestTimestamp, offsetOfLargestTimestamp, epoch } = walk
    const known = { sizeBytes, nextOffset, largestTimestamp, offsetOfLargestTimestamp }
    return {
      contents: { ...emptyContents(place.baseOffset), ...known, ...UNCOUNTED },
      epoch,
    }
  } finally {
    log.close()
  }
}

/** The last entries of both indexes; undefined where there are none to be trusted. */
function startOfWalk(place: SegmentPlace, sizeBytes: number): Walk | undefined {
  const { driver, baseOffset } = place
  const offsets = lastSlot(driver, segmentPath(place, '.index'), OFFSET_INDEX_ENTRY_BYTES)
  const times = lastSlot(driver, segmentPath(place, '.timeindex'), TIME_INDEX_ENTRY_BYTES)
  if (offsets === undefined || times === undefined) return undefined
  const walk: Walk = {
    position: 0,
    nextOffset: baseOffset,
    largestTimestamp: -1,
    offsetOfLargestTimestamp: -1,
    epoch: undefined,
  }
  if (offsets !== 'none') {
    walk.position = readIndexPosition(offsets, 0)
    walk.nextOffset = baseOffset + readIndexRelativeOffset(offsets, 0)
    if (walk.position <= 0 || walk.position >= sizeBytes) return undefined
    if (walk.nextOffset < baseOffset) return undefined
  }
  if (times === 'none') return walk
  const timestamp = readTimeIndexTimestamp(times, 0)
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) return undefined
  walk.largestTimestamp = timestamp
  walk.offsetOfLargestTimestamp = baseOffset + readTimeIndexRelativeOffset(times, 0)
  return walk.offsetOfLargestTimestamp < baseOffset ? undefined : walk
}

/** False where there is anything but whole batches up to the end. */
function* walkToEnd(log: StorageFile, sizeBytes: number, walk: Walk): Procedure<boolean> {
  const window = new LogWindow(new SectorReads(log), sizeBytes)
  const hintedOffset = walk.position === 0 ? -1 : walk.nextOffset
  let sliceEnd = walk.position + SLICE_BYTES
  for (let isFirst = true; walk.position < sizeBytes; isFirst = false) {
    let at = window.at(walk.position, BATCH_HEADER_BYTES)
    if (window.end - at < BATCH_HEADER_BYTES) return false
    const batchBytes = batchSizeBytesOf(window.buffer, at)
    if (batchBytes < BATCH_HEADER_BYTES || walk.position + batchBytes > sizeBytes) return false
    at = window.at(walk.position, batchBytes)
    if (checkBatch(window.buffer, at, window.end) !== 'ok') return false
    const lastOffset = lastOffsetOf(window.buffer, at)
    if (isFirst && hintedOffset >= 0 ? lastOffset !== hintedOffset : lastOffset < walk.nextOffset) {
      return false
    }
    takeIn(walk, window.buffer, at)
    if (walk.position < sliceEnd) continue
    sliceEnd = walk.position + SLICE_BYTES
    yield nextTurn
  }
  return walk.offsetOfLargestTimestamp < walk.nextOffset
}

function takeIn(walk: Walk, buffer: Buffer, at: number): void {
  const lastOffset = lastOffsetOf(buffer, at)
  const timestamp = knownTimestampOf(buffer, at)
  const leaderEpoch = leaderEpochOf(buffer, at)
  if (timestamp > walk.largestTimestamp) {
    walk.largestTimestamp = timestamp
    walk.offsetOfLargestTimestamp = lastOffset
  }
  if (leaderEpoch > (walk.epoch?.leaderEpoch ?? -1)) {
    walk.epoch = { leaderEpoch, startOffset: baseOffsetOf(buffer, at) }
  }
  walk.nextOffset = lastOffset + 1
  walk.position += batchSizeBytesOf(buffer, at)
}

/**
 * The last slot of an index file, 'none' of an empty one; undefined where there is no whole file.
 */
function lastSlot(
  driver: StorageDriver,
  path: string,
  slotBytes: number,
): DataView | 'none' | undefined {
  const status = driver.status(path)
  if (status === undefined || status.sizeBytes % slotBytes !== 0) return undefined
  if (status.sizeBytes === 0) return 'none'
  const file = driver.openFile(path, 'read')
  try {
    const bytes = Buffer.alloc(slotBytes)
    const read = file.read(bytes, 0, slotBytes, status.sizeBytes - slotBytes)
    return read < slotBytes ? undefined : new DataView(bytes.buffer, bytes.byteOffset, slotBytes)
  } catch (error) {
    if (!isDeviceFailure(error)) throw error
    return undefined
  } finally {
    file.close()
  }
}
