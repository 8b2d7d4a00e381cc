/**
 * Opens the segments of a partition that another process writes, so that nothing of them is ever
 * changed from here.
 *
 *   sealed   | batches, all of them whole                                  |
 *            0                                                    `end.sizeBytes`
 *   active   | batches that an index leads over | to be walked ->  ...
 *            0                          `segment.sizeBytes`
 *
 * Owns how much of the files is believed at the start; what is behind that is admitted by whoever
 * walks it, as recovery does (`segment.admit`), and is in memory alone.
 *   I1  no index entry of a batch at or behind `below` is kept: that batch may be cut back yet
 *   I2  a segment that is opened costs no read before somebody looks into it, but for an active one
 */
import { BATCH_HEADER_BYTES } from '../../format/record-batch.ts'
import { Segment, type SegmentSettings } from '../../storage/segment.ts'
import { emptyContents, type SegmentContents } from '../../storage/segment-contents.ts'
import type { SegmentEnd, SegmentPlace } from '../../storage/segment-indexes.ts'
import { findLargestTimestamp } from '../index-rebuild.ts'
import { startOfCheck, uncheckedContents } from '../recovery-start.ts'

/** How much of an active segment is believed. */
export interface FollowedStart {
  /** First offset that may not be there, as far as anybody knows. */
  readonly below: number
  /**
   * Whether the index files are of the boot that runs: a power cut leaves any part of each, and a
   * time index that misses entries tells lies.
   */
  readonly trustsIndexes: boolean
}

/**
 * The active segment: ends where a walk has to start, at the batch of the last index entry below
 * `below` that leads to one, or at 0. Whoever walks checks the batch at `segment.sizeBytes`, whose
 * base offset is at least `segment.nextOffset`, and those behind it, and admits them.
 *
 * When it ends, because its writer rolled, `segment.seal()` ends it in memory.
 * @throws {LogError} IO with cause ENOENT where it is gone; IO where it cannot be read.
 */
export function followActive(
  place: SegmentPlace,
  settings: SegmentSettings,
  { below, trustsIndexes }: FollowedStart,
): Segment {
  const { baseOffset } = place
  // The entries are there before anybody knows how long the file is, and it grows meanwhile.
  const unchecked = uncheckedContents(baseOffset, Number.MAX_SAFE_INTEGER)
  const segment = Segment.open({ ...place, readOnly: true }, settings, unchecked)
  try {
    const known = trustsIndexes ? below : baseOffset
    const { start } = startOfCheck(segment, BATCH_HEADER_BYTES, known)
    segment.rewind(start)
  } catch (error) {
    segment.close()
    throw error
  }
  return segment
}

/**
 * A segment that ended before, and where. Its index files are taken for whole where they can be:
 * what a power cut left of them, and no writer has recovered since, may answer lookups by time
 * wrongly. Its largest timestamp is found out when it is asked for, its first one and its count of
 * records are not known.
 * @throws {LogError} IO with cause ENOENT where it is gone.
 */
export function followSealed(
  place: SegmentPlace,
  settings: SegmentSettings,
  end: SegmentEnd,
): Segment {
  const contents: SegmentContents = {
    ...emptyContents(place.baseOffset),
    sizeBytes: end.sizeBytes,
    nextOffset: end.nextOffset,
    recordCount: null,
    abortedCount: null,
  }
  const segment = Segment.openSealed({ ...place, readOnly: true }, settings, contents)
  segment.findLargestTimestampBy(findLargestTimestamp)
  return segment
}
