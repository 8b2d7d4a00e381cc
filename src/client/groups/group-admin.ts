/**
 * GroupAdministration: what can be asked of a group and changed in it from outside, whether or not
 * it has members: state, positions, lag; moving and deleting its positions while nobody reads.
 *
 * Owns nothing: positions are committed-offsets.ts', members the coordinator's.
 *   I1  nothing is changed while the group has members: they would go on elsewhere than was said
 *   I2  what was changed is on stable storage when the call resolves
 *   I3  while a transaction of a member that left is being committed, its outcome is waited for
 */
import { LogError } from '../../errors/log-error.ts'
import type { CommittedOffsets, OffsetCommit } from '../../log/committed-offsets.ts'
import type { PartitionPosition, ReadableOffsets } from '../../log/readable-offsets.ts'
import type { ReadablePartition } from '../../log/readable-partition.ts'
import { offsetForTimestamp } from '../../log/timestamp-lookup.ts'
import { checkOptions } from '../check-options.ts'
import type {
  GroupAdmin,
  GroupDescription,
  Lag,
  TopicPartition,
  TopicPartitionOffset,
} from '../group-types.ts'
import type { Coverage, CoveredGroup } from './coverage.ts'
import { UNKNOWN_EPOCH } from './given-offsets.ts'
import { GroupCoverage, type PartitionHolder } from './group-coverage.ts'
import { lagOf, type ReadingPlace } from './group-lag.ts'
import { resetTargetOf, type ResetTarget } from './reset-target.ts'

/** What administration needs of the open log. */
export interface GroupAdminHost {
  readonly offsets: ReadableOffsets
  /** To be changed. @throws {LogError} READ_ONLY. */
  writableOffsets(call: string): CommittedOffsets
  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void
  /** Makes the topic of committed offsets where it is missing. */
  prepareOffsets(): Promise<void>
  /** A topic by name; undefined where there is none. */
  findTopic(name: string): { readonly partitions: readonly ReadablePartition[] } | undefined
  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void
}

/** Who is in a group right now. */
export type GroupActivity = Pick<GroupDescription, 'state' | 'members'>

/** What a handle of a group was made with. */
export interface AdministeredGroup {
  readonly id: string
  /** Its topics that exist, those of a pattern resolved; none for a handle without topics. */
  readonly topics: () => readonly string[]
  /** Where it starts in a partition that it never committed in. */
  readonly autoOffsetReset: 'earliest' | 'latest' | 'none'
  /** Undefined where it has had no member in this log. */
  readonly activity: () => GroupActivity | undefined
  /** The member that has the partition; undefined where none has. */
  readonly holderOf: (name: TopicPartition) => PartitionHolder | undefined
}

/** The administration of one group. */
export class GroupAdministration implements GroupAdmin, CoveredGroup {
  readonly #host: GroupAdminHost
  readonly #group: AdministeredGroup

  constructor(host: GroupAdminHost, group: AdministeredGroup) {
    this.#host = host
    this.#group = group
  }

  get id(): string {
    return this.#group.id
  }

  /** State, members, positions and lag; `Dead` for a group without members and positions. */
  describe(): GroupDescription {
    this.#checkOpen('describe')
    const positions = this.#host.offsets.of(this.id)
    const activity = this.#group.activity()
    const isEmpty = activity === undefined || activity.state === 'Empty'
    const nothing = isEmpty && positions.length === 0
    return {
      id: this.id,
      kind: 'consumer',
      state: nothing ? 'Dead' : (activity?.state ?? 'Empty'),
      members: activity?.members ?? [],
      committed: positions.map(shownPosition),
      lag: this.#lagFrom(positions),
    }
  }

  /** What the group has committed, by topic and partition. */
  offsets(): readonly TopicPartitionOffset[] {
    this.#checkOpen('offsets')
    return this.#host.offsets.of(this.id).map(shownPosition)
  }

  /**
   * From the committed offsets to the highWatermark. A partition of the group's topics in which it
   * never committed counts from where the group would start. Topics that are gone are left out.
   */
  lag(): Lag {
    this.#checkOpen('lag')
    return this.#lagFrom(this.#host.offsets.of(this.id))
  }

  #lagFrom(positions: readonly PartitionPosition[]): Lag {
    const places: ReadingPlace[] = []
    const committedIn = byPlace(positions)
    for (const log of this.#partitions(positions)) {
      log.refresh() // After the positions: none lies above what is counted to.
      const committed = committedIn.get(placeOf(log))
      const start =
        this.#group.autoOffsetReset === 'latest' ? log.highWatermark : log.logStartOffset
      places.push({ log, offset: committed?.offset ?? start })
    }
    return lagOf(places)
  }

  /**
   * Moves the positions of a group without members; resolves with them when they are on stable
   * storage. `shift` moves what is committed, and stays inside the log; the others move every
   * partition of the topics that the group has committed in, or that its handle names; `offsets`
   * those that it names. With `dryRun` nothing is changed.
   * @throws {LogError} GROUP_NOT_EMPTY; GROUP_NOT_FOUND for a group that never committed, unless
   *   the handle names topics; INVALID_ARGUMENT, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND,
   *   OFFSET_OUT_OF_RANGE for positions that cannot be; NO_SPACE, IO, READ_ONLY, CLOSED.
   */
  async resetOffsets(
    to: Parameters<GroupAdmin['resetOffsets']>[0],
    options?: { dryRun?: boolean | undefined },
  ): Promise<readonly TopicPartitionOffset[]> {
    const where = this.#checkOpen('resetOffsets')
    const offsets = this.#host.writableOffsets(where)
    checkOptions(options, ['dryRun'], where)
    const target = resetTargetOf(to, where)
    if (this.#group.topics().length === 0) this.#checkKnown()
    this.#checkEmpty(where)
    const pending = offsets.pendingIn(this.id)
    if (pending !== undefined) await pending // I3
    if (options?.dryRun === true) return this.#commitsTo(target, offsets, where).map(shownPosition)
    await this.#host.prepareOffsets()
    this.#checkEmpty(where) // I1: somebody may have joined meanwhile.
    const commits = this.#commitsTo(target, offsets, where)
    if (commits.length > 0) await offsets.durable(offsets.commit(this.id, commits)) // I2
    return commits.map(shownPosition)
  }

  /**
   * Forgets a group without members; resolves when that is on stable storage.
   * @throws {LogError} GROUP_NOT_EMPTY; GROUP_NOT_FOUND where it has no positions; NO_SPACE, IO,
   *   READ_ONLY, CLOSED.
   */
  async delete(): Promise<void> {
    const offsets = this.#host.writableOffsets(this.#checkOpen('delete'))
    const pending = offsets.pendingIn(this.id)
    if (pending !== undefined) await pending // I3; without one it is gone at the call.
    const where = this.#checkOpen('delete')
    this.#checkEmpty(where)
    this.#checkKnown()
    await offsets.durable(offsets.remove(this.id)) // I2
  }

  /** What a transaction commits of it. */
  coverGiven(commits: readonly OffsetCommit[]): Coverage {
    this.#checkOpen('offsets')
    return new GroupCoverage(this.#host, this.#group, commits)
  }

  /** Every partition of the topics of the handle, and of those that the group has committed in. */
  #partitions(positions: readonly PartitionPosition[]): readonly ReadablePartition[] {
    const committed = positions.map(({ topic }) => topic)
    const names = [...new Set([...this.#group.topics(), ...committed])].sort()
    return names.flatMap((name) => this.#host.findTopic(name)?.partitions ?? [])
  }

  #commitsTo(
    target: ResetTarget,
    offsets: CommittedOffsets,
    where: string,
  ): readonly OffsetCommit[] {
    if (target.kind === 'offsets')
      return target.offsets.map((given) => this.#given(offsets.check(given), where))
    const commits: OffsetCommit[] = []
    for (const log of this.#partitions(offsets.of(this.id))) {
      const { topic, partition } = log
      const committed = offsets.get(this.id, topic, partition)
      const offset = this.#offsetFor(target, log, committed?.offset)
      if (offset === null) continue
      const given = { topic, partition, offset, leaderEpoch: UNKNOWN_EPOCH, metadata: '' }
      commits.push(offsets.check(given))
    }
    return commits
  }

  /** Where `target` is in a partition; null where it stays as it is. */
  #offsetFor(
    target: Exclude<ResetTarget, { kind: 'offsets' }>,
    log: ReadablePartition,
    committed: number | undefined,
  ): number | null {
    const { logStartOffset, highWatermark } = log
    if (target.kind === 'earliest') return logStartOffset
    if (target.kind === 'latest') return highWatermark
    if (target.kind === 'timestamp') {
      const onDamage = this.#host.damageFound.bind(this.#host)
      return offsetForTimestamp(log, target.timestamp, onDamage) ?? highWatermark
    }
    if (committed === undefined) return null
    return Math.min(Math.max(committed + target.shift, logStartOffset), highWatermark)
  }

  #given(checked: OffsetCommit, where: string): OffsetCommit {
    const { topic, partition, offset } = checked
    const log = this.#host.findTopic(topic)?.partitions[partition]
    const { logStartOffset = 0, logEndOffset = 0 } = log ?? {}
    if (offset >= logStartOffset) return checked
    throw new LogError(
      'OFFSET_OUT_OF_RANGE',
      `${where}: offset ${offset} of ${topic}-${partition} is gone: the log starts at ` +
        `${logStartOffset}`,
      { topic, partition, offset, logStartOffset, logEndOffset },
    )
  }

  #checkOpen(call: string): string {
    const where = `consumerGroup('${this.id}').${call}`
    this.#host.checkOpen(where)
    return where
  }

  #checkEmpty(where: string): void {
    const { state = 'Empty', members = [] } = this.#group.activity() ?? {}
    if (state === 'Empty' && members.length === 0) return
    throw new LogError(
      'GROUP_NOT_EMPTY',
      `${where}: group ${this.id} has members, which would go on elsewhere: let them leave first`,
      { group: this.id, members: members.map(({ memberId }) => memberId) },
    )
  }

  #checkKnown(): void {
    if (this.#host.offsets.of(this.id).length > 0) return
    throw new LogError(
      'GROUP_NOT_FOUND',
      `there is no group '${this.id}': it has no members and never committed an offset`,
      { group: this.id },
    )
  }
}

function byPlace(positions: readonly PartitionPosition[]): ReadonlyMap<string, PartitionPosition> {
  return new Map(positions.map((position) => [placeOf(position), position]))
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}` // No topic's name has a slash.
}

/** A position as users see it. */
export function shownPosition(position: PartitionPosition | OffsetCommit): TopicPartitionOffset {
  const { topic, partition, offset, leaderEpoch, metadata } = position
  return {
    topic,
    partition,
    offset,
    ...(leaderEpoch < 0 ? {} : { leaderEpoch }),
    ...(metadata === '' ? {} : { metadata }),
  }
}
