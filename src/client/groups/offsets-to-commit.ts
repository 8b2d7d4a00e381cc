/**
 * What a user asks to be committed, read and checked: offsets that can be, of partitions named
 * once. Whether they exist is for whoever commits them to say.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import { describeValue, isArray } from '../check-options.ts'
import { checkOffset } from '../position.ts'
import type { GroupMember } from './group-member.ts'

const WHERE = 'consumer.commit'
const UNKNOWN_EPOCH = -1

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
  if (!isArray(offsets)) {
    throw invalidArgument(
      `${WHERE}: offsets are an array of { topic, partition, offset }, not ` +
        describeValue(offsets),
      { value: offsets },
    )
  }
  // The last one of a partition counts: records are often mapped to offsets one by one.
  const commits = new Map<string, OffsetCommit>()
  for (const entry of offsets) {
    const commit = commitOf(entry)
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
    const committed = member.host.offsets.get(member.groupId, topic, partition)?.offset
    // What is committed already need not be durable, nor stay: an older place may be on its way.
    if (!isDurable && !feed.isUnwritten && position === committed) continue
    commits.push({ topic, partition, offset: position, leaderEpoch: UNKNOWN_EPOCH, metadata: '' })
  }
  return commits
}

function commitOf(entry: unknown): OffsetCommit {
  const isEntry = typeof entry === 'object' && entry !== null
  if (!isEntry || !('topic' in entry) || !('partition' in entry) || !('offset' in entry)) {
    throw refused(entry)
  }
  const { topic } = entry
  if (typeof topic !== 'string') throw refused(entry)
  const leaderEpoch = 'leaderEpoch' in entry ? entry.leaderEpoch : undefined
  const metadata = 'metadata' in entry ? entry.metadata : undefined
  if (metadata !== undefined && typeof metadata !== 'string') {
    throw invalidArgument(`${WHERE}: metadata is a string, not ${describeValue(metadata)}`, {
      value: metadata,
    })
  }
  return {
    topic,
    partition: checkOffset(entry.partition, `${WHERE}: partition`),
    offset: checkOffset(entry.offset, `${WHERE}: offset`),
    leaderEpoch: epochOf(leaderEpoch),
    metadata: metadata ?? '',
  }
}

function epochOf(leaderEpoch: unknown): number {
  if (leaderEpoch === undefined || leaderEpoch === UNKNOWN_EPOCH) return UNKNOWN_EPOCH
  return checkOffset(leaderEpoch, `${WHERE}: leaderEpoch`)
}

function refused(entry: unknown): Error {
  return invalidArgument(
    `${WHERE}: an offset is { topic, partition, offset }, not ${describeValue(entry)}`,
    { value: entry },
  )
}
