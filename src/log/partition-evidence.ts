/**
 * PartitionEvidence: what a log's directory says of one partition besides its folder: the clean
 * marker, the checkpoints and the control file. Opening, verifying and repairing judge by it alike.
 */
import type { CleanPartition } from '../storage/clean-marker.ts'
import type { PublishedPartition } from '../storage/control-slot.ts'
import type { Damage } from './damage.ts'

/** What other files of the log say of it. */
export interface PartitionEvidence {
  /** By the clean marker. */
  readonly described: CleanPartition | undefined
  /** A broker closed the directory, without a word on what the folders hold. */
  readonly isBrokerClean: boolean
  /** A broker has had the directory, and may have it again. */
  readonly isBrokers: boolean
  readonly checkpointedPoint: number
  /** Null where the checkpoint of log starts is missing or damaged. */
  readonly logStartOffset: number | null
  /** Watermarks that outlived nothing but the process: the machine was not started anew since. */
  readonly published: PublishedPartition | undefined
  /**
   * Was durable in an earlier boot, by what happens to be left of its control file; else 0. All
   * there is to it: what is bad below it was whole once (docs/decisions/065).
   */
  readonly durableBefore: number
}

/** Below it everything was synced, as far as anything says so. */
export function syncedUntil({
  checkpointedPoint,
  published,
  described,
}: PartitionEvidence): number {
  return Math.max(checkpointedPoint, published?.durableOffset ?? 0, described?.logEndOffset ?? 0)
}

/** Where the partition is known to have ended at least. */
export function knownEndOf(evidence: PartitionEvidence): number {
  const { logStartOffset, checkpointedPoint, published, described } = evidence
  const ends = [published?.logEndOffset ?? 0, described?.logEndOffset ?? 0]
  return Math.max(logStartOffset ?? 0, checkpointedPoint, ...ends)
}

/** A folder that should be there is not: everything that it is known to have had is gone. */
export function missingFolderDamage(
  of: { readonly topic: string; readonly partition: number; readonly directory: string },
  evidence: PartitionEvidence,
): Damage {
  const firstOffset = evidence.logStartOffset ?? 0
  const nextOffset = knownEndOf(evidence)
  const isLoss = nextOffset > firstOffset
  return {
    topic: of.topic,
    partition: of.partition,
    file: of.directory,
    position: 0,
    bytes: 0,
    firstOffset: isLoss ? firstOffset : null,
    lastOffset: isLoss ? nextOffset - 1 : null,
    reason: 'the folder is missing',
  }
}
