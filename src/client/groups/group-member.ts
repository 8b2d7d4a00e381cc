/**
 * GroupMember: one member of a group: which partitions it has, from joining to leaving. What its
 * user holds (consumer.ts, running.ts) knows the member; the member knows of that no more than a
 * weak reference to its hooks, so that a member whose user is gone can leave.
 *
 *   I1  records are taken only of partitions whose `onAssigned` has run, and that it keeps
 *   I2  a partition is released once nothing of it is in the user's hands and its `onRevoked` or
 *       `onLost` has run
 *   I3  what was handled is committed before its partition is released; the hook's own commit wins
 *   I4  where `onRevoked` fails, nothing of those partitions is committed: it comes again
 */
import type { LogError } from '../../errors/log-error.ts'
import type { CommitPosition, CommittedOffsets, OffsetCommit } from '../../log/committed-offsets.ts'
import type { TopicPartition } from '../group-types.ts'
import { AutoCommit } from './auto-commit.ts'
import type { GroupHost } from './group-host.ts'
import type { GroupMembership } from './group-membership.ts'
import { HandOver } from './hand-over.ts'
import type { MemberPort } from './member-port.ts'
import { hasLeft, isFenced, notOwned } from './member-errors.ts'
import { MemberPartitions, nameOf } from './member-partitions.ts'
import { MemberReads } from './member-reads.ts'
import type { PartitionFeed } from './partition-feed.ts'
import type { CheckedGroupOptions } from './group-options.ts'
import { RebalanceQueue, type PartitionsMoved } from './rebalance-queue.ts'
import { StallWatch } from './stall-watch.ts'
import type { Subscription } from './subscription.ts'
import { TurnBudget } from './turn-budget.ts'

/** What its user wants to hear of partitions that come and go. */
export interface MemberHooks {
  /** Undefined where there is no hook of that kind. */
  tell(kind: PartitionsMoved['kind'], partitions: readonly TopicPartition[]): unknown
}

/** What a member belongs to. */
export interface MemberParts {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly groupId: string
  readonly host: GroupHost
  readonly offsets: CommittedOffsets
  readonly membership: GroupMembership
  readonly subscription: Subscription
  readonly options: CheckedGroupOptions
  readonly left: (member: GroupMember) => void
}

/** One member of a group. */
export class GroupMember implements MemberPort {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly groupId: string
  readonly options: CheckedGroupOptions
  readonly host: GroupHost
  readonly offsets: CommittedOffsets
  readonly reads: MemberReads = new MemberReads()
  readonly autoCommit: AutoCommit
  readonly handOver: HandOver
  readonly turn: TurnBudget
  readonly stallWatch: StallWatch | null
  /** Called when a partition of which something is taken has to be given up, or is lost. */
  onRevoking: ((partition: TopicPartition) => void) | undefined
  readonly #parts: MemberParts
  readonly partitions: MemberPartitions
  readonly #queue: RebalanceQueue
  #hooks: { deref(): MemberHooks | undefined } | undefined
  #state: 'joining' | 'member' | 'evicted' | 'fenced' | 'left' = 'joining'
  /** What a hook or the assignor failed with. */
  #failure: { readonly error: unknown } | undefined
  #leaving: Promise<void> | undefined

  constructor(parts: MemberParts) {
    const { host, options, groupId } = parts
    this.#parts = parts
    this.memberId = parts.memberId
    this.instanceId = parts.instanceId
    this.groupId = groupId
    this.options = options
    this.host = host
    this.offsets = parts.offsets
    const { clock } = host
    this.autoCommit = new AutoCommit(clock, options.autoCommit, (feeds) => this.#write(feeds))
    this.handOver = new HandOver({
      clock,
      reads: this.reads,
      autoCommit: this.autoCommit,
      maxBytes: options.maxBytes,
      released: (feeds) => this.released(feeds),
    })
    this.turn = new TurnBudget(clock)
    const { maxPollIntervalMs } = options
    this.stallWatch =
      maxPollIntervalMs === null
        ? null
        : new StallWatch(clock, maxPollIntervalMs, () => this.#stalled())
    this.partitions = new MemberPartitions({
      subscription: parts.subscription,
      offsets: parts.offsets,
      reads: this.reads,
      feedOptions: {
        groupId,
        clock,
        autoOffsetReset: options.autoOffsetReset,
        range: options.range,
        warn: host.warn,
        damageFound: (error, resumesAt) => host.damageFound(error, resumesAt),
        unwritten: this.autoCommit.moved,
      },
    })
    this.#queue = new RebalanceQueue({
      tell: (moved) => this.#tell(moved),
      finish: (moved, failure) => this.#finish(moved, failure),
      idle: () => this.reads.wake(),
    })
  }

  // --------------------------------------------------------------- membership

  /** Joins, and resolves when the first assignment was told. `hooks` are held weakly. */
  async join(hooks: MemberHooks | undefined): Promise<void> {
    this.#hooks = hooks === undefined ? undefined : new WeakRef(hooks)
    this.#parts.membership.join(this)
    this.stallWatch?.progress()
    await this.#until(() => this.#state !== 'joining' && this.#queue.isIdle)
    this.checkUsable('join')
  }

  /** Resolves when the group is stable and everything this member owns may be read. */
  async ready(): Promise<void> {
    const { membership } = this.#parts
    this.rejoin()
    await this.#until(() => this.#state === 'member' && membership.stable && this.#queue.isIdle)
    this.checkUsable('ready')
    for (const feed of this.partitions) void feed.position // Throws where it has none.
  }

  /** It left, or is about to. */
  get hasLeft(): boolean {
    return this.#leaving !== undefined
  }

  /**
   * Refuses what a member that left, was fenced or failed can do no more.
   * @throws {LogError} CLOSED, FENCED; what a hook failed with.
   */
  checkUsable(call: string): void {
    this.checkFailure()
    if (this.#state === 'fenced') throw isFenced(this, call)
    if (this.#leaving !== undefined) throw hasLeft(this, call)
  }

  /** Throws what a hook or the assignor failed with, where one did. */
  checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** It asks again: one that was evicted joins anew. */
  rejoin(): void {
    if (this.#state !== 'evicted') return
    this.#state = 'joining'
    this.#parts.membership.join(this)
    this.stallWatch?.progress()
  }

  /**
   * Commits what is handled, gives every partition up and leaves; what is in the user's hands is
   * not handled, unless it was given back before. Rejects with what a hook or a commit failed with.
   */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  /** As `leave`, for those whose user knows of a failure, or is gone. */
  async leaveQuietly(): Promise<void> {
    try {
      await this.leave()
    } catch {
      // Whoever asks this member for anything is told.
    }
  }

  /** The group may have become stable. */
  groupChanged(): void {
    this.reads.wake()
  }

  // --------------------------------------------------------------- partitions

  /** @throws {LogError} REBALANCED where the partition is not this member's; TOPIC_NOT_FOUND … */
  feedOf(name: TopicPartition, call: string): PartitionFeed {
    const feed = this.partitions.find(name)
    if (feed !== undefined) return feed
    throw this.#notOwned(name, call)
  }

  /** Nothing of these is in anybody's hands any more. */
  released(feeds: readonly PartitionFeed[]): void {
    if (this.#leaving !== undefined) return // It gives up everything at once.
    this.#pushRevoked(feeds.filter((feed) => feed.isRevoking && feed.takenCount === 0))
  }

  /**
   * Commits positions, as the group's.
   * @throws {LogError} REBALANCED for a partition that is not this member's; what a commit throws.
   */
  commit(commits: readonly OffsetCommit[]): CommitPosition {
    const feeds = commits.map((commit) => this.#owned(this.partitions.find(commit), commit))
    const position = this.offsets.commit(this.groupId, commits)
    for (const [index, { offset }] of commits.entries()) feeds[index]?.committed(offset)
    this.autoCommit.written(feeds)
    return position
  }

  /** As `commit`, of what was taken of `feed`. @throws {LogError} REBALANCED where that is lost. */
  commitTaken(feed: PartitionFeed, offset: number): void {
    this.checkKept(feed)
    const { topic, partition } = feed
    this.commit([{ topic, partition, offset, leaderEpoch: -1, metadata: '' }])
  }

  /** @throws {LogError} REBALANCED where the partition was lost, though it may be back by now. */
  checkKept(feed: PartitionFeed): void {
    this.#owned(feed.isLost ? undefined : feed, feed)
  }

  // -------------------------------------------------------------- MemberPort

  topics(): readonly string[] {
    return this.#parts.subscription.topics()
  }

  generation(): void {
    if (this.#state === 'joining') this.#state = 'member'
    this.reads.wake()
  }

  assigned(partitions: readonly TopicPartition[], generation: number): void {
    if (this.#leaving !== undefined) return // Free again when it has left, which is soon.
    const feeds = this.partitions.add(partitions, generation)
    if (feeds.length > 0) this.#queue.push({ kind: 'assigned', feeds })
  }

  revoke(partitions: readonly TopicPartition[]): void {
    const feeds = this.#taken(partitions)
    for (const feed of feeds) {
      feed.isRevoking = true
      this.reads.drop(feed)
      if (feed.takenCount > 0) this.onRevoking?.(nameOf(feed))
    }
    this.released(feeds)
  }

  lost(partitions: readonly TopicPartition[]): void {
    const feeds = this.#taken(partitions)
    this.partitions.remove(feeds)
    for (const feed of feeds) if (feed.takenCount > 0) this.onRevoking?.(nameOf(feed))
    if (feeds.length > 0) this.#queue.push({ kind: 'lost', feeds })
    this.reads.wake()
  }

  fenced(): void {
    this.#state = 'fenced'
    this.reads.wake()
  }

  refused(error: LogError<'INVALID_ARGUMENT'>): void {
    this.#fail(error)
  }

  // ------------------------------------------------------------------ within

  /** No hook hears of a partition, and nothing reads it, before its place is known. */
  #tell(moved: PartitionsMoved): unknown {
    const placed = moved.kind === 'assigned' ? this.partitions.placed(moved.feeds) : undefined
    return placed === undefined ? this.#tellHooks(moved) : placed.then(() => this.#tellHooks(moved))
  }

  /** Each is told of as assigned, then once as revoked or lost; what was lost before, never. */
  #tellHooks({ kind, feeds }: PartitionsMoved): unknown {
    const hooks = this.#hooks?.deref()
    if (hooks === undefined) return undefined
    const isNews = kind === 'assigned'
    const told = feeds.filter((feed) => feed.isTold !== isNews && (kind === 'lost' || !feed.isLost))
    for (const feed of told) feed.isTold = isNews
    return told.length === 0 ? undefined : hooks.tell(kind, told.map(nameOf))
  }

  #finish(
    { kind, feeds }: PartitionsMoved,
    failure: { readonly error: unknown } | undefined,
  ): void {
    if (kind === 'assigned') this.#activate(feeds)
    else if (kind === 'lost') this.#parts.membership.released(this.memberId, feeds.map(nameOf))
    else this.#giveUp(feeds, failure !== undefined)
    if (failure !== undefined) this.#fail(failure.error)
  }

  #activate(feeds: readonly PartitionFeed[]): void {
    for (const feed of feeds) {
      feed.isActive = true
      this.reads.changed(feed)
    }
  }

  /** I3, I4. */
  #giveUp(feeds: readonly PartitionFeed[], hasFailed: boolean): void {
    for (const feed of feeds) feed.isToldRevoked = false
    if (hasFailed) this.autoCommit.written(feeds)
    try {
      this.autoCommit.write()
    } catch (error) {
      this.#fail(error)
    }
    const released = feeds.filter((feed) => !feed.isLost) // Lost ones are when that is told.
    this.partitions.remove(feeds)
    if (this.#leaving !== undefined) return // All of it is free once it has left.
    this.#parts.membership.released(this.memberId, released.map(nameOf))
  }

  #pushRevoked(feeds: readonly PartitionFeed[]): void {
    const untold = feeds.filter((feed) => !feed.isToldRevoked && !feed.isLost)
    for (const feed of untold) feed.isToldRevoked = true
    if (untold.length > 0) this.#queue.push({ kind: 'revoked', feeds: untold })
  }

  /** Those that were taken in; of the others, whose topics were gone by then, nothing is held. */
  #taken(partitions: readonly TopicPartition[]): PartitionFeed[] {
    const unknown = partitions.filter((name) => this.partitions.find(name) === undefined)
    if (unknown.length > 0) this.#parts.membership.released(this.memberId, unknown)
    return partitions.flatMap((name) => this.partitions.find(name) ?? [])
  }

  /** Whoever asks is told; the group does not wait for a member that cannot go on. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.reads.wake()
    void this.leaveQuietly()
  }

  async #leave(): Promise<void> {
    await Promise.resolve() // `#leaving` is set before anything looks at it.
    this.reads.wake()
    this.stallWatch?.stop()
    const owned = [...this.partitions]
    for (const feed of owned) {
      feed.isRevoking = true
      this.reads.drop(feed)
    }
    this.#pushRevoked(owned)
    await this.#until(() => this.#queue.isIdle)
    this.partitions.remove(owned)
    this.autoCommit.stop()
    this.#parts.membership.leave(this.memberId)
    if (this.#state !== 'fenced') this.#state = 'left'
    this.#parts.left(this)
    this.reads.wake()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Waits until `isTrue`, or until it never will be because the member ended. */
  async #until(isTrue: () => boolean): Promise<void> {
    const hasEnded = this.#leaving !== undefined
    for (;;) {
      if (isTrue()) return
      if (!hasEnded && (this.#leaving !== undefined || this.#state === 'fenced')) return
      if (this.#state === 'left') return
      await this.reads.sleep()
    }
  }

  #write(feeds: readonly PartitionFeed[]): void {
    const commits = feeds
      .filter(({ log }) => log.end === undefined)
      .map(({ topic, partition, handled }) => {
        return { topic, partition, offset: handled, leaderEpoch: -1, metadata: '' }
      })
    if (commits.length > 0) this.offsets.commit(this.groupId, commits)
    for (const feed of feeds) feed.isUnwritten = false
  }

  #stalled(): void {
    if (this.#state !== 'member') return
    this.#state = 'evicted'
    this.#parts.membership.evict(this.memberId)
  }

  #owned(feed: PartitionFeed | undefined, name: TopicPartition): PartitionFeed {
    const { topic, partition } = name
    const isOwned = this.#parts.membership.owns(this.memberId, topic, partition)
    if (feed !== undefined && isOwned) return feed
    throw this.#notOwned(name, 'commit')
  }

  #notOwned(name: TopicPartition, call: string): LogError {
    this.checkUsable(call)
    return notOwned(this, name, this.host.findTopic(name.topic), call)
  }
}
