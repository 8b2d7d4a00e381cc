/**
 * ReadablePartition: what reading asks of a partition, whoever writes it: this process
 * (partition-log.ts), or another one that is followed through its files (follow/).
 *
 *   I1  logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset, whenever asked within
 *       one call of anything
 *   I2  what changes does so within a call of `refresh` or `extend`, or before `onChange` is told
 */
import type { ResolvedTopicConfig } from './log-config.ts'
import type { LogCursor } from './log-cursor.ts'
import type { CursorOptions, LogSource } from './log-source.ts'

/** How a partition ended for its readers; 'lost': its directory is gone. */
export type PartitionEnd = 'closed' | 'deleted' | 'lost'

/** A partition as its readers see it. */
export interface ReadablePartition extends LogSource {
  readonly topicId: string
  /** Its folder, relative to the log's directory. */
  readonly directory: string
  /** Complete settings of the topic. */
  readonly config: ResolvedTopicConfig
  /** First offset that consumers cannot read yet. */
  readonly highWatermark: number
  /** First offset that read_committed readers cannot read yet. */
  readonly lastStableOffset: number
  /** The offset the next record gets. */
  readonly logEndOffset: number
  /** First offset that a power cut could lose. */
  readonly durableOffset: number
  /** Commits that a power cut could undo. */
  readonly undecided: {
    /** No reader of what is durable goes beyond it; Infinity where there is none. */
    readonly lowestOffset: number
  }
  /** Rises where segments were replaced: what was remembered of their bytes is void. */
  readonly rewriteCount: number
  /** Offsets that the log was cut to since it was opened, oldest first: whoever was behind ends. */
  readonly cuts: readonly number[]
  /** How the partition ended, where it has. */
  readonly end: PartitionEnd | undefined
  /** Bytes of all .log files, without what is preallocated. */
  readonly logBytes: number
  /** Looks at what its writer has published since; of a log that is written here, nothing. */
  refresh(): void
  /**
   * Whether the producer's transactional batch at `baseOffset`, below the last stable offset, was
   * aborted.
   * @throws {LogError} IO where the files that tell cannot be read; how the partition ended, once
   *   it has: they are closed.
   */
  isAborted(producerId: number, baseOffset: number): boolean
  /** A reader of whole batches from `offset` on. */
  cursor(offset: number, options?: CursorOptions): LogCursor
  /** Calls `listener` when a watermark moved, and when the partition ends. */
  onChange(listener: () => void): () => void
}

/** A topic as its readers see it. */
export interface ReadableTopic {
  readonly name: string
  readonly id: string
  /** Complete settings; replaced as a whole when they are altered. */
  readonly config: ResolvedTopicConfig
  readonly partitions: readonly ReadablePartition[]
}
