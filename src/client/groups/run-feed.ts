/**
 * RunFeed: a member as `run` holds it. What each call promises is in member-feed.ts; here is only
 * how they come from the member.
 */
import type { LogRecord } from '../log-record.ts'
import type { TopicPartition } from '../group-types.ts'
import type { Anything } from '../standard-schema.ts'
import type { Coverage } from './coverage.ts'
import type { GroupMember } from './group-member.ts'
import { awaitAnswer, beginAsk } from './member-ask.ts'
import { coverTaken } from './member-coverage.ts'
import type { MemberFeed, TakenRecords, TakeOptions } from './member-feed.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { RunTaken, type TakenHost } from './taken-records.ts'

type TypedByHandle = LogRecord<Anything, Anything>

/** A member for `run`. */
export class RunFeed implements MemberFeed<TypedByHandle>, TakenHost {
  readonly memberId: string
  readonly #member: GroupMember

  constructor(member: GroupMember) {
    this.memberId = member.memberId
    this.#member = member
  }

  async ready(): Promise<void> {
    await this.#member.ready()
  }

  async take(
    options: TakeOptions,
    signal: AbortSignal | null = null,
  ): Promise<TakenRecords<TypedByHandle> | undefined> {
    const { handOver } = this.#member
    const { waitMs = 0 } = options
    return await awaitAnswer(this.#member, 'run', () => this.#take(options.max, waitMs), {
      signal,
      timeoutMs: undefined,
      dueInMs: () => handOver.dueInMs(waitMs),
    })
  }

  takeNow(max: number): TakenRecords<TypedByHandle> | undefined {
    try {
      return beginAsk(this.#member, 'run') ? this.#take(max, 0) : undefined
    } catch {
      return undefined // `take` meets it again, and rejects with it.
    }
  }

  pause(partition: TopicPartition): void {
    const feed = this.#member.partitions.find(partition)
    if (feed !== undefined) this.#member.reads.pause(feed)
  }

  resume(partition: TopicPartition): void {
    const feed = this.#member.partitions.find(partition)
    if (feed !== undefined) this.#member.reads.resume(feed)
  }

  onRevoking(listener: (partition: TopicPartition) => void): void {
    this.#member.onRevoking = listener
  }

  async leave(): Promise<void> {
    await this.#member.leave()
  }

  handled(recordCount: number, isAll: boolean): void {
    const { autoCommit, stallWatch } = this.#member
    stallWatch?.progress()
    autoCommit.countedQuietly(recordCount)
    if (isAll) autoCommit.soon()
  }

  commit(feed: PartitionFeed, offset: number): void {
    this.#member.commitTaken(feed, offset)
  }

  cover(feed: PartitionFeed, offset: number): Coverage {
    // What handlers were done with before is no transaction's.
    if (feed.isUnwritten) this.#member.autoCommit.writeQuietly()
    return coverTaken(this.#member, feed, offset)
  }

  released(feeds: readonly PartitionFeed[]): void {
    this.#member.stallWatch?.progress()
    this.#member.released(feeds)
  }

  #take(max: number, waitMs: number): TakenRecords<TypedByHandle> | undefined {
    const bound = Math.min(max, this.#member.options.maxPollRecords)
    const run = this.#member.handOver.run({ max: bound, waitMs })
    return run === undefined ? undefined : new RunTaken(run, this)
  }
}
