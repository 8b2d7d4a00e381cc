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
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { partitionOfGroup } from '../format/group-partition.ts'
import { MAX_OFFSET_STRING_BYTES } from '../format/offset-commit.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'
import type { Damage } from './damage.ts'
import { GroupPositions, type GroupPosition } from './group-positions.ts'
import { OFFSETS_TOPIC } from './internal-topics.ts'
import { loadOffsets } from './offsets-load.ts'
import { OffsetsWriter, type PositionChange } from './offsets-writer.ts'
import type { PartitionLog } from './partition-log.ts'

/** Kafka's offset.metadata.max.bytes. */
const MAX_METADATA_BYTES = 4_096

/** A position as a group committed it. */
export interface CommittedOffset {
  /** The next offset to read. */
  readonly offset: number
  /** Of the last record before `offset`; -1 where that is not known. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

/** The position of a partition. */
export interface PartitionPosition extends CommittedOffset {
  readonly topic: string
  readonly partition: number
}

/** A position to commit. */
export interface OffsetCommit {
  readonly topic: string
  readonly partition: number
  /** The next offset to read: at most the end of the log. */
  readonly offset: number
  /** Of the last record before `offset`; -1: as the partition knows it. */
  readonly leaderEpoch: number
  /** At most 4,096 bytes. */
  readonly metadata: string
}

/** Part of a partition: everything below `offset`. */
interface UpTo {
  readonly log: PartitionLog
  readonly offset: number
}

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
export class CommittedOffsets {
  readonly #host: OffsetsHost
  readonly #writer = new OffsetsWriter()
  readonly #positions = new GroupPositions()
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
    return this.#positions
      .of(groupId)
      .map(({ topic, partition, offset, leaderEpoch, metadata, commitTimestampMs }) => {
        return { topic, partition, offset, leaderEpoch, metadata, commitTimestampMs }
      })
  }

  /**
   * Commits positions of one group: in the page cache when it returns, in one batch unless they are
   * too many for one. The topic is there (`isPrepared`).
   * @throws {LogError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND; OFFSET_OUT_OF_RANGE above the end of
   *   the log, or of what `leaderEpoch` has; INVALID_ARGUMENT for metadata or a group id that
   *   cannot be kept; NO_SPACE, IO, READ_ONLY, CLOSED: what was committed before stays.
   */
  commit(groupId: string, commits: readonly OffsetCommit[]): CommitPosition {
    const commitTimestampMs = this.#host.clock.now()
    const sources: UpTo[] = []
    const changes: PositionChange[] = []
    for (const commit of commits) {
      const { topic, partition, offset } = commit
      const log = this.#sourceOf(topic, partition)
      const leaderEpoch = checkedEpoch(log, commit)
      const metadata = checkedMetadata(commit.metadata)
      const position = this.#positions.find(groupId, topic, partition)
      if (position === undefined) checkGroupId(groupId)
      changes.push({
        position: position ?? this.#positions.ensure(groupId, topic, partition),
        offset,
        leaderEpoch,
        metadata,
        commitTimestampMs,
      })
      sources.push({ log, offset })
    }
    this.#positions.touch(groupId, this.#host.clock.monotonicNow())
    return { sources, written: this.#write(groupId, changes) }
  }

  /** What would be committed. @throws {LogError} As `commit`, for what cannot be. */
  check(commit: OffsetCommit): OffsetCommit {
    const leaderEpoch = checkedEpoch(this.#sourceOf(commit.topic, commit.partition), commit)
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

  /** Forgets every position of the group. @throws {LogError} As `commit`. */
  remove(groupId: string): CommitPosition {
    const written = this.#write(groupId, this.#positions.of(groupId).map(takenBack))
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
      if (hasMembers(groupId)) this.#positions.touch(groupId, nowMs)
      else if (nowMs - this.#positions.activeAtMs(groupId) >= idleMs) expired.push(groupId)
    }
    for (const groupId of expired) this.remove(groupId)
    return expired
  }

  // ------------------------------------------------------------- for the log

  /** Reads what the topic holds, where it is there; what of it is damaged. */
  *load(): Procedure<readonly Damage[]> {
    const damage: Damage[] = []
    for (const log of this.#host.partitionsOf(OFFSETS_TOPIC) ?? []) {
      damage.push(...(yield* loadOffsets(log, this.#positions)))
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
      for (const position of this.#positions.in(topic)) {
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

  #write(groupId: string, changes: readonly PositionChange[]): UpTo {
    const partitions = this.#host.partitionsOf(OFFSETS_TOPIC)
    const log = partitions?.[partitionOfGroup(groupId, partitions.length)]
    assert(log !== undefined, 'the topic is made before anything is committed')
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

  #sourceOf(topic: string, partition: number): PartitionLog {
    const partitions = this.#host.partitionsOf(topic)
    if (partitions === undefined) {
      throw new LogError('TOPIC_NOT_FOUND', `there is no topic '${topic}' to commit for`, { topic })
    }
    const log = partitions[partition]
    if (log !== undefined) return log
    throw new LogError(
      'PARTITION_NOT_FOUND',
      `${topic} has partitions 0 to ${partitions.length - 1}, not ${partition}`,
      { topic, partition, partitions: partitions.length },
    )
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

/** The epoch of the record before the committed offset. */
function checkedEpoch(log: PartitionLog, { offset, leaderEpoch }: OffsetCommit): number {
  const { topic, partition, logStartOffset, logEndOffset, epochs } = log
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw invalidArgument(`${topic}-${partition}: ${offset} is no offset to commit`, {
      topic,
      partition,
      offset,
    })
  }
  const end = epochs.endOf(leaderEpoch, logEndOffset)
  if (offset <= end) return leaderEpoch < 0 ? epochs.at(offset - 1) : leaderEpoch
  throw new LogError(
    'OFFSET_OUT_OF_RANGE',
    `${topic}-${partition}: offset ${offset} cannot be committed, what was read ends at ${end}: ` +
      'commit at most one past the last record that was handled',
    { topic, partition, offset, logStartOffset, logEndOffset },
  )
}

/** As it will be read again. */
function checkedMetadata(metadata: string): string {
  if (metadata === '') return metadata
  const bytes = Buffer.from(metadata)
  if (bytes.length <= MAX_METADATA_BYTES) return bytes.toString()
  throw invalidArgument(
    `metadata of a commit has at most ${MAX_METADATA_BYTES} bytes, not ${bytes.length}`,
    { bytes: bytes.length, maxBytes: MAX_METADATA_BYTES },
  )
}

/** A group id that would not be read as it was written would be another group's after a restart. */
function checkGroupId(groupId: string): void {
  const bytes = Buffer.from(groupId)
  if (bytes.length <= MAX_OFFSET_STRING_BYTES && bytes.toString() === groupId) return
  throw invalidArgument(
    `a group id is Unicode text of at most ${MAX_OFFSET_STRING_BYTES} bytes of UTF-8`,
    { groupId },
  )
}
