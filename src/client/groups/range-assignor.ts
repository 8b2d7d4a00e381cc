/**
 * Range: each topic by itself is cut into runs of neighbouring partitions, one run a subscriber, as
 * Kafka's RangeAssignor does. Partitions of the same number in several topics come to the same
 * member where the topics have the same size and subscribers: what a join by key needs. The price:
 * the first members get the larger run of every topic.
 */
import type { TopicPartition } from '../group-types.ts'
import type { Assignment, AssigningMember, GroupAssignor } from './group-assignor.ts'
import { inServingOrder } from './member-order.ts'

/** Kafka's `range`. */
export const rangeAssignor: GroupAssignor = { name: 'range', isEager: true, assign: assignRanges }

function assignRanges(
  members: readonly AssigningMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Assignment {
  const assignment = new Map<string, TopicPartition[]>()
  const subscribers = new Map<string, TopicPartition[][]>()
  for (const member of inServingOrder(members)) {
    const given: TopicPartition[] = []
    assignment.set(member.memberId, given)
    for (const topic of new Set(member.topics)) {
      const ofTopic = subscribers.get(topic)
      if (ofTopic === undefined) subscribers.set(topic, [given])
      else ofTopic.push(given)
    }
  }
  for (const [topic, ofTopic] of subscribers) {
    cutTopic(topic, partitionCounts.get(topic) ?? 0, ofTopic)
  }
  return assignment
}

function cutTopic(topic: string, partitionCount: number, takers: TopicPartition[][]): void {
  const shortRun = Math.floor(partitionCount / takers.length)
  const longRuns = partitionCount % takers.length
  let partition = 0
  for (const [index, taken] of takers.entries()) {
    const end = partition + (index < longRuns ? shortRun + 1 : shortRun)
    for (; partition < end; partition += 1) taken.push({ topic, partition })
  }
}
