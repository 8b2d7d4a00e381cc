/**
 * Allotment: the working table of the sticky assignors. Members and partitions are numbers here:
 * members in the order of their ids, partitions in the order of topic and number.
 *   I1  each partition has one owner or none, and only among the subscribers of its topic
 *   I2  loads[m] is how many partitions m owns
 */
import { assert } from '../../errors/invariant.ts'
import type { TopicPartition } from '../group-types.ts'
import type { Assignment, AssigningMember } from './group-assignor.ts'
import { compareText } from './member-order.ts'

/** The owner of what nobody owns. */
export const NOBODY = -1

/** A topic that exists, and who wants it. */
export interface AllottedTopic {
  readonly name: string
  /** Its partitions are `first` to `end` − 1. */
  readonly first: number
  readonly end: number
  /** Members by number, ascending. */
  readonly subscribers: readonly number[]
}

/** Who owns which partition, while an assignor works it out. */
export class Allotment {
  readonly members: readonly AssigningMember[]
  /** Topics that somebody subscribes to, by name. */
  readonly topics: readonly AllottedTopic[]
  readonly partitionCount: number
  readonly owners: Int32Array
  readonly loads: Int32Array

  constructor(members: readonly AssigningMember[], partitionCounts: ReadonlyMap<string, number>) {
    this.members = members.toSorted((a, b) => compareText(a.memberId, b.memberId))
    const subscribers = subscribersByTopic(this.members)
    const topics: AllottedTopic[] = []
    let first = 0
    for (const name of [...subscribers.keys()].toSorted(compareText)) {
      const end = first + (partitionCounts.get(name) ?? 0)
      topics.push({ name, first, end, subscribers: subscribers.get(name) ?? [] })
      first = end
    }
    this.topics = topics
    this.partitionCount = first
    this.owners = new Int32Array(first).fill(NOBODY)
    this.loads = new Int32Array(this.members.length)
    this.#giveBackOwned()
  }

  /** Gives a partition that nobody owns. */
  give(partition: number, member: number): void {
    assert(this.owners[partition] === NOBODY, 'I1: one owner')
    this.owners[partition] = member
    this.loads[member] = this.loadOf(member) + 1
  }

  /** Takes a partition from its owner. */
  take(partition: number): void {
    const owner = this.ownerOf(partition)
    assert(owner !== NOBODY, 'I2: somebody owns it')
    this.owners[partition] = NOBODY
    this.loads[owner] = this.loadOf(owner) - 1
  }

  ownerOf(partition: number): number {
    return this.owners[partition] ?? NOBODY
  }

  loadOf(member: number): number {
    return this.loads[member] ?? 0
  }

  /** The result, every member in it. */
  assignment(): Assignment {
    const lists = this.members.map((): TopicPartition[] => [])
    for (const { name, first, end } of this.topics) {
      for (let partition = first; partition < end; partition += 1) {
        lists[this.ownerOf(partition)]?.push({ topic: name, partition: partition - first })
      }
    }
    return new Map(this.members.map(({ memberId }, index) => [memberId, lists[index] ?? []]))
  }

  /**
   * Everybody starts with what was theirs. Of two claims the one of the later generation counts
   * (KIP-341); of the same generation neither does.
   */
  #giveBackOwned(): void {
    const topics = new Map(this.topics.map((topic) => [topic.name, topic]))
    const claims = new Float64Array(this.partitionCount).fill(Number.NEGATIVE_INFINITY)
    for (const [member, { owned, generation, topics: wanted }] of this.members.entries()) {
      const subscribed = new Set(wanted)
      for (const { topic: name, partition: number } of owned) {
        const topic = topics.get(name)
        if (topic === undefined || !subscribed.has(name)) continue
        const partition = topic.first + number
        const claim = claims[partition]
        if (partition >= topic.end || claim === undefined || claim > generation) continue
        if (this.ownerOf(partition) !== NOBODY) this.take(partition)
        if (claim < generation) this.give(partition, member)
        claims[partition] = generation
      }
    }
  }
}

function subscribersByTopic(members: readonly AssigningMember[]): Map<string, number[]> {
  const subscribers = new Map<string, number[]>()
  for (const [member, { topics }] of members.entries()) {
    for (const topic of new Set(topics)) {
      const ofTopic = subscribers.get(topic)
      if (ofTopic === undefined) subscribers.set(topic, [member])
      else ofTopic.push(member)
    }
  }
  return subscribers
}
