/**
 * What a member of a group refuses with, and the way out of it.
 */
import { LogError } from '../../errors/log-error.ts'
import type { ReadableTopic } from '../../log/readable-partition.ts'
import type { TopicPartition } from '../group-types.ts'

/** The member whose call is refused. */
export interface RefusingMember {
  readonly groupId: string
  readonly memberId: string
  readonly instanceId: string | undefined
}

/** The partition is another member's, or nobody's, or does not exist. */
export function notOwned(
  { groupId, memberId }: RefusingMember,
  { topic, partition }: TopicPartition,
  known: ReadableTopic | undefined,
  call: string,
): LogError {
  if (known === undefined) {
    const message = `consumer.${call}: there is no topic '${topic}'`
    return new LogError('TOPIC_NOT_FOUND', message, { topic })
  }
  if (partition >= known.partitions.length) {
    const message = `consumer.${call}: ${topic} has no partition ${partition}`
    return new LogError('PARTITION_NOT_FOUND', message, { topic, partition })
  }
  return new LogError(
    'REBALANCED',
    `consumer.${call}: ${topic}-${partition} is not assigned to this member of group ` +
      `${groupId}: consumer.assignment has what is, onAssigned and onRevoked what changes`,
    { group: groupId, memberId, topic, partition },
  )
}

/** The member has left. */
export function hasLeft({ groupId, memberId }: RefusingMember, call: string): LogError<'CLOSED'> {
  return new LogError(
    'CLOSED',
    `consumer.${call}: this consumer has left group ${groupId}: join again for another one`,
    { call, group: groupId, memberId },
  )
}

/** Another member took over. */
export function isFenced(
  { groupId, memberId, instanceId }: RefusingMember,
  call: string,
): LogError<'FENCED'> {
  return new LogError(
    'FENCED',
    `consumer.${call}: another member of group ${groupId} joined with the instanceId ` +
      `'${instanceId}': one member at a time may have it`,
    { group: groupId, memberId, instanceId },
  )
}
