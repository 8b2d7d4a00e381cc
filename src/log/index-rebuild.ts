/**
 * Rebuilds the indexes of a segment from its log alone, by a walk over the batch headers: where a
 * live reader or writer finds an index file that is missing or wrong. Recovery does without; it
 * builds them while it checks the batches. Also finds what the end of a sealed segment tells of it.
 */
import {
  BATCH_HEADER_BYTES,
  batchSizeBytesOf,
  checkBatchHeader,
  lastOffsetOf,
} from '../format/record-batch.ts'
import { completeProcedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import { emptyContents, type SegmentContents } from '../storage/segment-contents.ts'
import { summaryOfBatch } from './batch-summary.ts'
import { LogWindow } from './log-window.ts'
import { startOfCheck } from './recovery-start.ts'
import { SegmentScan } from './segment-scan.ts'

/**
 * Reads every batch header of `segment` and builds its indexes anew, in memory; the next sync of
 * indexes writes them. Where a header cannot be right the walk goes on at the next whole batch, so
 * that what lies behind damage can be found by offset.
 * @throws {LogError} IO where the log cannot be read: the segment is as it was.
 */
export function rebuildIndexes(segment: Segment): void {
  rebuildFrom(segment, emptyContents(segment.baseOffset))
}

/**
 * Finds out the largest timestamp of a sealed `segment` by its indexes and the batches behind the
 * last one they name, or by all of its batches where they lead nowhere.
 * @throws {LogError} IO where the log cannot be read: the segment is as it was.
 */
export function findLargestTimestamp(segment: Segment): void {
  const { sizeBytes, nextOffset } = segment
  const { start } = startOfCheck(segment, sizeBytes, nextOffset)
  // A time index that a power cut left empty looks like that of a segment without any time.
  const isTold = start.sizeBytes === 0 || start.largestTimestamp >= 0
  rebuildFrom(segment, isTold ? start : emptyContents(segment.baseOffset))
}

function rebuildFrom(segment: Segment, start: SegmentContents): void {
  const { contents } = segment
  segment.rewind(start)
  try {
    walk(segment, contents)
  } catch (error) {
    // What it had come to is not where the segment ends: the next batch would be written over
    // others.
    segment.undoRewind(contents)
    throw error
  }
  if (segment.isSealed) segment.completeIndexes()
}

function walk(segment: Segment, { sizeBytes, nextOffset }: SegmentContents): void {
  const window = new LogWindow(segment, sizeBytes)
  while (segment.sizeBytes < sizeBytes) {
    const at = plausibleBatchAt(window, segment, nextOffset)
    if (at >= 0) {
      segment.admit(summaryOfBatch(window.buffer, at))
      continue
    }
    const scan = new SegmentScan(segment, sizeBytes)
    const [position, offset] = [segment.sizeBytes, segment.nextOffset]
    const search = { position, offset, below: nextOffset, knownEnd: nextOffset }
    const found = completeProcedure(scan.findBatch(search))
    if (found < 0) break
    segment.skipDamageTo(found)
  }
  segment.restoreEnd(sizeBytes, nextOffset)
}

/** Where in the window the batch at the segment's end lies; -1 where none can be there. */
function plausibleBatchAt(window: LogWindow, segment: Segment, nextOffset: number): number {
  const position = segment.sizeBytes
  let at = window.at(position, BATCH_HEADER_BYTES)
  if (window.end - at < BATCH_HEADER_BYTES) return -1
  at = window.at(position, Math.max(batchSizeBytesOf(window.buffer, at), BATCH_HEADER_BYTES))
  if (checkBatchHeader(window.buffer, at, window.end) !== 'ok') return -1
  const lastOffset = lastOffsetOf(window.buffer, at)
  return lastOffset >= segment.nextOffset && lastOffset < nextOffset ? at : -1
}
