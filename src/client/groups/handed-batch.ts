/**
 * HandedBatch: records of one partition as a consumer hands them over together.
 */
import type { AnyRecord, Batch } from '../group-types.ts'
import type { Coverage, Covered } from './coverage.ts'
import type { GroupMember } from './group-member.ts'
import type { HandedRun } from './hand-over.ts'
import { coverTaken } from './member-coverage.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** A batch in the user's hands. */
export class HandedBatch<R extends AnyRecord> implements Batch<R>, Covered {
  readonly topic: R['topic']
  readonly partition: number
  readonly records: readonly R[]
  readonly highWatermark: number
  readonly #member: GroupMember
  readonly #feed: PartitionFeed
  readonly #nextOffset: number

  constructor(member: GroupMember, { feed, records }: HandedRun) {
    this.topic = feed.topic
    this.partition = feed.partition
    const handed: readonly unknown[] = records
    this.records = handed as readonly R[] // The consumer's topics say what R is.
    this.highWatermark = feed.log.highWatermark
    this.#member = member
    this.#feed = feed
    this.#nextOffset = feed.position
  }

  async commit(): Promise<void> {
    this.#member.commitTaken(this.#feed, this.#nextOffset)
  }

  /** What a transaction commits of it. */
  coveredOffsets(): Coverage {
    return coverTaken(this.#member, this.#feed, this.#nextOffset)
  }
}
