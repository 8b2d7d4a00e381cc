/**
 * Segment: one run of a partition's batches, in files named after the lowest offset it may hold.
 *
 *   00000000000000004096.log         record batches back to back, then preallocated zeros
 *   00000000000000004096.index       sparse: last offset of a batch -> position (offset-index.ts)
 *   00000000000000004096.timeindex   sparse: largest timestamp so far -> offset (time-index.ts)
 *
 * Owns these files and where the next batch goes; offsets, CRCs and rolling are log/'s business.
 * Single writer. True between any two calls, and restored after a crash by log/recovery.ts:
 *   I1  baseOffset <= each offset held < nextOffset, ascending
 *   I2  the first sizeBytes of the .log are whole batches, what follows is zeros
 *   I3  each index entry names a batch that starts below sizeBytes
 *   I4  a sealed segment's .log has exactly sizeBytes and never changes again
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import { segmentFileName } from '../format/segment-name.ts'
import { OffsetIndex } from './offset-index.ts'
import type { StorageDriver, StorageFile } from './storage-driver.ts'
import { TimeIndex } from './time-index.ts'

const FIRST_GROWTH_BYTES = 65_536
const LAST_GROWTH_BYTES = 16_777_216
const MAX_POSITION = 0x7fff_ffff

/** What shapes a segment's files. */
export interface SegmentSettings {
  readonly indexIntervalBytes: number
  readonly preallocate: boolean
  /** Size at which the partition rolls: no file is preallocated beyond it. */
  readonly segmentBytes: number
}

/** Where a segment lies. */
export interface SegmentPlace {
  readonly driver: StorageDriver
  readonly directory: string
  readonly baseOffset: number
}

/** What is known of a segment's contents without reading them. */
export interface SegmentContents {
  readonly sizeBytes: number
  readonly nextOffset: number
  /** Largest record timestamp; -1 where there is none. */
  readonly largestTimestamp: number
  /** Last offset of the earliest batch that has it; -1 where there is none. */
  readonly offsetOfLargestTimestamp: number
  /**
   * Largest timestamp of the first batch, from which the age of the segment counts; -1 where there
   * is none.
   */
  readonly firstTimestamp: number
  /** User records held; null where nobody counted them. */
  readonly recordCount: number | null
}

/** A validated batch with its offsets assigned. */
export interface BatchBytes {
  readonly buffer: Buffer
  readonly start: number
  readonly sizeBytes: number
  readonly lastOffset: number
  readonly maxTimestamp: number
  /** User records in it: 0 for a control batch. */
  readonly recordCount: number
}

/** Contents of a segment without a batch. */
export function emptyContents(baseOffset: number): SegmentContents {
  return {
    sizeBytes: 0,
    nextOffset: baseOffset,
    largestTimestamp: -1,
    offsetOfLargestTimestamp: -1,
    firstTimestamp: -1,
    recordCount: 0,
  }
}

/** One .log with its indexes. */
export class Segment {
  readonly baseOffset: number
  readonly #place: SegmentPlace
  readonly #settings: SegmentSettings
  readonly #log: StorageFile
  #index: OffsetIndex | undefined
  #timeIndex: TimeIndex | undefined
  #sizeBytes: number
  #nextOffset: number
  #largestTimestamp: number
  #offsetOfLargestTimestamp: number
  #firstTimestamp: number
  #recordCount: number | null
  #sealed = false
  #indexesTrusted = false
  #indexNextBatch = false
  #largestInIndex = false
  #damaged = false

  private constructor(
    place: SegmentPlace,
    settings: SegmentSettings,
    log: StorageFile,
    contents: SegmentContents,
  ) {
    this.#place = place
    this.#settings = settings
    this.#log = log
    this.baseOffset = place.baseOffset
    this.#sizeBytes = contents.sizeBytes
    this.#nextOffset = contents.nextOffset
    this.#largestTimestamp = contents.largestTimestamp
    this.#offsetOfLargestTimestamp = contents.offsetOfLargestTimestamp
    this.#firstTimestamp = contents.firstTimestamp
    this.#recordCount = contents.recordCount
  }

  /**
   * New, empty files. The directory entry is durable only after a `flushDirectory`. Empty files
   * that an earlier, failed attempt left are taken over.
   */
  static create(place: SegmentPlace, settings: SegmentSettings): Segment {
    const { driver, baseOffset } = place
    const path = pathOf(place, '.log')
    const leftover = driver.status(path)
    assert(
      leftover === undefined || leftover.sizeBytes === 0,
      'a segment that holds data is never created anew',
    )
    const log = driver.openFile(path, leftover === undefined ? 'create' : 'write')
    const segment = new Segment(place, settings, log, emptyContents(baseOffset))
    segment.#index = OffsetIndex.create(driver, pathOf(place, '.index'), baseOffset)
    segment.#timeIndex = TimeIndex.create(driver, pathOf(place, '.timeindex'), baseOffset)
    segment.#indexesTrusted = true
    return segment
  }

  /** Existing files whose contents are known; indexes are read when first used. */
  static open(place: SegmentPlace, settings: SegmentSettings, contents: SegmentContents): Segment {
    const log = place.driver.openFile(pathOf(place, '.log'), 'write')
    return new Segment(place, settings, log, contents)
  }

  /** Existing files of a segment that ended before. What is not given is in its time index. */
  static openSealed(
    place: SegmentPlace,
    settings: SegmentSettings,
    contents: SegmentContents | Pick<SegmentContents, 'sizeBytes' | 'nextOffset'>,
  ): Segment {
    const log = place.driver.openFile(pathOf(place, '.log'), 'read')
    const known = { ...emptyContents(place.baseOffset), recordCount: null, ...contents }
    const segment = new Segment(place, settings, log, known)
    segment.#sealed = true
    segment.#largestInIndex = !('largestTimestamp' in contents)
    return segment
  }

  /** Bytes of whole batches. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }
  /** One past the last offset held. */
  get nextOffset(): number {
    return this.#nextOffset
  }
  /** Largest record timestamp; -1 where there is none. */
  get largestTimestamp(): number {
    if (this.#largestInIndex) {
      const last = this.timeIndex.last // Sealing wrote the closing entry.
      this.#largestTimestamp = last?.timestamp ?? -1
      this.#offsetOfLargestTimestamp = last?.offset ?? -1
      this.#largestInIndex = false
    }
    return this.#largestTimestamp
  }
  get firstTimestamp(): number {
    return this.#firstTimestamp
  }
  /** User records held; null where nobody counted them. */
  get recordCount(): number | null {
    return this.#recordCount
  }
  get isSealed(): boolean {
    return this.#sealed
  }
  /** Some of its bytes are not what was written: it is kept as it is and never appended to. */
  get isDamaged(): boolean {
    return this.#damaged
  }
  get logPath(): string {
    return this.#log.path
  }
  get directory(): string {
    return this.#place.directory
  }

  /** What a clean marker records, so that the next open needs to read nothing. */
  get contents(): SegmentContents {
    return {
      sizeBytes: this.#sizeBytes,
      nextOffset: this.#nextOffset,
      largestTimestamp: this.largestTimestamp,
      offsetOfLargestTimestamp: this.#offsetOfLargestTimestamp,
      firstTimestamp: this.#firstTimestamp,
      recordCount: this.#recordCount,
    }
  }

  /** The offset index, read at its first use. */
  get offsetIndex(): OffsetIndex {
    this.#index ??= OffsetIndex.load(
      this.#place.driver,
      pathOf(this.#place, '.index'),
      this.baseOffset,
    )
    return this.#index
  }

  /** The time index, read at its first use. */
  get timeIndex(): TimeIndex {
    this.#timeIndex ??= TimeIndex.load(
      this.#place.driver,
      pathOf(this.#place, '.timeindex'),
      this.baseOffset,
    )
    return this.#timeIndex
  }

  /**
   * True where an index file is missing or cannot be what was written: rebuild it from the log
   * before use.
   */
  get needsIndexRebuild(): boolean {
    if (!this.#indexesTrusted) {
      this.#indexesTrusted =
        !this.offsetIndex.file.wasMissing &&
        !this.timeIndex.file.wasMissing &&
        this.offsetIndex.isSound(this.#sizeBytes) &&
        this.timeIndex.isSound(this.#nextOffset)
    }
    return !this.#indexesTrusted
  }

  /**
   * Forgets everything from the batch at `position` on, in memory and in the indexes, so that a
   * walk of the log can `admit` those batches again. `nextOffset` is what the walk expects there.
   */
  rewind(to: SegmentContents): void {
    this.#sizeBytes = to.sizeBytes
    this.#nextOffset = to.nextOffset
    this.#largestTimestamp = to.largestTimestamp
    this.#offsetOfLargestTimestamp = to.offsetOfLargestTimestamp
    this.#firstTimestamp = to.firstTimestamp
    this.#recordCount = to.recordCount
    this.#largestInIndex = false
    if (to.sizeBytes === 0) {
      this.offsetIndex.file.truncateTo(0)
      this.timeIndex.file.truncateTo(0)
    } else {
      this.offsetIndex.truncateToOffset(to.nextOffset)
      this.timeIndex.truncateToOffset(to.nextOffset)
    }
    this.#indexesTrusted = true
  }

  /** After a walk that could not reach the end: the segment still ends where it did. */
  restoreEnd(sizeBytes: number, nextOffset: number): void {
    this.#sizeBytes = sizeBytes
    this.#nextOffset = nextOffset
  }

  /**
   * Goes on behind damaged bytes: the batch at `position` is admitted next, and gets an index
   * entry.
   */
  skipDamageTo(position: number): void {
    assert(position > this.#sizeBytes, 'damage has at least one byte')
    this.#sizeBytes = position
    this.#indexNextBatch = true
  }

  /** False where a batch of `sizeBytes` would pass the largest position Kafka can name. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#sizeBytes + sizeBytes <= MAX_POSITION
  }

  /**
   * Appends one validated batch and returns its position. Readable at once and safe from a kill
   * of the process; from a power cut only after `flushLog`.
   * @throws {LogError} NO_SPACE or IO: nothing was appended.
   */
  append(batch: BatchBytes): number {
    assert(!this.#sealed, 'I4: a sealed segment never changes')
    assert(batch.lastOffset >= this.#nextOffset, 'I1: offsets ascend')
    const position = this.#sizeBytes
    this.#grow(batch.sizeBytes)
    try {
      this.#log.write(batch.buffer, batch.start, batch.sizeBytes, position)
    } catch (error) {
      this.#cutBack()
      throw error
    }
    this.admit(batch)
    return position
  }

  /**
   * Takes a batch that is in the file behind the ones known into account: indexes, size, offsets.
   * What `append` does after its write, and recovery for each batch it accepts.
   */
  admit(batch: Omit<BatchBytes, 'buffer' | 'start'>): void {
    const { lastOffset, maxTimestamp } = batch
    const position = this.#sizeBytes
    if (maxTimestamp > this.#largestTimestamp) {
      this.#largestTimestamp = maxTimestamp
      this.#offsetOfLargestTimestamp = lastOffset
    }
    if (position === 0) this.#firstTimestamp = maxTimestamp
    const index = this.offsetIndex
    // Data before index: a crash in between costs one entry, so a longer walk. Measured from the
    // last indexed batch, which recovery can do too: a rebuilt index equals the one written live.
    // The batch behind damage is always indexed: no walk could come to it from before.
    if (
      this.#indexNextBatch ||
      position - index.lastIndexedPosition > this.#settings.indexIntervalBytes
    ) {
      this.#indexNextBatch = false
      this.#addIndexEntry(index, lastOffset, position)
    }
    this.#sizeBytes = position + batch.sizeBytes
    this.#nextOffset = lastOffset + 1
    if (this.#recordCount !== null) this.#recordCount += batch.recordCount
  }

  #addIndexEntry(index: OffsetIndex, offset: number, position: number): void {
    index.append({ offset, position })
    const timeIndex = this.timeIndex
    if (this.#largestTimestamp >= 0) {
      timeIndex.offer({ timestamp: this.#largestTimestamp, offset: this.#offsetOfLargestTimestamp })
    }
    if (!index.file.isBehind) return
    try {
      this.writeIndexes()
    } catch (error) {
      // The batch is written and acknowledged by position; its hints wait for room on the disk.
      if (!LogError.is(error, 'NO_SPACE')) throw error
    }
  }

  /**
   * Ends the segment: last time entry, indexes up to date, preallocated zeros cut off. A damaged
   * one keeps every byte of its .log, for repair.
   */
  seal(): void {
    if (this.#sealed) return
    this.completeIndexes()
    if (!this.#damaged) this.trim()
    this.#sealed = true
  }

  markDamaged(): void {
    this.#damaged = true
  }

  /** Offers the closing time entry and writes both indexes out. */
  completeIndexes(): void {
    if (this.#largestTimestamp >= 0) {
      this.timeIndex.offer({
        timestamp: this.#largestTimestamp,
        offset: this.#offsetOfLargestTimestamp,
      })
    }
    this.writeIndexes()
  }

  writeIndexes(): void {
    this.offsetIndex.file.writeOut()
    this.timeIndex.file.writeOut()
  }

  /** Forces the .log to stable storage. Not the indexes: recovery rebuilds them from the .log. */
  flushLog(): Promise<void> {
    return this.#log.flush()
  }

  /** Forces what was written of the indexes to stable storage. */
  async flushIndexes(): Promise<void> {
    await this.#index?.file.flush()
    await this.#timeIndex?.file.flush()
  }

  /** Reads bytes of the .log; fewer than asked only at its end. */
  read(target: Buffer, targetStart: number, byteLength: number, position: number): number {
    return this.#log.read(target, targetStart, byteLength, position)
  }

  /** As `read`, off the event loop. Owned. */
  readAhead(position: number, byteLength: number): Promise<Buffer> {
    return this.#log.readAhead(position, byteLength)
  }

  /**
   * Writes bytes that are there once more: a failed sync may have left clean pages that never
   * reached the disk.
   */
  rewrite(bytes: Buffer, byteLength: number, position: number): void {
    this.#log.write(bytes, 0, byteLength, position)
  }

  /** Cuts everything behind whole batches, the preallocated zeros included. */
  trim(): void {
    if (this.#log.sizeBytes !== this.#sizeBytes) this.#log.resize(this.#sizeBytes)
  }

  close(): void {
    this.#log.close()
    this.#index?.close()
    this.#timeIndex?.close()
  }

  /** The segment's files, for deletion. */
  fileNames(): readonly string[] {
    return [
      segmentFileName(this.baseOffset, '.log'),
      segmentFileName(this.baseOffset, '.index'),
      segmentFileName(this.baseOffset, '.timeindex'),
    ]
  }

  /**
   * Makes the file larger than the next batch needs, in steps: as much as it holds, from 64 KiB to
   * 16 MiB, so that most appends change no file metadata.
   */
  #grow(batchBytes: number): void {
    const neededBytes = this.#sizeBytes + batchBytes
    if (!this.#settings.preallocate || neededBytes <= this.#log.sizeBytes) return
    const stepBytes = Math.min(Math.max(this.#sizeBytes, FIRST_GROWTH_BYTES), LAST_GROWTH_BYTES)
    const wantedBytes = Math.min(this.#log.sizeBytes + stepBytes, this.#settings.segmentBytes)
    if (wantedBytes < neededBytes) return
    try {
      this.#log.resize(wantedBytes)
    } catch (error) {
      // No room for a whole step is no reason to refuse a batch that may still fit.
      if (!LogError.is(error, 'NO_SPACE')) throw error
    }
  }

  /** After a failed write: what it left must not look like a torn batch to the next open. */
  #cutBack(): void {
    try {
      this.#log.resize(this.#sizeBytes)
    } catch {
      // The write's own error is the one to report; recovery cuts a torn batch as well.
    }
  }
}

function pathOf(place: SegmentPlace, suffix: '.log' | '.index' | '.timeindex'): string {
  return `${place.directory}/${segmentFileName(place.baseOffset, suffix)}`
}
