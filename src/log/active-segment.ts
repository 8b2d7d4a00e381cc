/**
 * ActiveSegment: which segment the next batch of a partition goes into, and the rolls between them.
 *
 * Owns when a segment is sealed and the next one made, and the layout epoch that readers in other
 * processes watch; when to roll is roll-policy.ts' to say.
 *   I1  a new segment's directory entry is on the next round's list before its first byte counts
 *   I2  a marker goes into the segment that is active, whatever its size and age: a roll may meet a
 *       full disk, a marker must not
 */
import { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Clock } from './clock.ts'
import { rebuildIndexes } from './index-rebuild.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { isFull, mustRoll } from './roll-policy.ts'
import type { SegmentList } from './segment-list.ts'
import type { UnsyncedFiles } from './unsynced-files.ts'

/** What a batch or marker needs of its segment. */
export interface BatchRoom {
  readonly sizeBytes: number
  readonly timestamp: number
  readonly lastOffset: number
  /** Of markers, for which room stays behind it. */
  readonly reservedBytes: number
}

/** Where an active segment is, and who is told of it. */
export interface ActiveSegmentParts {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly directory: string
  readonly segments: SegmentList
  readonly unsynced: UnsyncedFiles
  /** A segment was made behind the one that was active. */
  rolled(): void
}

/** The end of one partition's list of segments. */
export class ActiveSegment {
  readonly #parts: ActiveSegmentParts
  #activeSinceMs: number
  #layoutEpoch = 0

  /** Goes on with the last of the segments. */
  constructor(parts: ActiveSegmentParts) {
    this.#parts = parts
    this.#activeSinceMs = parts.clock.now()
  }

  /** Rises before and after the set of files changes. */
  get layoutEpoch(): number {
    return this.#layoutEpoch
  }

  /**
   * The segment for a batch.
   * @throws {LogError} NO_SPACE or IO where the next one cannot be made; the next call tries again.
   */
  forBatch(config: ResolvedTopicConfig, baseOffset: number, room: BatchRoom): Segment {
    const { active } = this.#parts.segments
    if (active.isSealed) return this.#add(config, baseOffset) // Making it failed before.
    if (active.needsIndexRebuild) rebuildIndexes(active)
    // The clock is asked only where the age counts: reading it is a good part of a small append.
    const activeForMs =
      active.firstTimestamp >= 0 ? 0 : this.#parts.clock.now() - this.#activeSinceMs
    const { sizeBytes, timestamp, lastOffset, reservedBytes } = room
    const next = { sizeBytes, timestamp, lastOffset, reservedBytes, activeForMs }
    return mustRoll(active, config, next) ? this.#roll(config, baseOffset) : active
  }

  /** The segment for a marker (I2); another one only where no file could hold it. */
  forMarker(config: ResolvedTopicConfig, baseOffset: number, sizeBytes: number): Segment {
    const { active } = this.#parts.segments
    if (active.isSealed) return this.#add(config, baseOffset)
    if (active.needsIndexRebuild) rebuildIndexes(active)
    return isFull(active, sizeBytes, baseOffset) ? this.#roll(config, baseOffset) : active
  }

  #roll(config: ResolvedTopicConfig, baseOffset: number): Segment {
    const { segments, unsynced } = this.#parts
    const { active } = segments
    active.seal()
    // I1: the sealed file goes on the round's list first. Should making the next file fail, the
    // sealed one is synced all the same, and the next append tries again from here.
    unsynced.sealed(active)
    return this.#add(config, baseOffset)
  }

  #add(config: ResolvedTopicConfig, baseOffset: number): Segment {
    const { driver, clock, directory, segments, unsynced } = this.#parts
    this.#layoutEpoch += 1
    try {
      const segment = Segment.create({ driver, directory, baseOffset }, config)
      unsynced.nameMade()
      segments.add(segment)
      this.#activeSinceMs = clock.now()
      this.#parts.rolled()
      return segment
    } finally {
      this.#layoutEpoch += 1
    }
  }
}
