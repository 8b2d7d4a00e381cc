/**
 * An assignor of the user's, made safe: it works on copies, and an answer that cannot be carried
 * out is refused as a whole, before anything of it happens. What it leaves out nobody reads; what
 * it moves, moves as with cooperative-sticky.
 */
import { LogError, invalidArgument } from '../../errors/log-error.ts'
import { describeValue, isArray } from '../check-options.ts'
import type { Assignor, TopicPartition } from '../group-types.ts'
import type { Assignment, AssigningMember, GroupAssignor } from './group-assignor.ts'
import { compareText } from './member-order.ts'

/** `assignor` as a group uses it: `assign` throws INVALID_ARGUMENT that says what is wrong. */
export function userAssignor(assignor: Assignor): GroupAssignor {
  const { name } = assignor
  return {
    name,
    isEager: false,
    assign: (members, partitionCounts) => {
      const asked = members.map(({ memberId, topics, owned }) => ({
        memberId,
        topics: [...topics],
        owned: owned.map(({ topic, partition }) => ({ topic, partition })),
      }))
      try {
        const answer: unknown = assignor.assign(asked, allPartitions(partitionCounts))
        return new AnswerCheck(name, members, partitionCounts).check(answer)
      } catch (error) {
        // The check's own; getters and iterators of the answer are the user's code as well.
        if (LogError.is(error, 'INVALID_ARGUMENT') && error.details['assignor'] === name)
          throw error
        throw refusal(name, `threw ${describeValue(error)}`, { assignor: name }, error)
      }
    },
  }
}

function allPartitions(partitionCounts: ReadonlyMap<string, number>): TopicPartition[] {
  const partitions: TopicPartition[] = []
  for (const topic of [...partitionCounts.keys()].toSorted(compareText)) {
    const partitionCount = partitionCounts.get(topic) ?? 0
    for (let partition = 0; partition < partitionCount; partition += 1) {
      partitions.push({ topic, partition })
    }
  }
  return partitions
}

/** Reads one answer, which may be anything at all. */
class AnswerCheck {
  readonly #name: string
  readonly #members: ReadonlyMap<string, ReadonlySet<string>>
  readonly #partitionCounts: ReadonlyMap<string, number>
  /** Who has got which partition, by topic. */
  readonly #takers = new Map<string, Map<number, string>>()

  constructor(
    name: string,
    members: readonly AssigningMember[],
    partitionCounts: ReadonlyMap<string, number>,
  ) {
    this.#name = name
    this.#members = new Map(members.map(({ memberId, topics }) => [memberId, new Set(topics)]))
    this.#partitionCounts = partitionCounts
  }

  check(answer: unknown): Assignment {
    if (!(answer instanceof Map)) {
      // A rejection of what is refused anyway must not end the process as well.
      if (answer instanceof Promise) answer.catch(() => undefined)
      const given = answer instanceof Promise ? 'a promise' : describeValue(answer)
      throw this.#refuse(`gave ${given} instead of a Map`, {})
    }
    const assignment = new Map<string, readonly TopicPartition[]>()
    // A Map of whatever: its entries are checked one by one.
    for (const [memberId, given] of answer as ReadonlyMap<unknown, unknown>) {
      const topics = typeof memberId === 'string' ? this.#members.get(memberId) : undefined
      if (typeof memberId !== 'string' || topics === undefined) {
        const known = [...this.#members.keys()]
        const what = `named ${describeValue(memberId)}, which is no member (${known.join(', ')})`
        throw this.#refuse(what, { memberId, known })
      }
      assignment.set(memberId, this.#partitionsOf(memberId, topics, given))
    }
    return assignment
  }

  #partitionsOf(
    memberId: string,
    topics: ReadonlySet<string>,
    given: unknown,
  ): readonly TopicPartition[] {
    if (!isArray(given)) {
      const what = `gave ${memberId} ${describeValue(given)} instead of an array of partitions`
      throw this.#refuse(what, { memberId })
    }
    return given.map((item) => {
      const taken = this.#existing(memberId, item)
      const { topic, partition } = taken
      if (!topics.has(topic)) {
        const what = `gave ${topic}-${partition} to ${memberId}, which does not subscribe to it`
        throw this.#refuse(what, { memberId, topic, partition })
      }
      const takers = this.#takers.get(topic) ?? new Map<number, string>()
      const other = takers.get(partition)
      if (other !== undefined) {
        const what = `gave ${topic}-${partition} twice, to ${other} and to ${memberId}`
        throw this.#refuse(what, { memberId, topic, partition, other })
      }
      this.#takers.set(topic, takers.set(partition, memberId))
      return taken
    })
  }

  /** `item` as a partition that exists, copied. */
  #existing(memberId: string, item: unknown): TopicPartition {
    // Reads only; what is read is checked below.
    const shape = Object(item) as { readonly topic?: unknown; readonly partition?: unknown }
    const { topic, partition } = shape
    if (typeof topic === 'string' && typeof partition === 'number') {
      const partitionCount = this.#partitionCounts.get(topic) ?? 0
      if (Number.isInteger(partition) && partition >= 0 && partition < partitionCount) {
        return { topic, partition }
      }
      const what = `gave ${memberId} ${topic}-${partition}, which does not exist`
      throw this.#refuse(what, { memberId, topic, partition })
    }
    const what = `gave ${memberId} ${describeValue(item)} instead of { topic, partition }`
    throw this.#refuse(what, { memberId })
  }

  #refuse(what: string, details: Readonly<Record<string, unknown>>): LogError<'INVALID_ARGUMENT'> {
    return refusal(this.#name, what, { assignor: this.#name, ...details })
  }
}

function refusal(
  name: string,
  what: string,
  details: Readonly<Record<string, unknown>>,
  cause?: unknown,
): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `assignor ${name} ${what}; assign gives back a Map from memberId to an array of partitions, each of those it was given at most once, to a member that subscribes to its topic. The group keeps the assignment it had`,
    details,
    cause,
  )
}
