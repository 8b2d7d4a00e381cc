/**
 * Why the segments of a partition are there, as far as somebody can say who does not write the log:
 * by its settings, the checkpoint of compaction and the positions of groups, but without what its
 * writer alone remembers, such as the times of segments whose records have none.
 */
import { cleanableOf } from '../log/cleaner/cleanable.ts'
import { CleanerProgress } from '../log/cleaner-progress.ts'
import { isCompacted, type AppliedPolicy } from '../log/cleanup-policy.ts'
import type { ReadableOffsets } from '../log/readable-offsets.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import { explainRetention, type GroupProgress } from '../log/retention.ts'
import { reasonsOf, type SegmentReason } from '../log/segment-reasons.ts'
import type { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'

/** What is known beside the partition itself. */
export interface FollowedReasons {
  readonly nowMs: number
  readonly driver: StorageDriver
  readonly policy: AppliedPolicy
  readonly offsets: ReadableOffsets
}

/** Each segment of `partition`, oldest first, with why it is there. */
export function reasonsOfFollowed(
  partition: ReadablePartition,
  { nowMs, driver, policy, offsets }: FollowedReasons,
): readonly SegmentReason[] {
  const modifiedMs = ({ logPath }: Segment): number => driver.status(logPath)?.modifiedMs ?? nowMs
  const verdicts = explainRetention(partition, {
    nowMs,
    policy,
    groups: progressOf(partition, offsets),
    trustsClock: true,
    modifiedMs,
  })
  if (!isCompacted(policy)) return reasonsOf(verdicts, undefined)
  const progress = new CleanerProgress(driver)
  progress.admit([partition])
  const firstDirtyOffset = progress.of(partition)
  const cleanable = cleanableOf(partition, { firstDirtyOffset, nowMs, modifiedMsOf: modifiedMs })
  return reasonsOf(verdicts, cleanable)
}

/** How far the groups are that the partition is kept for. */
function progressOf(
  { topic, partition, config }: ReadablePartition,
  offsets: ReadableOffsets,
): readonly GroupProgress[] {
  return config.retainUntilConsumed.map((groupId) => {
    const place = offsets.of(groupId).find((one) => {
      return one.topic === topic && one.partition === partition
    })
    return { groupId, offset: place?.offset ?? null }
  })
}
