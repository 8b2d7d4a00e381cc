/**
 * Consumer: one member of a group, as its user holds it. Owns which way of consuming is in use; the
 * rest is the member's (group-member.ts), which lives on without it only to leave.
 *
 *   I1  one thing at a time is asked of it: two loops, or a poll beside a loop, would each take
 *       what the other believes handled
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { checkOptions, describeValue, isArray } from '../check-options.ts'
import type {
  AnyRecord,
  Batch,
  BatchOptions,
  JoinOptions,
  Lag,
  TopicPartition,
  TopicPartitionOffset,
} from '../group-types.ts'
import { checkOffset, positionOf, signalOf, type Position } from '../position.ts'
import type { RecordStream } from '../record-stream.ts'
import { BatchIteration } from './batch-iteration.ts'
import { ConsumerHooks } from './consumer-hooks.ts'
import type { Coverage } from './coverage.ts'
import { shownPosition } from './group-admin.ts'
import type { GroupMember } from './group-member.ts'
import { countOf, waitOf } from './group-options.ts'
import { awaitAnswer } from './member-ask.ts'
import { coverAll } from './member-coverage.ts'
import { offsetsToCommit } from './offsets-to-commit.ts'
import { RecordIteration } from './record-iteration.ts'

/** Lets a member leave whose consumer nobody holds any more. */
const abandoned = new FinalizationRegistry<GroupMember>((member) => {
  void member.leaveQuietly()
})

/**
 * One member of a consumer group: reads the partitions that the group gives it, and commits how far
 * it is. At least once by default: asking for the next record or batch says that what was handed
 * over before is handled.
 *
 * A consumer that nobody holds any more leaves its group when it is collected.
 *
 * @example
 * ```ts
 * const consumer = await log.consumerGroup('billing', { topics: ['orders'] }).join()
 * for await (const record of consumer) console.log(record.offset) // waits for more at the end
 * ```
 */
export class Consumer<R extends AnyRecord = AnyRecord>
  implements AsyncIterable<R>, AsyncDisposable
{
  readonly #member: GroupMember
  /** Held here alone: the member knows them weakly. */
  readonly #hooks: ConsumerHooks
  /** The loop that is open, by its name. */
  #loop: string | undefined
  #isPolling = false

  private constructor(member: GroupMember, options: JoinOptions) {
    this.#member = member
    this.#hooks = new ConsumerHooks(this, options)
  }

  /** Joins as `member`. @internal */
  static async join<R extends AnyRecord>(
    member: GroupMember,
    options: JoinOptions,
  ): Promise<Consumer<R>> {
    const consumer = new Consumer<R>(member, options)
    try {
      await member.join(consumer.#hooks)
    } catch (error) {
      await member.leaveQuietly()
      throw error
    }
    abandoned.register(consumer, member)
    return consumer
  }

  /** Of this membership; another one after joining again. */
  get memberId(): string {
    return this.#member.memberId
  }

  /** The partitions it has now, by topic and partition. */
  get assignment(): readonly TopicPartition[] {
    return this.#member.partitions.names()
  }

  /**
   * Resolves when the group is stable and this member is positioned at its partitions, possibly
   * none. Not to be awaited in a hook, which it would wait for.
   * @throws {LogError} NO_OFFSET where a partition has nothing to start at; CLOSED; FENCED.
   */
  async ready(): Promise<void> {
    await this.#member.ready()
  }

  /**
   * Its records, one after the other; waits for more at the end. The loop ends when the consumer
   * leaves or the log closes; then what is in hand is not committed. `break` and `throw` leave the
   * group, and commit nothing of the record in hand: `await consumer.commit()` before a `break`
   * that means "done". So does an error, which the loop throws. Once: another loop needs another
   * consumer.
   * @throws {LogError} INVALID_ARGUMENT while another loop or `poll` is under way.
   */
  [Symbol.asyncIterator](): AsyncIterator<R> {
    this.#beginLoop('for await')
    return new RecordIteration<R>(this.#member, this)
  }

  /**
   * Its records by batches: up to `max` of one partition (default: the group's maxPollRecords),
   * waiting up to `waitMs` for so many (default 0). Otherwise as `for await` over the consumer:
   * asking for the next batch commits the one before.
   * @throws {LogError} INVALID_ARGUMENT.
   */
  batches(options?: BatchOptions): RecordStream<Batch<R>> {
    const where = 'consumer.batches'
    checkOptions(options, ['max', 'waitMs'], where)
    const { maxPollRecords } = this.#member.options
    const limit = {
      max: countOf(options?.max, 'max', maxPollRecords, where),
      waitMs: waitOf(options?.waitMs, 'waitMs', 0, where),
    }
    this.#beginLoop('batches')
    return new BatchIteration<R>(this.#member, limit, this)
  }

  /**
   * Its records as a Web stream, which reads no more of them than is asked for: reading the next
   * makes the one before handled. Cancelling it leaves the group. For a Node stream,
   * `Readable.from(consumer)`, which reads one record ahead.
   */
  stream(): ReadableStream<R> {
    this.#beginLoop('stream')
    const records = new RecordIteration<R>(this.#member, this)
    return new ReadableStream<R>(
      {
        async pull(controller) {
          const { done, value } = await records.next()
          if (done === true) controller.close()
          else controller.enqueue(value)
        },
        async cancel() {
          await records.return()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /**
   * Up to `max` records (default: the group's maxPollRecords) of whichever partitions have some.
   * Waits for at least one, for `timeoutMs` where that is given; none came then: an empty array.
   * Commits what the last call handed over, which counts as handled.
   * @throws {LogError} INVALID_ARGUMENT beside another poll or a loop; ABORTED by `signal`; CLOSED;
   *   FENCED; NO_OFFSET; CORRUPT; what a hook failed with.
   */
  async poll(options?: {
    max?: number | undefined
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<R[]> {
    const where = 'consumer.poll'
    checkOptions(options, ['max', 'timeoutMs', 'signal'], where)
    const max = countOf(options?.max, 'max', this.#member.options.maxPollRecords, where)
    const limits = {
      signal: signalOf(options?.signal, where),
      timeoutMs: waitOf(options?.timeoutMs, 'timeoutMs', undefined, where),
      dueInMs: () => undefined,
    }
    this.#beginPoll()
    try {
      return await this.#poll(max, limits)
    } finally {
      this.#isPolling = false
    }
  }

  /**
   * Commits: without `offsets`, its place in every partition, with what is in hand. Survives a
   * kill of the process when it resolves; with `durable`, a power cut, and the data before it does.
   * @throws {LogError} REBALANCED for a partition that is not this member's; OFFSET_OUT_OF_RANGE
   *   past the end of the log; TOPIC_NOT_FOUND, PARTITION_NOT_FOUND; CLOSED; NO_SPACE; IO.
   */
  async commit(
    offsets?: readonly TopicPartitionOffset[],
    options?: { durable?: boolean | undefined },
  ): Promise<void> {
    checkOptions(options, ['durable'], 'consumer.commit')
    const member = this.#member
    if (member.partitions.count === 0) member.checkUsable('commit')
    const isDurable = options?.durable === true
    const commits = offsetsToCommit(member, offsets, isDurable)
    if (commits.length === 0) return
    const position = member.commit(commits)
    if (isDurable) await member.offsets.durable(position)
  }

  /** What the group committed of the partitions that this consumer has. */
  committed(): readonly TopicPartitionOffset[] {
    const { offsets, groupId } = this.#member
    return this.assignment.flatMap(({ topic, partition }) => {
      const committed = offsets.get(groupId, topic, partition)
      return committed === undefined ? [] : [shownPosition({ topic, partition, ...committed })]
    })
  }

  /**
   * The next offset to hand over.
   * @throws {LogError} REBALANCED for a partition that is not this member's; NO_OFFSET.
   */
  position(tp: TopicPartition): number {
    return this.#member.feedOf(checkPartition(tp, 'position'), 'position').position
  }

  /** Records between the positions of this consumer and the ends of its partitions. */
  lag(): Lag {
    const partitions = this.assignment.flatMap(({ topic, partition }) => {
      const feed = this.#member.partitions.find({ topic, partition })
      if (feed === undefined || !feed.hasPosition) return []
      return [{ topic, partition, lag: Math.max(0, feed.log.highWatermark - feed.position) }]
    })
    return { total: partitions.reduce((sum, { lag }) => sum + lag, 0), partitions }
  }

  /**
   * Goes on at another place, forwards or backwards. What was handed over before stays handed over;
   * the next commit takes the new place.
   * @throws {LogError} OFFSET_OUT_OF_RANGE for what the log does not have: nothing changes.
   *   REBALANCED for a partition that is not this member's.
   */
  seek(tp: TopicPartition, to: Position): void {
    const feed = this.#member.feedOf(checkPartition(tp, 'seek'), 'seek')
    this.#member.reads.seek(feed, positionOf(to, 'consumer.seek', 'to'))
  }

  /**
   * Hands out nothing more of these partitions (default: of all it has now) until `resume`. What is
   * assigned anew is not paused.
   * @throws {LogError} REBALANCED for a partition that is not this member's.
   */
  pause(tps?: readonly TopicPartition[]): void {
    for (const tp of this.#chosen(tps, 'pause')) {
      this.#member.reads.pause(this.#member.feedOf(tp, 'pause'))
    }
  }

  /** Ends `pause`, of these partitions or of all. @throws {LogError} REBALANCED. */
  resume(tps?: readonly TopicPartition[]): void {
    for (const tp of this.#chosen(tps, 'resume')) {
      this.#member.reads.resume(this.#member.feedOf(tp, 'resume'))
    }
  }

  /**
   * Leaves the group: commits what was fully handed over, all of the last `poll` included, runs
   * `onRevoked` and gives the partitions to the others. The record or batch that a loop has in hand
   * is not committed. A second call resolves when the first one is over. Not to be awaited in a
   * hook, which it would wait for.
   */
  async leave(): Promise<void> {
    if (!this.#member.hasLeft) {
      if (this.#loop === undefined) this.#member.handOver.handled()
      this.#member.handOver.abandon()
    }
    await this.#member.leave()
  }

  /**
   * As `leave`, but what is in hand is not committed, that of the last `poll` neither: who disposes
   * in passing may have failed half way through it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#member.hasLeft) this.#member.handOver.abandon()
    await this.#member.leave()
  }

  /** What a transaction commits of it: all it has handed over. @internal */
  coveredOffsets(): Coverage {
    return coverAll(this.#member)
  }

  async #poll(max: number, limits: Parameters<typeof awaitAnswer>[3]): Promise<R[]> {
    const member = this.#member
    let isFirstLook = true
    const look = (): R[] | undefined => {
      if (isFirstLook) member.handOver.giveBack()
      isFirstLook = false
      const records: unknown[] | undefined = member.handOver.poll(max)
      return records as R[] | undefined // The group's topics say what R is.
    }
    const records = await awaitAnswer(member, 'poll', look, limits)
    if (records === undefined) member.checkUsable('poll')
    return records ?? []
  }

  #chosen(tps: unknown, call: string): readonly TopicPartition[] {
    if (tps === undefined) return this.assignment
    if (isArray(tps)) return tps.map((tp) => checkPartition(tp, call))
    throw invalidArgument(
      `consumer.${call}: partitions are an array of { topic, partition }, not ` +
        describeValue(tps),
      { value: tps },
    )
  }

  #beginPoll(): void {
    this.#member.checkUsable('poll')
    if (this.#isPolling) {
      throw invalidArgument(
        'consumer.poll: a poll of this consumer is under way: await it first, or let another ' +
          'member join for what is to happen at the same time',
      )
    }
    this.#checkNoLoop('consumer.poll')
    this.#isPolling = true
  }

  #beginLoop(name: string): void {
    if (this.#isPolling) {
      throw invalidArgument(`consumer: ${name} beside a poll that is under way: await it first`)
    }
    this.#member.checkUsable(name)
    this.#checkNoLoop(`consumer: ${name}`)
    this.#loop = name
  }

  #checkNoLoop(where: string): void {
    if (this.#loop === undefined) return
    throw invalidArgument(
      `${where}: this consumer is iterated over already, by ${this.#loop}: one loop has all its ` +
        'records; let another member join the group for another one',
    )
  }
}

/** @throws {LogError} INVALID_ARGUMENT for what names no partition. */
function checkPartition(tp: unknown, call: string): TopicPartition {
  if (typeof tp === 'object' && tp !== null && 'topic' in tp && 'partition' in tp) {
    const { topic, partition } = tp
    if (typeof topic === 'string') {
      return { topic, partition: checkOffset(partition, `consumer.${call}: partition`) }
    }
  }
  throw invalidArgument(
    `consumer.${call}: a partition is { topic, partition }, not ${describeValue(tp)}`,
    { value: tp },
  )
}
