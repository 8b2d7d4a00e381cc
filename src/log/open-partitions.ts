/**
 * The partitions of an open log as a scrub verifies them: up to where each ends at this moment, and
 * without what its writer has not written out yet, or is about to delete.
 */
import { parseSegmentFileName } from '../format/segment-name.ts'
import type { LogDirectory } from './log-directory.ts'
import type { VerifiedPartition } from './partition-findings.ts'
import type { PartitionLog } from './partition-log.ts'

/** Every partition of `log`, to be verified while it is read and written. */
export function openPartitions(log: LogDirectory): readonly VerifiedPartition[] {
  return log.topics().flatMap(({ partitions }) => partitions.map((one) => asVerified(log, one)))
}

function asVerified({ driver }: LogDirectory, partition: PartitionLog): VerifiedPartition {
  const { topic, topicId, directory, config, isOwn, isGapless, recoveryPoint } = partition
  const { logStartOffset, logEndOffset, durableOffset } = partition
  const { highWatermark, lastStableOffset } = partition
  const watermarks = {
    logStartOffset,
    logEndOffset,
    durableOffset,
    layoutEpoch: partition.layout.epoch,
  }
  const published = {
    ...watermarks,
    highWatermark,
    lastStableOffset,
    topicId,
    partition: partition.partition,
    writerGeneration: 0,
  }
  return {
    driver,
    topic,
    topicId,
    partition: partition.partition,
    directory,
    config,
    isGapless,
    isOwn,
    isLive: true,
    evidence: {
      described: undefined,
      isBrokerClean: false,
      isBrokers: !isOwn,
      checkpointedPoint: recoveryPoint,
      logStartOffset,
      published,
      durableBefore: 0,
    },
    isUnjudged: (path) => isBehind(partition, path),
    openSegments: () => (partition.end === undefined ? partition.segments : undefined),
  }
}

/** What an index file says is older than what its segment knows. */
function isBehind(partition: PartitionLog, path: string): boolean {
  const name = path.slice(partition.directory.length + 1)
  const baseOffset = parseSegmentFileName(name)?.baseOffset
  for (const segment of partition.segments) {
    if (segment.baseOffset === baseOffset) return segment.areIndexesUnflushed
  }
  return true
}
