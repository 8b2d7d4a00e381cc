/**
 * CommittedOffsets: where each consumer group goes on reading, kept in the topic
 * `__consumer_offsets` in Kafka's own bytes, so that a broker's consumers go on where ours were.
 *
 * Owns the positions of all groups in memory and what is written of them; who may commit what is
 * for the group's coordinator to say. Synchronous but for what waits for the device.
 *   I1  what is in memory is in the log: a position changes after its record was appended, and not
 *       at all where that failed
 *   I2  no position lies above the end of what its epoch has: checked at a commit; `open` cuts
 *       those back that have outlived their data, before anything is appended
 *   I3  no topic begins with positions of an older one of its name: these are taken back, durably,
 *       before it is made
 */
import { assert } from '../errors/invariant.ts'
import { partitionOfGroup } from '../format/group-partition.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'
import type { Damage } from './damage.ts'
import { GroupPositions, positionOf, type GroupPosition } from './group-positions.ts'
import { OFFSETS_TOPIC } from './internal-topics.ts'
import {
  checkedEpoch,
  checkedMetadata,
  checkGroupId,
  sourceOf,
  type OffsetCommit,
} from './offset-checks.ts'
import { loadOffsets, type IsCommitted } from './offsets-load.ts'
import { OffsetsWriter, type PositionChange, type StagedChange } from './offsets-writer.ts'
import type { PartitionLog } from './partition-log.ts'
import type { CommittedOffset, PartitionPosition, ReadableOffsets } from './readable-offsets.ts'
import {
  PendingOffsets,
  StagedTransaction,
  type StagedOffsets,
  type TransactionOffsets,
  type UpTo,
} from './staged-offsets.ts'

export type { OffsetCommit } from './offset-checks.ts'
export type { TransactionOffsets } from './staged-offsets.ts'

/** A commit that was appended: what `durable` has to see to. */
export interface CommitPosition {
  /** The data that was committed. */
  readonly sources: readonly UpTo[]
  /** The commit itself. */
  readonly written: UpTo
}

/** A position that was moved back to the end of its data. */
export interface MovedPosition {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** What the positions are kept by. */
export interface OffsetsHost {
  readonly clock: Clock
  /** The partitions of a topic that exists, in order. */
  partitionsOf(topic: string): readonly PartitionLog[] | undefined
}

/** The positions of all groups of one log. */
export class CommittedOffsets implements ReadableOffsets {
  readonly #host: OffsetsHost
  readonly #writer = new OffsetsWriter()
  readonly #positions = new GroupPositions()
  readonly #pending = new PendingOffsets()
  /** By topic, up to where the log says that positions in it were taken back: I3 waits for that. */
  readonly #takenBack = new Map<string, Map<PartitionLog, number>>()

  constructor(host: OffsetsHost) {
    this.#host = host
  }

  /** Whether anything can be committed: the topic is there. LogHost.prepareOffsets makes it. */
  get isPrepared(): boolean {
    return this.#host.partitionsOf(OFFSETS_TOPIC) !== undefined
  }

  /** Every group that has a position, by name. */
  groups(): readonly string[] {
    return this.#positions.groups()
  }

  /** Where the group goes on in that partition; undefined where it never committed. Owned. */
  get(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    const position = this.#positions.find(groupId, topic, partition)
    if (position === undefined || !position.isCommitted) return undefined
    const { offset, leaderEpoch, metadata, commitTimestampMs } = position
    return { offset, leaderEpoch, metadata, commitTimestampMs }
  }

  /** Every position of the group, by topic and partition. Owned. */
  of(groupId: string): readonly PartitionPosition[] {
    return this.#positions.of(groupId).map(positionOf)
  }

  /**
   * Commits positions of one group: in the page cache when it returns, in one batch unless they are
   * too many for one. The topic is there (`isPrepared`).
   * @throws {LogError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND; OFFSET_OUT_OF_RANGE above the end of
   *   the log, or of what `leaderEpoch` has; INVALID_ARGUMENT for metadata or a group id that
   *   cannot be kept; NO_SPACE, IO, READ_ONLY, CLOSED: what was committed before stays.
   */
  commit(groupId: string, commits: readonly OffsetCommit[]): CommitPosition {
    const { sources, changes } = this.#prepared(groupId, commits)
    this.#positions.touch(groupId, this.#host.clock.monotonicNow())
    return { sources, written: this.#write(groupId, changes) }
  }

  /** What would be committed. @throws {LogError} As `commit`, for what cannot be. */
  check(commit: OffsetCommit): OffsetCommit {
    const leaderEpoch = checkedEpoch(sourceOf(this.#host, commit), commit)
    return { ...commit, leaderEpoch, metadata: checkedMetadata(commit.metadata) }
  }

  /**
   * Resolves when the commit is on stable storage: the data first, up to the committed offsets.
   * @throws {LogError} IO with `details.outcome: 'unknown'` when a sync failed; CLOSED.
   */
  async durable({ sources, written }: CommitPosition): Promise<void> {
    await Promise.all(sources.map(durableUnlessDeleted))
    await written.log.makeDurable(written.offset)
  }

  // --------------------------------------------------------- for transactions

  /**
   * Appends positions that a transaction commits: pending until what is returned says how it ended.
   * `producerFor` says what the next batch in that log is finished with; the topic is there
   * (`isPrepared`). Whether they may be committed is asked first, of all of them.
   * @throws {LogError} REBALANCED; as `commit`. The transaction must be aborted then: batches may
   *   have been appended.
   */
  stage(
    offsets: readonly TransactionOffsets[],
    producerFor: (log: PartitionLog) => BatchProducer,
  ): StagedOffsets {
    for (const one of offsets) one.check()
    const prepared = offsets.map(({ groupId, commits }) => this.#prepared(groupId, commits))
    const logs = new Map<PartitionLog, number>()
    const staged: StagedChange[] = []
    const nowMs = this.#host.clock.now()
    for (const { groupId, changes } of prepared) {
      const log = this.#logOf(groupId)
      this.#writer.stage(log, changes, { nowMs, producerFor, staged })
      logs.set(log, log.logEndOffset)
      this.#positions.touch(groupId, this.#host.clock.monotonicNow())
    }
    return new StagedTransaction(this.#pending, offsets, {
      logs: [...logs].map(([log, offset]) => ({ log, offset })),
      sources: prepared.flatMap(({ sources }) => sources),
      changes: staged,
    })
  }

  /**
   * Undefined where the position is what it looks like. Where a transaction that is being committed
   * may move it: resolves when that is over. Whoever takes the partition over waits for it, then
   * asks for the position.
   * @throws {LogError} IO with `details.outcome: 'unknown'` where only opening the log will tell.
   */
  pendingOf(groupId: string, topic: string, partition: number): Promise<void> | undefined {
    const position = this.#positions.find(groupId, topic, partition)
    return position?.isPending === true ? this.#pending.settled([position]) : undefined
  }

  /** As `pendingOf`, of every position of the group. */
  pendingIn(groupId: string): Promise<void> | undefined {
    const pending = this.#positions.pendingOf(groupId)
    return pending.length > 0 ? this.#pending.settled(pending) : undefined
  }

  /** Forgets every position of the group. @throws {LogError} As `commit`. */
  remove(groupId: string): CommitPosition {
    const written = this.#write(groupId, this.#positions.heldBy(groupId).map(takenBack))
    this.#positions.drop(groupId)
    return { sources: [], written }
  }

  /** The last member of the group has left: its positions expire from now on, where they do. */
  becameEmpty(groupId: string): void {
    this.#positions.touch(groupId, this.#host.clock.monotonicNow())
  }

  /**
   * Takes back the positions of groups that did nothing for `idleMs` while this log was open;
   * returns which. A group that `hasMembers` does something.
   * @throws {LogError} As `commit`: of groups that come later, nothing has changed.
   */
  expire(idleMs: number, hasMembers: (groupId: string) => boolean): readonly string[] {
    if (idleMs < 0) return []
    const nowMs = this.#host.clock.monotonicNow()
    const expired: string[] = []
    for (const groupId of this.#positions.groups()) {
      const isBusy = hasMembers(groupId) || this.#positions.pendingOf(groupId).length > 0
      if (isBusy) this.#positions.touch(groupId, nowMs)
      else if (nowMs - this.#positions.activeAtMs(groupId) >= idleMs) expired.push(groupId)
    }
    for (const groupId of expired) this.remove(groupId)
    return expired
  }

  // ------------------------------------------------------------- for the log

  /** Reads what the topic holds, where it is there; what of it is damaged. As `loadOffsets`. */
  *load(isCommitted: IsCommitted): Procedure<readonly Damage[]> {
    const damage: Damage[] = []
    for (const log of this.#host.partitionsOf(OFFSETS_TOPIC) ?? []) {
      damage.push(...(yield* loadOffsets(log, this.#positions, isCommitted)))
    }
    this.#positions.prune()
    this.#positions.touchAll(this.#host.clock.monotonicNow())
    return damage
  }

  /**
   * Moves positions that lie above the end of their data back to it, durably (I2). Nothing was
   * appended since recovery.
   * @throws {LogError} NO_SPACE, IO: the log must not be appended to.
   */
  *cutBack(): Procedure<readonly MovedPosition[]> {
    const moved: MovedPosition[] = []
    const changes = new Map<string, PositionChange[]>()
    for (const position of this.#positions.all()) {
      const { groupId: group, topic, partition, offset: from, metadata } = position
      const log = this.#host.partitionsOf(topic)?.[partition]
      // Of a topic that is not here nothing is known: it may be another broker's.
      if (log === undefined) continue
      const to = log.epochs.endOf(position.leaderEpoch, log.logEndOffset)
      if (from <= to) continue
      moved.push({ group, topic, partition, from, to })
      const { commitTimestampMs } = position
      const leaderEpoch = log.epochs.at(to - 1)
      const change = { position, offset: to, leaderEpoch, metadata, commitTimestampMs }
      const ofGroup = changes.get(group)
      if (ofGroup === undefined) changes.set(group, [change])
      else ofGroup.push(change)
    }
    yield* this.#writeAll(changes)
    return moved
  }

  /**
   * Takes back every position in topics that do not exist any more, durably (I3).
   * @throws {LogError} NO_SPACE, IO, READ_ONLY: no topics of these names may be made.
   */
  *forgetTopics(topics: readonly string[]): Procedure<void> {
    const changes = new Map<string, PositionChange[]>()
    for (const topic of topics) {
      for (const position of this.#positions.heldIn(topic)) {
        const ofGroup = changes.get(position.groupId)
        if (ofGroup === undefined) changes.set(position.groupId, [takenBack(position)])
        else ofGroup.push(takenBack(position))
      }
    }
    for (const [groupId, ofGroup] of changes) this.#write(groupId, ofGroup)
    // Also what an earlier call has written, whose sync failed or was nobody's to wait for.
    yield* this.#syncTakenBack(topics)
    if (changes.size > 0) this.#positions.prune()
  }

  *#syncTakenBack(topics: readonly string[]): Procedure<void> {
    const ends = new Map<PartitionLog, number>()
    for (const topic of topics) {
      for (const [log, end] of this.#takenBack.get(topic) ?? []) {
        if (end > log.durableOffset) ends.set(log, Math.max(end, ends.get(log) ?? 0))
      }
    }
    if (ends.size > 0) {
      yield () => Promise.all([...ends].map(([log, end]) => log.makeDurable(end)))
    }
    for (const topic of topics) this.#takenBack.delete(topic)
  }

  *#writeAll(changes: ReadonlyMap<string, readonly PositionChange[]>): Procedure<void> {
    const written = [...changes].map(([groupId, ofGroup]) => this.#write(groupId, ofGroup))
    if (written.length === 0) return
    yield () => Promise.all(written.map(({ log, offset }) => log.makeDurable(offset)))
  }

  /** What these commits change. @throws {LogError} Where one cannot be: nothing has changed. */
  #prepared(
    groupId: string,
    commits: readonly OffsetCommit[],
  ): { groupId: string; changes: readonly PositionChange[]; sources: readonly UpTo[] } {
    const commitTimestampMs = this.#host.clock.now()
    const sources: UpTo[] = []
    const changes: PositionChange[] = []
    for (const commit of commits) {
      const { topic, partition, offset } = commit
      const log = sourceOf(this.#host, commit)
      const leaderEpoch = checkedEpoch(log, commit)
      const metadata = checkedMetadata(commit.metadata)
      const known = this.#positions.find(groupId, topic, partition)
      if (known === undefined) checkGroupId(groupId)
      const position = known ?? this.#positions.ensure(groupId, topic, partition)
      changes.push({ position, offset, leaderEpoch, metadata, commitTimestampMs })
      sources.push({ log, offset })
    }
    return { groupId, changes, sources }
  }

  /** The partition of the topic that has the positions of the group. */
  #logOf(groupId: string): PartitionLog {
    const partitions = this.#host.partitionsOf(OFFSETS_TOPIC)
    const log = partitions?.[partitionOfGroup(groupId, partitions.length)]
    assert(log !== undefined, 'the topic is made before anything is committed')
    return log
  }

  #write(groupId: string, changes: readonly PositionChange[]): UpTo {
    const log = this.#logOf(groupId)
    try {
      this.#writer.write(log, changes, this.#host.clock.now())
    } finally {
      // Part of it may have been written.
      this.#noteTakenBack(log, changes)
    }
    return { log, offset: log.logEndOffset }
  }

  #noteTakenBack(log: PartitionLog, changes: readonly PositionChange[]): void {
    for (const { position, offset } of changes) {
      if (offset !== null) continue
      const ends = this.#takenBack.get(position.topic)
      if (ends === undefined)
        this.#takenBack.set(position.topic, new Map([[log, log.logEndOffset]]))
      else ends.set(log, log.logEndOffset)
    }
  }
}

/** What was not synced of a topic that is gone needs no sync. */
async function durableUnlessDeleted({ log, offset }: UpTo): Promise<void> {
  try {
    await log.makeDurable(offset)
  } catch (error) {
    if (log.end !== 'deleted') throw error
  }
}

function takenBack(position: GroupPosition): PositionChange {
  return { position, offset: null }
}
