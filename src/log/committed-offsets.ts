/**
 * CommittedOffsets: where each consumer group goes on reading, kept in the topic
 * `__consumer_offsets` in Kafka's own bytes.
 *
 * Owns the positions of all groups in memory and what is written of them; who may commit what is
 * for the group's coordinator to say. Synchronous but for `durable`.
 *   I1  what is in memory is in the log: a position changes after its record was appended, and not
 *       at all where that failed
 *   I2  no position lies above the end of what its epoch has: checked here at a commit, and by
 *       whoever opens the log before anything is appended
 */
import { assert } from '../errors/invariant.ts'
import type { PartitionLog } from './partition-log.ts'

/** A position as a group committed it. Never changes; the next commit is another one. */
export interface CommittedOffset {
  /** The next offset to read. */
  readonly offset: number
  /** Of the last record before `offset`; -1 where that is not known. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

/** The position of a partition. */
export interface PartitionPosition extends CommittedOffset {
  readonly topic: string
  readonly partition: number
}

/** A position to commit. */
export interface OffsetCommit {
  readonly topic: string
  readonly partition: number
  /** The next offset to read: at most the end of the log. */
  readonly offset: number
  /** Of the last record before `offset`; -1: as the partition knows it. */
  readonly leaderEpoch: number
  /** At most 4,096 bytes. */
  readonly metadata: string
}

/** A commit that was appended: what `durable` has to see to. Only for that. */
export interface CommitPosition {
  /** The data that was committed, up to an offset each. */
  readonly sources: readonly { readonly log: PartitionLog; readonly offset: number }[]
  /** The commit itself. */
  readonly written: readonly { readonly log: PartitionLog; readonly offset: number }[]
}

/** The positions of all groups of one log. */
export class CommittedOffsets {
  /** Whether anything can be committed: the topic is there. Else LogHost.prepareOffsets makes it. */
  get isPrepared(): boolean {
    return false
  }

  /** Every group that has a position, by name. */
  groups(): readonly string[] {
    return []
  }

  /** Where the group goes on in that partition; undefined where it never committed. */
  get(_groupId: string, _topic: string, _partition: number): CommittedOffset | undefined {
    return undefined
  }

  /** Every position of the group, by topic and partition. */
  of(_groupId: string): readonly PartitionPosition[] {
    return []
  }

  /**
   * Commits positions of one group: in the page cache when it returns, in one batch unless they are
   * too many for one. The topic is there (`isPrepared`).
   * @throws {LogError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND; OFFSET_OUT_OF_RANGE above the end of
   *   the log; INVALID_ARGUMENT for metadata that is too long; NO_SPACE, IO, READ_ONLY, CLOSED:
   *   what was committed before stays.
   */
  commit(_groupId: string, _commits: readonly OffsetCommit[]): CommitPosition {
    assert(this.isPrepared, 'the topic is made before anything is committed')
    return { sources: [], written: [] }
  }

  /**
   * Resolves when the commit is on stable storage: the data first, up to the committed offsets.
   * @throws {LogError} IO with `details.outcome: 'unknown'` when a sync failed; CLOSED.
   */
  async durable(_position: CommitPosition): Promise<void> {}

  /** Forgets every position of the group. @throws {LogError} As `commit`. */
  remove(_groupId: string): CommitPosition {
    return { sources: [], written: [] }
  }

  /** The last member of the group has left: its positions expire from now on, where they do. */
  becameEmpty(_groupId: string): void {}
}
