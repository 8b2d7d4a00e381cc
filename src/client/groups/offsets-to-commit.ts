/**
 * What a user asks to be committed: what is given, or the places of a member. Whether these offsets
 * exist is for whoever commits them to say.
 */
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import { givenOffsets, UNKNOWN_EPOCH } from './given-offsets.ts'
import type { GroupMember } from './group-member.ts'

/**
 * The commits that `offsets` mean; without them, the member's place in each of its partitions.
 * @throws {LogError} INVALID_ARGUMENT naming what cannot be; REBALANCED, or TOPIC_NOT_FOUND,
 *   where what is in hand is of a partition that was lost.
 */
export function offsetsToCommit(
  member: GroupMember,
  offsets: unknown,
  isDurable: boolean,
): readonly OffsetCommit[] {
  if (offsets === undefined) return placesOf(member, isDurable)
  // The last one of a partition counts: records are often mapped to offsets one by one.
  const commits = new Map<string, OffsetCommit>()
  for (const commit of givenOffsets(offsets, 'consumer.commit')) {
    commits.set(`${commit.topic}/${commit.partition}`, commit)
  }
  return [...commits.values()]
}

function placesOf(member: GroupMember, isDurable: boolean): readonly OffsetCommit[] {
  const commits: OffsetCommit[] = []
  for (const feed of member.handOver.inHand) member.checkKept(feed)
  for (const feed of member.partitions) {
    if (!feed.hasPosition) continue
    const { topic, partition, position } = feed
    const committed = member.offsets.get(member.groupId, topic, partition)?.offset
    // What is committed already need not be durable, nor stay: an older place may be on its way.
    if (!isDurable && !feed.isUnwritten && position === committed) continue
    commits.push({ topic, partition, offset: position, leaderEpoch: UNKNOWN_EPOCH, metadata: '' })
  }
  return commits
}
