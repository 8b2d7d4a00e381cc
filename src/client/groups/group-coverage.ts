/**
 * GroupCoverage: positions of a group that a user gives a transaction to commit.
 *
 *   I1  a partition that a member has, goes on being that member's until they are appended: what
 *       another one was handed over since would be handled twice
 *   I2  a partition that no member has may be committed only while that stays so
 */
import { LogError } from '../../errors/log-error.ts'
import type { CommittedOffsets, OffsetCommit } from '../../log/committed-offsets.ts'
import type { ReadablePartition } from '../../log/readable-partition.ts'
import type { OffsetsOutcome } from '../../log/staged-offsets.ts'
import type { TopicPartition } from '../group-types.ts'
import type { Coverage } from './coverage.ts'
import type { GroupMember } from './group-member.ts'
import { cover } from './member-coverage.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** Who has a partition. */
export interface PartitionHolder {
  readonly member: GroupMember
  readonly feed: PartitionFeed
}

/** The log, as far as positions in it are covered. */
interface CoveredLog {
  writableOffsets(call: string): CommittedOffsets
  findTopic(name: string): { readonly partitions: readonly ReadablePartition[] } | undefined
}

/** The group. */
interface HoldingGroup {
  readonly id: string
  /** Undefined where it has no members. */
  readonly activity: () => unknown
  readonly holderOf: (name: TopicPartition) => PartitionHolder | undefined
}

interface GivenPlace {
  readonly commit: OffsetCommit
  readonly log: ReadablePartition | undefined
  readonly holder: PartitionHolder | undefined
}

/** See the file's header. */
export class GroupCoverage implements Coverage {
  readonly groupId: string
  readonly offsets: CommittedOffsets
  readonly commits: readonly OffsetCommit[]
  readonly #log: CoveredLog
  readonly #group: HoldingGroup
  readonly #places: readonly GivenPlace[]

  /**
   * @throws {LogError} REBALANCED where the group has members, and none of them has a partition;
   *   OFFSET_OUT_OF_RANGE, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, INVALID_ARGUMENT; READ_ONLY.
   */
  constructor(log: CoveredLog, group: HoldingGroup, commits: readonly OffsetCommit[]) {
    this.groupId = group.id
    this.offsets = log.writableOffsets('transaction.commitOffsets')
    this.commits = commits.map((commit) => this.offsets.check(commit))
    this.#log = log
    this.#group = group
    this.#places = this.commits.map((commit) => {
      return { commit, log: this.#logOf(commit), holder: group.holderOf(commit) }
    })
    const hasMembers = group.activity() !== undefined
    for (const { commit, holder } of this.#places) {
      if (hasMembers && holder === undefined) throw this.#rebalanced(commit)
    }
    this.check()
    for (const { commit, holder } of this.#places) {
      if (holder !== undefined) cover(holder.member, holder.feed, commit.offset)
    }
  }

  check(): void {
    for (const { commit, log, holder } of this.#places) {
      if (holder !== undefined) {
        holder.member.checkKept(holder.feed)
        continue
      }
      if (this.#group.holderOf(commit) !== undefined) throw this.#rebalanced(commit)
      if (this.#logOf(commit) !== log) throw notTheSame(commit)
    }
  }

  ended(outcome: OffsetsOutcome): void {
    for (const { commit, holder } of this.#places) {
      holder?.feed.coveredEnded(commit.offset, outcome)
    }
  }

  #logOf({ topic, partition }: TopicPartition): ReadablePartition | undefined {
    return this.#log.findTopic(topic)?.partitions[partition]
  }

  #rebalanced({ topic, partition }: TopicPartition): LogError<'REBALANCED'> {
    const { groupId: group } = this
    return new LogError(
      'REBALANCED',
      `transaction.commitOffsets: ${topic}-${partition} moves between members of group ${group}: ` +
        'commit what a member has handed over, for as long as it has the partition',
      { group, topic, partition },
    )
  }
}

/** Deleted; one that was made anew under its name is another one. */
function notTheSame({ topic }: TopicPartition): LogError<'TOPIC_NOT_FOUND'> {
  const message = `transaction.commitOffsets: topic '${topic}' was deleted meanwhile`
  return new LogError('TOPIC_NOT_FOUND', message, { topic })
}
