/**
 * MemberPartitions: the partitions that one member of a group has, each with its feed.
 *
 *   I1  a partition is here from its assignment until it was released or lost
 *   I2  what happens to a partition that is here wakes those who wait for records
 */
import type { CommittedOffsets } from '../../log/committed-offsets.ts'
import type { TopicPartition } from '../group-types.ts'
import type { MemberReads } from './member-reads.ts'
import { PartitionFeed, type FeedOptions } from './partition-feed.ts'
import type { Subscription } from './subscription.ts'

/** What feeds are made of. */
export interface PartitionParts {
  readonly subscription: Subscription
  readonly offsets: CommittedOffsets
  readonly reads: MemberReads
  readonly feedOptions: FeedOptions
}

/** The partitions of one member. */
export class MemberPartitions implements Iterable<PartitionFeed> {
  readonly #parts: PartitionParts
  readonly #feeds = new Map<string, PartitionFeed>()
  readonly #stopListening = new Map<PartitionFeed, () => void>()
  /** The last one that went with records handed over of which no position was committed. */
  #forfeited: TopicPartition | undefined

  constructor(parts: PartitionParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#feeds.size
  }

  /** By topic and partition. */
  names(): readonly TopicPartition[] {
    return [...this.#feeds.values()].map(nameOf).sort(byName)
  }

  [Symbol.iterator](): IterableIterator<PartitionFeed> {
    return this.#feeds.values()
  }

  find({ topic, partition }: TopicPartition): PartitionFeed | undefined {
    return this.#feeds.get(keyOf(topic, partition))
  }

  /** Takes partitions in, each where the group goes on in it; those that exist. */
  add(partitions: readonly TopicPartition[], generation: number): readonly PartitionFeed[] {
    const { subscription, reads, feedOptions } = this.#parts
    const added: PartitionFeed[] = []
    for (const { topic, partition } of partitions) {
      const view = subscription.view(topic)
      const log = view?.partitions[partition]
      if (view === undefined || log === undefined) continue // Deleted: it will be lost.
      const feed = new PartitionFeed(log, view.types, generation, feedOptions)
      this.#feeds.set(keyOf(topic, partition), feed)
      const notice = (): void => {
        if (feed.isOvertaken) reads.drop(feed) // What is gone is not handed over any more.
        reads.changed(feed)
      }
      this.#stopListening.set(feed, log.onChange(notice))
      if (this.#pendingOf(feed) === undefined) this.#locate(feed)
      added.push(feed)
    }
    return added
  }

  /**
   * Undefined where all of these have their place. Where a transaction of whoever had one before is
   * being committed: resolves when that is over, and they have.
   * @throws {LogError} IO where nobody knows how it ended.
   */
  placed(feeds: readonly PartitionFeed[]): Promise<void> | undefined {
    const waiting = feeds.filter((feed) => this.#pendingOf(feed) !== undefined)
    return waiting.length === 0 ? undefined : this.#placeLater(feeds)
  }

  /** The last partition that went while its user had records of it that nothing commits. Once. */
  takeForfeited(): TopicPartition | undefined {
    const name = this.#forfeited
    this.#forfeited = undefined
    return name
  }

  /** They are the member's no more. */
  remove(feeds: Iterable<PartitionFeed>): void {
    for (const feed of feeds) {
      const key = keyOf(feed.topic, feed.partition)
      if (this.#feeds.get(key) === feed) this.#feeds.delete(key)
      this.#stopListening.get(feed)?.()
      this.#stopListening.delete(feed)
      this.#parts.reads.drop(feed)
      if (!feed.isLost && this.#isForfeited(feed)) this.#forfeited = nameOf(feed)
      feed.lose()
    }
  }

  async #placeLater(feeds: readonly PartitionFeed[]): Promise<void> {
    await Promise.all(feeds.flatMap((feed) => this.#pendingOf(feed) ?? []))
    for (const feed of feeds) if (!feed.isLost && !feed.hasPosition) this.#locate(feed)
  }

  #pendingOf({ topic, partition }: PartitionFeed): Promise<void> | undefined {
    const { offsets, feedOptions } = this.#parts
    return offsets.pendingOf(feedOptions.groupId, topic, partition)
  }

  #locate(feed: PartitionFeed): void {
    feed.locate(this.#committed(feed))
  }

  #committed({ topic, partition }: PartitionFeed): number | undefined {
    const { offsets, feedOptions } = this.#parts
    return offsets.get(feedOptions.groupId, topic, partition)?.offset
  }

  #isForfeited(feed: PartitionFeed): boolean {
    if (!feed.hasMoved || this.#pendingOf(feed) !== undefined) return false
    const committed = this.#committed(feed)
    return committed === undefined || feed.covered.pastGap(committed) < feed.position
  }
}

/** What a partition is called. */
export function nameOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}` // No topic's name has a slash.
}

function byName(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}
