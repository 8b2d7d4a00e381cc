/**
 * Round-robin: the partitions of all topics in one row, dealt out in turn, as Kafka's
 * RoundRobinAssignor does. A member that does not subscribe to a topic is passed over.
 */
import type { TopicPartition } from '../group-types.ts'
import type { Assignment, AssigningMember, GroupAssignor } from './group-assignor.ts'
import { compareText, inServingOrder } from './member-order.ts'

/** Kafka's `roundrobin`. */
export const roundRobinAssignor: GroupAssignor = {
  name: 'roundrobin',
  isEager: true,
  assign: dealOut,
}

interface Seat {
  readonly topics: ReadonlySet<string>
  readonly given: TopicPartition[]
}

function dealOut(
  members: readonly AssigningMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Assignment {
  const assignment = new Map<string, TopicPartition[]>()
  const seats: Seat[] = []
  for (const member of inServingOrder(members)) {
    const given: TopicPartition[] = []
    assignment.set(member.memberId, given)
    seats.push({ topics: new Set(member.topics), given })
  }
  let turn = 0
  for (const topic of [...partitionCounts.keys()].toSorted(compareText)) {
    // A topic that nobody here wants would be passed around for ever.
    if (!seats.some((seat) => seat.topics.has(topic))) continue
    const partitionCount = partitionCounts.get(topic) ?? 0
    let partition = 0
    while (partition < partitionCount) {
      const seat = seats[turn % seats.length]
      turn += 1
      if (seat?.topics.has(topic) !== true) continue
      seat.given.push({ topic, partition })
      partition += 1
    }
  }
  return assignment
}
