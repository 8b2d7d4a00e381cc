/**
 * What recovery of one partition (recovery.ts) is told, and what it tells: the first is the
 * business of whoever reads the other files of the log, the second of whoever shows it to users.
 */
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Damage } from './damage.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'

/** What recovery did to one partition. */
export interface PartitionRecovery {
  readonly topic: string
  readonly partition: number
  /** Bytes of torn writes moved into .salvaged files. */
  readonly cutBytes: number
  /** Where the log ended after a cut; null where it goes on in the next segment, or was not cut. */
  readonly cutAtOffset: number | null
  /** Segments whose index files were missing or wrong. */
  readonly rebuiltIndexes: number
  readonly damage: readonly Damage[]
}

/** What is known of a partition before its files are looked at. */
export interface RecoveryInput {
  readonly driver: StorageDriver
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly config: ResolvedTopicConfig
  /** Synced up to here, by the checkpoint and, in the same boot, by the control file. */
  readonly recoveryPoint: number
  /**
   * Synced with its indexes up to here: by the checkpoint alone. What was published speaks of .log
   * files; an index may have been written without the other, and may be on no disk.
   */
  readonly checkpointedPoint: number
  /**
   * Log end that was published in this boot, when nothing but the process can have been lost; else
   * 0.
   */
  readonly publishedEndOffset: number
  /** See `PartitionEvidence`. */
  readonly durableBefore: number
  /** From the checkpoint; null where there is none that can be read. */
  readonly logStartOffset: number | null
  readonly isOwn: boolean
  readonly isGapless: boolean
  readonly epochs: LeaderEpochs
}
