/**
 * What a partition is made of: what the log it belongs to shares with it, and what opening it or
 * recovery found. Owned by whoever opens partitions; partition-log.ts takes it over.
 */
import type { LogError } from '../errors/log-error.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Clock } from './clock.ts'
import type { CommitBarrier } from './commit-barrier.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerStates } from './producer-states.ts'
import type { SegmentList } from './segment-list.ts'
import type { TailBudget } from './tail.ts'

/** What the partitions of one log share. */
export interface PartitionContext {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly barrier: CommitBarrier
  readonly tailBudget: TailBudget
  /** A watermark moved. */
  changed(partition: PartitionLog): void
  /** Its set of files is about to change, or has changed: the layout epoch says so. */
  layoutChanged(partition: PartitionLog): void
  /** A segment was sealed: a checkpoint may pass its end once it is synced. */
  rolled(partition: PartitionLog): void
  /** A sync failed; the partition is read-only from now on. */
  failed(partition: PartitionLog, error: LogError): void
}

/** What `open` and recovery found. */
export interface PartitionState {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly config: ResolvedTopicConfig
  readonly segments: SegmentList
  readonly epochs: LeaderEpochs
  readonly logStartOffset: number
  /** Everything is on stable storage below it. */
  readonly durableOffset: number
  /**
   * Every file of the folder is in its final shape, and on stable storage with its name: a clean
   * close has nothing left to do, unless something changes.
   */
  readonly isSettled: boolean
  /** Made here, and nobody else's since: every segment ends where the next one starts. */
  readonly isOwn: boolean
  /** That, and nothing was ever compacted away: no offset is left out. */
  readonly isGapless: boolean
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
}
