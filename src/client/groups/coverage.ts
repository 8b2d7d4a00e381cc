/**
 * Coverage: what was handed to a user, as a transaction commits it. Whatever a transaction may be
 * given implements one of these; nothing else is taken.
 */
import type {
  CommittedOffsets,
  OffsetCommit,
  TransactionOffsets,
} from '../../log/committed-offsets.ts'

/** The positions of a transaction, and where its log keeps them. */
export interface Coverage extends TransactionOffsets {
  readonly offsets: CommittedOffsets
}

/** Records in a user's hands. */
export interface Covered {
  /**
   * The positions behind them, which nothing but the transaction commits from now on.
   * @throws {LogError} REBALANCED where the partition is not the member's any more; CLOSED; FENCED;
   *   INVALID_ARGUMENT where they could not be committed in order.
   */
  coveredOffsets(): Coverage
}

/** A group whose positions a user gives. */
export interface CoveredGroup {
  /**
   * These positions, as the group's.
   * @throws {LogError} REBALANCED where no member of a group with members has the partition;
   *   OFFSET_OUT_OF_RANGE, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND.
   */
  coverGiven(commits: readonly OffsetCommit[]): Coverage
}
