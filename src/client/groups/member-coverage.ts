/**
 * MemberCoverage: the places of one member that a transaction commits.
 *
 *   I1  a place is committed only while its partition is this member's, without a break since the
 *       records were handed over: asked at the call, and again right before it is appended
 *   I2  from the call on nothing else commits it by itself, however the transaction ends
 */
import type { CommittedOffsets, OffsetCommit } from '../../log/committed-offsets.ts'
import type { OffsetsOutcome } from '../../log/staged-offsets.ts'
import type { Coverage } from './coverage.ts'
import { UNKNOWN_EPOCH } from './given-offsets.ts'
import type { GroupMember } from './group-member.ts'
import { notOwned } from './member-errors.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** How far a partition is covered. */
interface CoveredPlace {
  readonly feed: PartitionFeed
  readonly offset: number
}

/** Places of one member. */
class MemberCoverage implements Coverage {
  readonly groupId: string
  readonly offsets: CommittedOffsets
  readonly commits: readonly OffsetCommit[]
  readonly #member: GroupMember
  readonly #places: readonly CoveredPlace[]

  constructor(member: GroupMember, places: readonly CoveredPlace[]) {
    this.groupId = member.groupId
    this.offsets = member.offsets
    this.#member = member
    this.#places = places
    this.commits = places.map(({ feed: { topic, partition }, offset }) => {
      return { topic, partition, offset, leaderEpoch: UNKNOWN_EPOCH, metadata: '' }
    })
    this.check()
    for (const { feed, offset } of places) cover(member, feed, offset)
  }

  check(): void {
    try {
      for (const { feed } of this.#places) this.#member.checkKept(feed)
    } catch (error) {
      this.#member.partitions.takeForfeited() // It is said now.
      throw error
    }
  }

  ended(outcome: OffsetsOutcome): void {
    for (const { feed, offset } of this.#places) feed.coveredEnded(offset, outcome)
  }
}

/** From now on nothing else commits `feed` up to `offset`, nor what was handled and not written. */
export function cover(member: GroupMember, feed: PartitionFeed, offset: number): void {
  feed.cover(offset)
  if (feed.isCovered) member.autoCommit.written([feed])
}

/**
 * What was handed over of `feed`, up to `offset`.
 * @throws {LogError} REBALANCED where the partition was lost since; CLOSED; FENCED.
 */
export function coverTaken(member: GroupMember, feed: PartitionFeed, offset: number): Coverage {
  return new MemberCoverage(member, [{ feed, offset: feed.covered.pastGap(offset) }])
}

/**
 * Everything that was handed over.
 * @throws {LogError} REBALANCED where a partition of which something was handed over, and nothing
 *   committed, was given up or lost since; CLOSED; FENCED.
 */
export function coverAll(member: GroupMember): Coverage {
  member.checkUsable('commit')
  const forfeited = member.partitions.takeForfeited() // Said once, whatever else is.
  for (const feed of member.handOver.inHand) member.checkKept(feed)
  if (forfeited !== undefined)
    throw notOwned(member, forfeited, member.host.findTopic(forfeited.topic), 'commit')
  const places: CoveredPlace[] = []
  for (const feed of member.partitions) {
    if (!feed.hasPosition) continue
    const { topic, partition, position: offset } = feed
    const committed = member.offsets.get(member.groupId, topic, partition)?.offset
    if (offset === committed) continue
    // A partition where nothing was done yet need not keep the transaction from being committed.
    if (committed === undefined && !feed.hasMoved && !feed.isUnwritten) continue
    places.push({ feed, offset })
  }
  return new MemberCoverage(member, places)
}
