/**
 * What a clean close does to each partition, and says of it: the next open reads no data of what
 * the clean marker vouches for. The order of the steps is log-directory.ts' business.
 */
import type { CleanPartition } from '../storage/clean-marker.ts'
import type { PartitionLog } from './partition-log.ts'

/** Settles all of them. @throws What the first failed with, once each has settled or failed. */
export async function settleAll(partitions: readonly PartitionLog[]): Promise<void> {
  const results = await Promise.allSettled(partitions.map((partition) => partition.settle()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** What the clean marker says of a partition that was settled. */
export function cleanPartition(partition: PartitionLog): CleanPartition {
  return {
    topic: partition.topic,
    topicId: partition.topicId,
    partition: partition.partition,
    logStartOffset: partition.logStartOffset,
    logEndOffset: partition.logEndOffset,
    producers: partition.snapshots.newest(partition),
    segments: [...partition.segments].map((segment) => ({
      baseOffset: segment.baseOffset,
      ...segment.contents,
    })),
  }
}
