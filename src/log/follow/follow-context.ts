/**
 * FollowContext: what the partitions of one followed log share, and what each may ask of the log
 * that it is part of (followed-log.ts). WriterWord is what the writer says of one partition, and
 * how far that goes.
 *
 *   I1  what is published is true of this boot: nobody hands out a word of another one
 *   I2  a mode may change with every look; what a reader has seen stays, whatever the mode
 */
import type { PublishedPartition } from '../../storage/control-slot.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import type { Clock } from '../clock.ts'
import type { ResolvedTopicConfig } from '../log-config.ts'
import type { TailBudget } from '../tail.ts'

/**
 * Where the end of the partition is found: 'published': the slot says it, and nothing behind that
 * may be shown; 'derived': in the files, by checking what they hold.
 */
export type FollowMode = 'published' | 'derived'

/** What the writer of the log says of a partition. Replaced as a whole: the same while it holds. */
export interface WriterWord {
  readonly mode: FollowMode
  /**
   * The slot. In 'derived' mode it may be there as well: from a writer of this boot that died, so
   * that its values are lower bounds. Always there in 'published' mode.
   */
  readonly published: PublishedPartition | undefined
  /**
   * The writer that the header names: where `published` is another's, a new one is being opened and
   * has not said anything of this partition. Undefined without a control file of this boot.
   */
  readonly writerGeneration: number | undefined
}

/** One partition, by its place in metadata. */
export interface FollowedPlace {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly directory: string
  readonly config: ResolvedTopicConfig
  /** Made here, and nobody else's since: every segment ends where the next one starts. */
  readonly isOwn: boolean
  /** That, and nothing was ever compacted away: no offset is left out. */
  readonly isGapless: boolean
}

/** What the partitions of a followed log share. */
export interface FollowContext {
  /** Opens files to read, and nothing else. */
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly tailBudget: TailBudget
  /** Looks at the slot of a partition, and at who writes. Cheap: two small reads. */
  word(place: Pick<FollowedPlace, 'topicId' | 'partition'>): WriterWord
  /**
   * Somebody began, or ceased, to wait for a partition: the first of its `onChange` listeners came,
   * or the last one went. Called in turns, true first.
   */
  listening(isListening: boolean): void
  /**
   * Files of a partition are gone that should be there: the log finds out whether its topic is, or
   * the whole directory, and ends it where that is so, before this returns.
   */
  missing(): void
  /**
   * What the checkpoint files of the log say of a partition, read when it is asked: for what nobody
   * has published.
   */
  checkpointed(place: Pick<FollowedPlace, 'directory'>): CheckpointedPartition
  /**
   * A gap was met in the offsets of a partition that is held for gapless: the log looks into its
   * metadata once more, and calls `markCompacted` before this returns where that says so by now.
   */
  gapFound(place: Pick<FollowedPlace, 'topicId'>): void
}

/** What is on stable storage of a partition, whatever boot it was written in. */
export interface CheckpointedPartition {
  /** Everything is synced below it; 0 where nobody says. */
  readonly recoveryPoint: number
  /** First offset still readable; undefined where nobody says, so that the files do. */
  readonly logStartOffset: number | undefined
}
