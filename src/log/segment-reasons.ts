/**
 * Why each segment of a partition is still there, for people: what retention says of it
 * (retention.ts), and compaction (cleaner/cleanable.ts).
 */
import type { Cleanable } from './cleaner/cleanable.ts'
import type { RetainedSegment, SegmentVerdict } from './retention.ts'

/** Why one segment is there. */
export interface SegmentReason {
  /** Of its batches, below the log's directory. */
  readonly file: string
  readonly bytes: number
  readonly keptBecause: string
  /** From when on it may go, in ms; null where no time can be named. */
  readonly deletableAt: number | null
}

/** What is said of segments; `cleanable` where the partition is compacted. */
export function reasonsOf(
  verdicts: readonly SegmentVerdict[],
  cleanable: Cleanable | undefined,
): readonly SegmentReason[] {
  const newest = verdicts.at(-1)?.segment
  return verdicts.map(({ segment, deletable, reason, deletableAt }) => {
    const isActive = segment === newest
    const kept = deletable ? `the next run of housekeeping deletes it: ${reason}` : reason
    const compaction =
      cleanable === undefined || deletable || isActive ? [] : [compactionOf(segment, cleanable)]
    return {
      file: segment.logPath,
      bytes: segment.sizeBytes,
      keptBecause: [kept, ...compaction].join('; '),
      deletableAt,
    }
  })
}

function compactionOf({ baseOffset, nextOffset }: RetainedSegment, cleanable: Cleanable): string {
  const { firstDirtyOffset, firstUncleanableOffset, cleanBytes, dirtyBytes, isDue } = cleanable
  if (nextOffset <= firstDirtyOffset) return 'it is compacted'
  if (baseOffset >= firstUncleanableOffset) {
    return 'it cannot be compacted yet: it is not durable, too new, or part of a transaction is open'
  }
  const share = `${dirtyBytes} of ${cleanBytes + dirtyBytes} bytes are not compacted`
  return isDue
    ? `the next run of housekeeping compacts it: ${share}`
    : `it is compacted when more has come: ${share}, which is not above minCleanableDirtyRatio`
}
