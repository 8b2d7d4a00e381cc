/**
 * ActiveSegment: the end of a partition's log on disk: the segment that takes the next batch, how a
 * batch gets there, and the rolls in between.
 *
 * Owns when a segment is sealed and the next one made, and the room that is kept for markers. When
 * to roll is roll-policy.ts' to say, what offsets a batch gets the partition's.
 *   I1  a new segment's directory entry is on the next round's list before its first byte counts
 *   I2  a marker goes into the segment that is active, whatever its size and age: a roll may meet a
 *       full disk, a marker must not
 *   I3  what an abort marker aborts is in the .txnindex before the marker is in the .log: who finds
 *       the marker finds the entry. One whose marker was not written is taken back; after a crash
 *       in between, recovery does that
 */
import { assert } from '../errors/invariant.ts'
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import { assignAppendTime, assignOffsets, sealBatch } from '../format/record-batch.ts'
import type { BatchBytes } from '../storage/segment-contents.ts'
import { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Clock } from './clock.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { rebuildIndexes } from './index-rebuild.ts'
import type { LayoutEpoch } from './layout-epoch.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { MARKER_BATCH_BYTES } from './marker-batch.ts'
import { isFull, mustRoll } from './roll-policy.ts'
import type { SegmentList } from './segment-list.ts'
import type { Tail } from './tail.ts'
import type { UnsyncedFiles } from './unsynced-files.ts'

/** A batch with its offsets; `maxTimestamp` is the time of the append, where the topic says so. */
export interface PlacedBatch extends BatchBytes {
  readonly baseOffset: number
}

/** What matters of a marker when it is written. */
export interface MarkerDetails {
  /** What it aborts; undefined where it aborts nothing. */
  readonly aborted: AbortedTransaction | undefined
  /** Room was kept for it. */
  readonly isReserved: boolean
}

/** Where an active segment is, and who is told of it. */
export interface ActiveSegmentParts {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly directory: string
  /** Stamped into every batch. */
  readonly leaderEpoch: number
  readonly segments: SegmentList
  readonly tail: Tail
  readonly unsynced: UnsyncedFiles
  readonly layout: LayoutEpoch
  /** A segment was made behind the one that was active. */
  rolled(): void
}

/** The end of one partition's list of segments. */
export class ActiveSegment {
  readonly #parts: ActiveSegmentParts
  #activeSinceMs: number
  #reservedMarkers = 0

  /** Goes on with the last of the segments. */
  constructor(parts: ActiveSegmentParts) {
    this.#parts = parts
    this.#activeSinceMs = parts.clock.now()
  }

  /**
   * Ends the segment, where it holds a batch, and starts the next at `offset`, the log's end.
   * @throws {LogError} NO_SPACE or IO: the next append tries again.
   */
  roll(config: ResolvedTopicConfig, offset: number): void {
    const { active } = this.#parts.segments
    if (active.isSealed) this.#add(config, offset)
    else if (active.sizeBytes > 0) {
      if (active.needsIndexRebuild) rebuildIndexes(active)
      this.#roll(config, offset)
    }
  }

  /**
   * Gives a batch the offsets from `baseOffset` on and writes it there, in a new segment where it
   * is time for one. Hot.
   * @throws {LogError} NO_SPACE or IO: nothing was appended; as `Segment.append`.
   */
  append(config: ResolvedTopicConfig, batch: EncodedBatch, baseOffset: number): PlacedBatch {
    const isTimed = config.messageTimestampType === 'LogAppendTime'
    const { buffer, start, sizeBytes, recordCount } = batch
    const lastOffset = baseOffset + recordCount - 1
    const maxTimestamp = isTimed ? this.#parts.clock.now() : batch.maxTimestamp
    const placed = { buffer, start, sizeBytes, recordCount, baseOffset, lastOffset, maxTimestamp }
    this.#write(config, this.#forBatch(config, placed), placed, this.#reservedBytes)
    return placed
  }

  /**
   * As `append`, for a marker (I2) of this moment and what it aborts, if it does (I3).
   * @throws {LogError} As `append`, with nothing noted as aborted.
   */
  appendMarker(
    config: ResolvedTopicConfig,
    { buffer, start, sizeBytes, maxTimestamp }: EncodedBatch,
    offset: number,
    marker: MarkerDetails,
  ): void {
    const segment = this.#forMarkers(config, sizeBytes, offset, 1)
    const place = { baseOffset: offset, lastOffset: offset, maxTimestamp }
    const placed = { buffer, start, sizeBytes, recordCount: 0, ...place }
    // One without room of its own must not take that of another.
    const reservedBytes = this.#reservedBytes - (marker.isReserved ? MARKER_BATCH_BYTES : 0)
    if (marker.aborted === undefined) {
      this.#write(config, segment, placed, reservedBytes)
      return
    }
    segment.addAborted(marker.aborted)
    try {
      this.#write(config, segment, placed, reservedBytes)
    } catch (error) {
      segment.takeBackAborted()
      throw error
    }
  }

  /**
   * Keeps room for one marker behind every batch from now on.
   * @throws {LogError} NO_SPACE or IO where there is none.
   */
  reserveMarker(config: ResolvedTopicConfig, offset: number): void {
    const reservedBytes = this.#reservedBytes + MARKER_BATCH_BYTES
    const markerCount = this.#reservedMarkers + 1
    this.#forMarkers(config, reservedBytes, offset, markerCount).reserve(reservedBytes)
    this.#reservedMarkers = markerCount
  }

  /** The marker was written, or nobody will write one. */
  releaseMarker(): void {
    assert(this.#reservedMarkers > 0, 'what is released was reserved')
    this.#reservedMarkers -= 1
  }

  get #reservedBytes(): number {
    return this.#reservedMarkers * MARKER_BATCH_BYTES
  }

  #write(
    config: ResolvedTopicConfig,
    segment: Segment,
    batch: PlacedBatch,
    reservedBytes: number,
  ): void {
    const { buffer, start, baseOffset } = batch
    assignOffsets(buffer, start, baseOffset, this.#parts.leaderEpoch)
    if (config.messageTimestampType === 'LogAppendTime') {
      assignAppendTime(buffer, start, batch.maxTimestamp)
    }
    sealBatch(buffer, start)
    segment.append(batch, reservedBytes)
    this.#parts.tail.accept(batch, baseOffset)
  }

  #forBatch(config: ResolvedTopicConfig, batch: PlacedBatch): Segment {
    const { active } = this.#parts.segments
    const { baseOffset } = batch
    if (active.isSealed) return this.#add(config, baseOffset) // Making it failed before.
    if (active.needsIndexRebuild) rebuildIndexes(active)
    // The clock is asked only where the age counts: reading it is a good part of a small append.
    const activeForMs =
      active.firstTimestamp >= 0 ? 0 : this.#parts.clock.now() - this.#activeSinceMs
    const isOver = mustRoll(active, config, batch, this.#reservedBytes, activeForMs)
    return isOver ? this.#roll(config, baseOffset) : active
  }

  /** Another one than the active only where no file could hold more (I2). */
  #forMarkers(
    config: ResolvedTopicConfig,
    sizeBytes: number,
    offset: number,
    markerCount: number,
  ): Segment {
    const { active } = this.#parts.segments
    if (active.isSealed) return this.#add(config, offset)
    if (active.needsIndexRebuild) rebuildIndexes(active)
    const lastOffset = offset + markerCount - 1
    return isFull(active, sizeBytes, lastOffset) ? this.#roll(config, offset) : active
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
    const { driver, clock, directory, segments, unsynced, layout } = this.#parts
    return layout.change(() => {
      const segment = Segment.create({ driver, directory, baseOffset }, config)
      unsynced.nameMade()
      segments.add(segment)
      this.#activeSinceMs = clock.now()
      this.#parts.rolled()
      // Before any batch: what the old file gave back when it was sealed may be all there is.
      if (this.#reservedMarkers > 0) segment.reserve(this.#reservedBytes)
      return segment
    })
  }
}
