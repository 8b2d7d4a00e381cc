/**
 * FollowedOffsets: where the consumer groups of a log that another process writes go on reading, as
 * its topic of committed offsets says: read as a whole when somebody first asks, and on from there
 * whenever anybody asks again.
 *
 * Owns nothing on disk; what a record says, offsets-load.ts knows.
 *   I1  what is answered is what reading the topic anew would give, up to what is visible: what a
 *       transaction committed counts from its marker on (KIP-98)
 *   I2  where records may have gone before they were read here, tombstones and markers among them,
 *       it begins again: what they said may be in nothing that is left
 */
import { LogError } from '../../errors/log-error.ts'
import { partitionOfGroup } from '../../format/group-partition.ts'
import { GroupPositions, positionOf } from '../group-positions.ts'
import { InternalTopicReading } from '../internal-topic-read.ts'
import { OFFSETS_TOPIC } from '../internal-topics.ts'
import { OffsetsReading } from '../offsets-load.ts'
import { endedError } from '../partition-errors.ts'
import type { PartitionPosition, ReadableOffsets } from '../readable-offsets.ts'
import type { ReadablePartition } from '../readable-partition.ts'
import type { OnDamage } from '../timestamp-lookup.ts'

/** So often it begins again within one call: the next call goes on with it. */
const MOST_BEGINNINGS = 4

/** What positions are followed by. */
export interface FollowedOffsetsHost {
  /** The partitions of a topic as it is now, in order; undefined where there is none. */
  partitionsOf(topic: string): readonly ReadablePartition[] | undefined
  /** Only what a power cut could not take is read. */
  readonly onlyDurable: boolean
  /** Some of the topic cannot be read: what it said is passed over. */
  readonly damageFound: OnDamage
}

/** The positions of all groups of one followed log. */
export class FollowedOffsets implements ReadableOffsets {
  readonly #host: FollowedOffsetsHost
  readonly #followed = new WeakMap<ReadablePartition, FollowedPositions>()

  constructor(host: FollowedOffsetsHost) {
    this.#host = host
  }

  groups(): readonly string[] {
    return this.#partitions()
      .flatMap((log) => this.#positionsIn(log).groups())
      .sort()
  }

  of(groupId: string): readonly PartitionPosition[] {
    const partitions = this.#partitions()
    const log = partitions[partitionOfGroup(groupId, partitions.length)]
    return log === undefined ? [] : this.#positionsIn(log).of(groupId).map(positionOf)
  }

  #partitions(): readonly ReadablePartition[] {
    return this.#host.partitionsOf(OFFSETS_TOPIC) ?? []
  }

  #positionsIn(log: ReadablePartition): GroupPositions {
    const known = this.#followed.get(log)
    const followed = known ?? new FollowedPositions(log, this.#host)
    if (known === undefined) this.#followed.set(log, followed)
    return followed.upToNow()
  }
}

/** What one partition of the topic says. */
class FollowedPositions {
  readonly #log: ReadablePartition
  readonly #host: FollowedOffsetsHost
  #positions = new GroupPositions()
  #reading: InternalTopicReading | undefined
  /** What the log was like when it began. */
  #rewriteCount = 0
  #cutCount = 0
  #logStartOffset = 0

  constructor(log: ReadablePartition, host: FollowedOffsetsHost) {
    this.#log = log
    this.#host = host
  }

  /** @throws {LogError} IO where the log cannot be read; CLOSED. */
  upToNow(): GroupPositions {
    const log = this.#log
    log.refresh()
    if (log.end === 'deleted') return new GroupPositions()
    if (log.end !== undefined) throw endedError(log)
    for (let beginning = 0; beginning < MOST_BEGINNINGS; beginning++) {
      const reading = this.#hasGrown() ? this.#reading : undefined
      this.#readOn(reading ?? this.#begin())
      if (this.#hasGrown()) break // While it was read, the log may have been rewritten.
    }
    return this.#positions
  }

  /** Nothing but appends has happened to the log (I2). */
  #hasGrown(): boolean {
    const { rewriteCount, cuts, logStartOffset } = this.#log
    return (
      rewriteCount === this.#rewriteCount &&
      cuts.length === this.#cutCount &&
      logStartOffset === this.#logStartOffset
    )
  }

  #begin(): InternalTopicReading {
    const log = this.#log
    this.#rewriteCount = log.rewriteCount
    this.#cutCount = log.cuts.length
    this.#logStartOffset = log.logStartOffset
    this.#positions = new GroupPositions()
    const { damageFound } = this.#host
    this.#reading = new InternalTopicReading(
      log,
      new OffsetsReading(log, this.#positions, damageFound),
    )
    return this.#reading
  }

  #readOn(reading: InternalTopicReading): void {
    try {
      while (reading.next(this.#limit()) !== undefined);
    } catch (error) {
      // Its segments went while they were read.
      if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE') || this.#hasGrown()) throw error
    }
  }

  #limit(): number {
    const { highWatermark, durableOffset } = this.#log
    return this.#host.onlyDurable ? Math.min(highWatermark, durableOffset) : highWatermark
  }
}
