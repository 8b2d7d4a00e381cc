/**
 * MemberFeed: what a member of a group hands out, for whoever passes it on to the user: `poll`,
 * `batches` and `run` are built on it. Implemented by group-member.ts.
 *
 *   I1  records of a partition are taken in offset order, each once, unless somebody seeks
 *   I2  while something of a partition was taken and not released, the partition stays the member's
 *       unless it is lost (`signal` says so)
 *   I3  only what was `handled` is ever committed by itself; what is behind it comes again
 */
import type { AnyRecord, TopicPartition } from '../group-types.ts'
import type { Coverage } from './coverage.ts'

/** Records of one partition that were handed out together. */
export interface TakenRecords<R extends AnyRecord> extends TopicPartition {
  /** Of the group, when they were taken. */
  readonly generation: number
  /** At least one. In offset order. */
  readonly records: readonly R[]
  /** Behind the last record, and behind a gap that follows it. */
  readonly nextOffset: number
  /** Of the partition, when they were taken. */
  readonly highWatermark: number
  /** Aborts when the partition is lost: nothing that is done with the records counts any more. */
  readonly signal: AbortSignal
  /**
   * The partition has to be given up, or is lost: begin nothing more of these, and release them.
   */
  readonly isRevoking: boolean
  /**
   * Everything below `nextOffset` is handled and may be committed: written after 500 records or
   * 100 ms as `autoCommit` says, when everything taken was handled, and on leaving. Never moves
   * back. Ignored once the partition is lost. Cheap: may be called for each record. May be behind
   * the end of these records, where later ones of the partition were handled and released before.
   */
  handled(nextOffset: number): void
  /**
   * Commits up to the end of these records, whatever `autoCommit` says.
   * @throws {LogError} REBALANCED where the partition is lost; IO, NO_SPACE, READ_ONLY.
   */
  commit(): void
  /**
   * What a transaction commits of these: everything below `nextOffset`. From now on nothing but the
   * transaction does.
   * @throws {LogError} REBALANCED where the partition is lost.
   */
  cover(nextOffset: number): Coverage
  /** How transactions ended that cover everything below `nextOffset`, where that is known. */
  coveredOutcome(nextOffset: number): 'committed' | 'unknown' | undefined
  /** What was covered is put aside: it may be committed without a transaction again. */
  uncover(): void
  /** Nothing of these is in anybody's hands any more: the partition may be given away. Once. */
  release(): void
}

/** How much to take. */
export interface TakeOptions {
  /** Most records of one take; the group's `maxPollRecords` and `maxBytes` bound it as well. */
  readonly max: number
  /** How long to wait for `max` records once there is one. Default 0: what there is. */
  readonly waitMs?: number
}

/** What a member hands out. */
export interface MemberFeed<R extends AnyRecord> {
  readonly memberId: string
  /** Resolves when the group is stable and this member is positioned at its partitions. */
  ready(): Promise<void>
  /**
   * Records of the next partition whose turn it is, that is assigned, not paused and not about to
   * be given up. Waits until there are some; undefined once the member left or the log closes.
   * Several may be out at once, of one partition too.
   * @throws {LogError} ABORTED by `signal`; NO_OFFSET; CORRUPT; UNSUPPORTED_FORMAT; FENCED; IO.
   */
  take(options: TakeOptions, signal?: AbortSignal | null): Promise<TakenRecords<R> | undefined>
  /** As `take`, of what is at hand: undefined where nothing is, without waiting. Never rejects. */
  takeNow(max: number): TakenRecords<R> | undefined
  /**
   * Nothing more of the partition is taken until `resume`. Ignored where it is not the member's;
   * one that is assigned anew is not paused.
   */
  pause(partition: TopicPartition): void
  /** Ends `pause`; a `take` that waits looks again. Ignored where it is not the member's. */
  resume(partition: TopicPartition): void
  /**
   * `listener` is called, at once, when a partition of which something is taken has to be given up
   * or is lost. One listener: for those who hold records that nobody works on.
   */
  onRevoking(listener: (partition: TopicPartition) => void): void
  /**
   * Leaves the group: what was handled is committed, every partition is given up, whatever is still
   * taken counts as not handled. A second call resolves when the first one is over.
   */
  leave(): Promise<void>
}
