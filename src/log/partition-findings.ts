/**
 * What a verification is asked of one partition, and what it finds there: the types that
 * verification, scrub and repair share.
 */
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import type { EpochCheckpointEntry } from '../storage/epoch-checkpoint.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Damage } from './damage.ts'
import type { EpochRun } from './epoch-audit.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import type { PartitionEvidence } from './partition-evidence.ts'
import type { SegmentList } from './segment-list.ts'
import type { Stretch } from './verify-segment.ts'

/** A partition to be verified. */
export interface VerifiedPartition {
  readonly driver: StorageDriver
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly directory: string
  readonly config: ResolvedTopicConfig
  /**
   * Made here: it has every small file from its beginning on, and every segment ends where the next
   * one starts.
   */
  readonly isOwn: boolean
  /** That, and nothing was ever compacted away: no offset is left out. */
  readonly isGapless: boolean
  readonly evidence: PartitionEvidence
  /** Somebody writes it at this moment. */
  readonly isLive: boolean
  /** Index files that lag behind what their writer knows; asked for by path. */
  readonly isUnjudged?: (path: string) => boolean
  /** Of a log that this process has open: its segments now; undefined where it has ended. */
  readonly openSegments?: () => SegmentList | undefined
}

/** What there is of a segment. */
export interface SegmentFindings {
  readonly baseOffset: number
  readonly fileBytes: number
  /** What is as it was written; what is between them is not. */
  readonly stretches: readonly Stretch[]
  /** Its .log has to be made anew. */
  readonly isDamaged: boolean
  readonly areIndexesDamaged: boolean
  /** What its .txnindex has to hold, where that is wrong. */
  readonly aborted: readonly AbortedTransaction[] | undefined
  /** Where its torn end starts; its size where there is none. */
  readonly wholeBytes: number
}

/** What a verification found, and counts of what is whole. */
export interface PartitionFindings {
  readonly batches: number
  readonly records: number
  readonly bytes: number
  readonly tornBytes: number
  readonly damage: readonly Damage[]
  readonly segments: readonly SegmentFindings[]
  /** First offset that has to be there, if the log starts no later. */
  readonly firstOffset: number
  /** Where the log ends at least. */
  readonly leastEnd: number
  /** Leader epochs as the batches have them. */
  readonly epochs: readonly EpochRun[]
  /** As leader-epoch-checkpoint has them; none where it is missing or wrong. */
  readonly storedEpochs: readonly EpochCheckpointEntry[]
}
