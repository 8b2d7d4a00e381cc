/**
 * AdmittedBatch: a batch of a followed log by what it is known again by, should its file have been
 * cut and written anew since: its place, its offset, its checksum, and its epoch, which no checksum
 * covers.
 */
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  crcOf,
  leaderEpochOf,
} from '../../format/record-batch.ts'
import type { Segment } from '../../storage/segment.ts'

/** See the file's header. */
export interface AdmittedBatch {
  readonly segment: Segment
  readonly position: number
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly crc: number
}

/** The batch at `position` of the segment, which is at `at` of `buffer`. */
export function admittedBatch(
  segment: Segment,
  position: number,
  buffer: Buffer,
  at: number,
): AdmittedBatch {
  const baseOffset = baseOffsetOf(buffer, at)
  const leaderEpoch = leaderEpochOf(buffer, at)
  return { segment, position, baseOffset, leaderEpoch, crc: crcOf(buffer, at) }
}

/** Whether it is in its file, as it was. @throws {LogError} IO */
export function isStillThere({ segment, position, ...known }: AdmittedBatch): boolean {
  const header = Buffer.alloc(BATCH_HEADER_BYTES)
  const read = segment.read(header, 0, BATCH_HEADER_BYTES, position)
  if (read < BATCH_HEADER_BYTES) return false
  const found = admittedBatch(segment, position, header, 0)
  return (
    found.baseOffset === known.baseOffset &&
    found.leaderEpoch === known.leaderEpoch &&
    found.crc === known.crc
  )
}
