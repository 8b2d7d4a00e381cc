/**
 * BackupCapture: what a backup of an open log consists of, taken in one turn of the event loop.
 *
 * All ends are those of that turn, as they were written, synced or not: it is the log that a kill
 * of the process would have left at that instant. So a transaction is in it with its decision or
 * without, never in part: opening the copy commits what was decided and aborts the rest, and
 * nothing that a position or a decision is about is missing.
 *   I1  a segment may be shared, by hard links, only where no later call of ours writes into its
 *       files, neither here nor in the copy: it is sealed, it ends below a recovery point that is
 *       on stable storage (recovery takes it as it is, and writes nothing of it again), and another
 *       segment with batches follows, which the copy goes on in
 */
import type { LogMetadata, TopicMetadata } from '../storage/metadata-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import type { BackupPartition } from './backup-manifest.ts'
import type { LogDirectory } from './log-directory.ts'
import type { PartitionLog } from './partition-log.ts'

/** One segment, up to where it ended. */
export interface CapturedSegment {
  readonly segment: Segment
  readonly baseOffset: number
  /** Of whole batches. */
  readonly sizeBytes: number
  /** I1. */
  readonly isShareable: boolean
  /** The one that the copy goes on in; its indexes may know of more by now. */
  readonly isLast: boolean
}

/** One partition, up to where it ended. */
export interface CapturedPartition extends BackupPartition {
  readonly log: PartitionLog
  readonly segments: readonly CapturedSegment[]
  /** Of its leader-epoch-checkpoint. */
  readonly epochs: Buffer
}

/** One topic with all its partitions. */
export interface CapturedTopic {
  readonly name: string
  readonly metadata: TopicMetadata
  readonly partitions: readonly CapturedPartition[]
}

/** The log in one turn. */
export interface CapturedLog {
  readonly metadata: LogMetadata
  readonly topics: readonly CapturedTopic[]
}

/**
 * Writes the checkpoints, and captures the log in one turn behind that. Nothing else may change the
 * set of topics meanwhile.
 */
export function* captureLog(log: LogDirectory): Procedure<CapturedLog> {
  const points = new Map<PartitionLog, number>()
  for (const { partitions } of log.topics()) {
    for (const partition of partitions) points.set(partition, partition.recoveryPoint)
  }
  yield* log.writeCheckpoints()
  const { metadata } = log
  const topics: CapturedTopic[] = []
  for (const { name, partitions } of log.topics()) {
    const known = metadata.topics.get(name)
    if (known === undefined) continue
    const captured = partitions.map((one) => capturePartition(one, points.get(one) ?? 0))
    topics.push({ name, metadata: known, partitions: captured })
  }
  return { metadata, topics }
}

function capturePartition(log: PartitionLog, recoveryPoint: number): CapturedPartition {
  const { topic, partition, logStartOffset, logEndOffset } = log
  const all = [...log.segments]
  const segments = all.map((segment, index) => {
    const { baseOffset, sizeBytes, isSealed } = segment
    const nextBase = all[index + 1]?.baseOffset ?? Infinity
    const isShareable = isSealed && nextBase < Math.min(recoveryPoint, logEndOffset)
    return { segment, baseOffset, sizeBytes, isShareable, isLast: index === all.length - 1 }
  })
  return { topic, partition, logStartOffset, logEndOffset, log, segments, epochs: log.epochs.bytes }
}
