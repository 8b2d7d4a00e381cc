/**
 * ConsumerGroup: a group as its user holds it: members join, handlers run, positions are looked at
 * and moved. One handle of a group: others of the same id are the same group.
 */
import type { Clock } from '../../log/clock.ts'
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import type { ResolvedTopicConfig, TopicConfig } from '../../log/log-config.ts'
import type {
  AnyRecord,
  Batch,
  BatchOptions,
  GroupAdmin,
  GroupDescription,
  JoinOptions,
  Lag,
  RunContext,
  RunOptions,
  Running,
  TopicPartitionOffset,
} from '../group-types.ts'
import type { Producer } from '../producer.ts'
import type { AnyTopicRef } from '../topic-ref.ts'
import { checkJoinOptions } from './consumer-hooks.ts'
import { Consumer } from './consumer.ts'
import type { Coverage } from './coverage.ts'
import type { GroupAdministration } from './group-admin.ts'
import type { GroupCoordinator } from './group-coordinator.ts'
import type { GroupSettings } from './live-group.ts'
import type { MemberFeed } from './member-feed.ts'
import { RunFeed } from './run-feed.ts'
import type { HandlerRun, RunHost } from './run-host.ts'
import { BatchHandling, RecordHandling } from './run-handling.ts'
import { runBatchesPlan, runPlan } from './run-options.ts'
import { GroupRun } from './running.ts'

/**
 * A consumer group: its members share the partitions of its topics, and it remembers how far they
 * are.
 *
 * @example
 * ```ts
 * const billing = log.consumerGroup('billing', { topics: ['orders'] })
 * const running = billing.run(async (record) => console.log(record.value), { retries: 3 })
 * await running.ready
 * ```
 */
export class ConsumerGroup<R extends AnyRecord = AnyRecord> implements GroupAdmin {
  readonly #coordinator: GroupCoordinator
  readonly #settings: GroupSettings
  readonly #admin: GroupAdministration

  private constructor(coordinator: GroupCoordinator, settings: GroupSettings) {
    this.#coordinator = coordinator
    this.#settings = settings
    this.#admin = coordinator.administration(settings.id, settings)
  }

  /** The handle of a group. @internal */
  static of<R extends AnyRecord>(
    coordinator: GroupCoordinator,
    settings: GroupSettings,
  ): ConsumerGroup<R> {
    return new ConsumerGroup<R>(coordinator, settings)
  }

  get id(): string {
    return this.#settings.id
  }

  /**
   * Joins the group as another member. Resolves after its first assignment, possibly empty, once
   * `onAssigned` has run; `consumer.ready()` when the group is stable. `onRevoked` and `onLost` run
   * before the partitions move on. Where a hook fails, the member leaves, nothing of the partitions
   * concerned is committed, and whoever asks it next, or waits, gets the error.
   * @throws {LogError} TOPIC_NOT_FOUND for a topic that does not exist; CONFIG_MISMATCH where the
   *   group has members with other topics, another assignor or isolation; INVALID_ARGUMENT; CLOSED;
   *   READ_ONLY.
   */
  async join(options?: JoinOptions): Promise<Consumer<R>> {
    const checked = checkJoinOptions(options, `log.consumerGroup('${this.id}').join`)
    const { instanceId } = checked
    const member = await this.#coordinator.newMember(this.#settings, instanceId, 'consumer')
    return await Consumer.join<R>(member, checked)
  }

  /**
   * Calls `handler` for each record, with members of its own, and commits what it finished: at
   * least once. Begins at once; keeps the process alive, unless the log is in memory, until it is
   * stopped, fails, or the log closes. A handler fails by throwing or rejecting; what happens then,
   * `retries` and `deadLetterTopic` say. What holds the event loop, nobody can interrupt.
   *
   * @example
   * ```ts
   * const running = log.consumerGroup('mailer', { topics: ['mails'] }).run(
   *   async (mail, { signal }) => { await deliver(mail.value, signal) },
   *   { concurrency: 8, orderedBy: 'key', retries: 3, deadLetterTopic: 'mails.dlt' },
   * )
   * await running.done // rejects where it failed
   * ```
   * @throws {LogError} INVALID_ARGUMENT for an option that cannot be; CLOSED. What else keeps it
   *   from starting, TOPIC_NOT_FOUND for example, rejects `ready` and `done`.
   */
  run(
    handler: (record: R, ctx: RunContext) => void | Promise<unknown>,
    options?: RunOptions,
  ): Running {
    const plan = runPlan(options, this.#settings.options.maxPollRecords)
    return GroupRun.start(this.#runHost(), new RecordHandling(handler), plan)
  }

  /**
   * As `run`, by batches: up to `max` records of one partition, waiting up to `waitMs` for them. A
   * batch is handled, tried again and put aside as a whole; there is no order by key.
   * @throws {LogError} INVALID_ARGUMENT, CLOSED.
   */
  runBatches(
    handler: (batch: Batch<R>, ctx: RunContext) => void | Promise<unknown>,
    options?: RunOptions & BatchOptions,
  ): Running {
    const plan = runBatchesPlan(options, this.#settings.options.maxPollRecords)
    return GroupRun.start(this.#runHost(), new BatchHandling(handler), plan)
  }

  /** State, members, positions and lag. */
  describe(): GroupDescription {
    return this.#admin.describe()
  }

  /** What the group has committed, by topic and partition. */
  offsets(): readonly TopicPartitionOffset[] {
    return this.#admin.offsets()
  }

  /** Records between what is committed and the ends of the partitions. */
  lag(): Lag {
    return this.#admin.lag()
  }

  /**
   * Moves the positions of a group without members; resolves with them once they are on stable
   * storage. With `dryRun` nothing is changed.
   * @throws {LogError} GROUP_NOT_EMPTY while it has members; OFFSET_OUT_OF_RANGE.
   */
  async resetOffsets(
    to: Parameters<GroupAdmin['resetOffsets']>[0],
    options?: { dryRun?: boolean | undefined },
  ): Promise<readonly TopicPartitionOffset[]> {
    return await this.#admin.resetOffsets(to, options)
  }

  /**
   * Forgets the positions of a group without members.
   * @throws {LogError} GROUP_NOT_EMPTY; GROUP_NOT_FOUND where it has no positions.
   */
  async delete(): Promise<void> {
    await this.#admin.delete()
  }

  /** What a transaction commits of it. @internal */
  coverGiven(commits: readonly OffsetCommit[]): Coverage {
    return this.#admin.coverGiven(commits)
  }

  #runHost(): RunHost<R> {
    return new GroupRunHost<R>(this, this.#coordinator, this.#settings)
  }
}

/** A group, as `run` sees it. */
class GroupRunHost<R extends AnyRecord> implements RunHost<R> {
  readonly group: GroupAdmin
  readonly clock: Clock
  readonly holdsProcess: boolean
  readonly maxPollRecords: number
  readonly #coordinator: GroupCoordinator
  readonly #settings: GroupSettings

  constructor(group: GroupAdmin, coordinator: GroupCoordinator, settings: GroupSettings) {
    this.group = group
    this.clock = coordinator.host.clock
    this.holdsProcess = coordinator.host.holdsProcess
    this.maxPollRecords = settings.options.maxPollRecords
    this.#coordinator = coordinator
    this.#settings = settings
  }

  get producer(): Producer {
    return this.#coordinator.host.defaultProducer
  }

  get isGone(): boolean {
    return this.#coordinator.isGone()
  }

  checkOpen(call: string): void {
    this.#coordinator.checkOpen(call)
  }

  async join(): Promise<MemberFeed<R>> {
    const member = await this.#coordinator.newMember(this.#settings, undefined, 'run')
    try {
      await member.join(undefined)
    } catch (error) {
      await member.leaveQuietly()
      throw error
    }
    const feed: MemberFeed<AnyRecord> = new RunFeed(member)
    return feed as MemberFeed<R> // The handle's topics say what R is.
  }

  register(run: HandlerRun): () => void {
    return this.#coordinator.register(run)
  }

  selects(topic: string): boolean {
    return this.#settings.subscription.selects(topic)
  }

  topics(): readonly string[] {
    return this.#settings.subscription.topics()
  }

  topicConfig(topic: string): ResolvedTopicConfig | undefined {
    return this.#coordinator.host.findTopic(topic)?.config
  }

  async createTopic(topic: string | AnyTopicRef, config: TopicConfig): Promise<unknown> {
    return await this.#coordinator.host.createTopic(topic, config)
  }
}
