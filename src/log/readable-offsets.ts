/**
 * ReadableOffsets: what looking at consumer groups asks of their positions, whoever commits them:
 * this process (committed-offsets.ts), or another one (follow/followed-offsets.ts).
 */

/** A position as a group committed it. */
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

/** The positions of all groups of one log, to look at. */
export interface ReadableOffsets {
  /** Every group that has a position, by name. */
  groups(): readonly string[]
  /** Every position of the group, by topic and partition. Owned. */
  of(groupId: string): readonly PartitionPosition[]
}
