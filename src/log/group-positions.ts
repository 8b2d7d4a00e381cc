/**
 * GroupPositions: the positions of all groups in memory, by group, topic and partition.
 *
 * Owns nothing on disk. A position that is there may have been taken back: then it holds no offset
 * and is as if it were not there.
 */
import { encodeOffsetKey } from '../format/offset-commit.ts'
import type { PartitionPosition } from './readable-offsets.ts'

/** No offset: the group never committed one, or it was taken back. */
const NO_OFFSET = -1

/** Where one group goes on reading one partition. */
export class GroupPosition {
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  /** Of its records. Never written to. */
  readonly key: Buffer
  /** The next offset to read; -1 for none. */
  offset: number = NO_OFFSET
  /** Of the last record before `offset`; -1 where that is not known. */
  leaderEpoch = -1
  metadata = ''
  commitTimestampMs = 0
  /** Offset of the record that says so, in the topic of committed offsets. */
  writtenAt = -1
  /** A transaction that is being committed may change it. */
  isPending = false

  constructor(groupId: string, topic: string, partition: number) {
    this.groupId = groupId
    this.topic = topic
    this.partition = partition
    this.key = encodeOffsetKey(groupId, topic, partition)
  }

  /** Whether there is one. */
  get isCommitted(): boolean {
    return this.offset !== NO_OFFSET
  }

  /** It was taken back. */
  clear(): void {
    this.offset = NO_OFFSET
    this.metadata = ''
  }
}

/** Positions of one group. */
interface Group {
  readonly topics: Map<string, Map<number, GroupPosition>>
  /** When it was last seen to do anything, by the monotonic clock. */
  activeAtMs: number
}

/** A position as others may keep it. Owned. */
export function positionOf(position: GroupPosition): PartitionPosition {
  const { topic, partition, offset, leaderEpoch, metadata, commitTimestampMs } = position
  return { topic, partition, offset, leaderEpoch, metadata, commitTimestampMs }
}

/** The positions of every group. */
export class GroupPositions {
  readonly #groups = new Map<string, Group>()

  /** The position of that group in that partition, committed or not. */
  find(groupId: string, topic: string, partition: number): GroupPosition | undefined {
    return this.#groups.get(groupId)?.topics.get(topic)?.get(partition)
  }

  /** As `find`; made where it is not there. */
  ensure(groupId: string, topic: string, partition: number): GroupPosition {
    const known = this.find(groupId, topic, partition)
    if (known !== undefined) return known
    const made = new GroupPosition(groupId, topic, partition)
    const group = this.#group(groupId)
    const partitions = group.topics.get(topic)
    if (partitions === undefined) group.topics.set(topic, new Map([[partition, made]]))
    else partitions.set(partition, made)
    return made
  }

  /** Every group that has a position, by name. */
  groups(): readonly string[] {
    const found: string[] = []
    for (const [groupId, { topics }] of this.#groups) if (hasAny(topics)) found.push(groupId)
    return found.sort()
  }

  /** What the group has committed, by topic and partition. */
  of(groupId: string): readonly GroupPosition[] {
    return [...this.#ofGroup(groupId)].filter(({ isCommitted }) => isCommitted).sort(byPlace)
  }

  /** Positions of the group that transactions may change. */
  pendingOf(groupId: string): readonly GroupPosition[] {
    return [...this.#ofGroup(groupId)].filter(({ isPending }) => isPending)
  }

  /** What the group has committed, or may have: everything that has to be taken back. */
  heldBy(groupId: string): readonly GroupPosition[] {
    return [...this.#ofGroup(groupId)].filter(isHeld).sort(byPlace)
  }

  /** What any group has committed, anywhere. */
  *all(): Iterable<GroupPosition> {
    for (const { topics } of this.#groups.values())
      for (const partitions of topics.values()) yield* committedIn(partitions)
  }

  /** What any group has committed in that topic, or may have. */
  *heldIn(topic: string): Iterable<GroupPosition> {
    for (const { topics } of this.#groups.values())
      for (const position of topics.get(topic)?.values() ?? []) if (isHeld(position)) yield position
  }

  /** Lets go of what is not committed any more, nor may be. */
  prune(): void {
    for (const [groupId, { topics }] of this.#groups) {
      for (const [topic, partitions] of topics) {
        for (const [partition, position] of partitions)
          if (!isHeld(position)) partitions.delete(partition)
        if (partitions.size === 0) topics.delete(topic)
      }
      if (topics.size === 0) this.#groups.delete(groupId)
    }
  }

  /** Forgets the group, none of whose positions is committed any more. */
  drop(groupId: string): void {
    this.#groups.delete(groupId)
  }

  /** The group does something now. */
  touch(groupId: string, nowMs: number): void {
    const group = this.#groups.get(groupId)
    if (group !== undefined) group.activeAtMs = nowMs
  }

  /** Every group counts as doing something now. */
  touchAll(nowMs: number): void {
    for (const group of this.#groups.values()) group.activeAtMs = nowMs
  }

  /** Since when the group has done nothing. */
  activeAtMs(groupId: string): number {
    return this.#groups.get(groupId)?.activeAtMs ?? 0
  }

  *#ofGroup(groupId: string): Iterable<GroupPosition> {
    for (const partitions of this.#groups.get(groupId)?.topics.values() ?? [])
      yield* partitions.values()
  }

  #group(groupId: string): Group {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    const made: Group = { topics: new Map(), activeAtMs: 0 }
    this.#groups.set(groupId, made)
    return made
  }
}

function isHeld({ isCommitted, isPending }: GroupPosition): boolean {
  return isCommitted || isPending
}

function* committedIn(partitions: ReadonlyMap<number, GroupPosition>): Iterable<GroupPosition> {
  for (const position of partitions.values()) if (position.isCommitted) yield position
}

function hasAny(topics: Group['topics']): boolean {
  for (const partitions of topics.values())
    for (const position of partitions.values()) if (position.isCommitted) return true
  return false
}

function byPlace(a: GroupPosition, b: GroupPosition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}
