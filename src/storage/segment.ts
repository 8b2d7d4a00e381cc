/**
 * Segment: one run of a partition's batches, in files named after the lowest offset it may hold.
 *
 *   00000000000000004096.log         record batches back to back, then preallocated zeros
 *   00000000000000004096.index       sparse: last offset of a batch -> position (offset-index.ts)
 *   00000000000000004096.timeindex   sparse: largest timestamp so far -> offset (time-index.ts)
 *   00000000000000004096.txnindex    aborted transactions, where there are (transaction-index.ts)
 *
 * Owns these files and where the next batch goes; offsets, CRCs and rolling are log/'s business.
 * Single writer. True between any two calls, and restored after a crash by log/recovery.ts:
 *   I1  baseOffset <= each offset held < nextOffset, ascending
 *   I2  the first sizeBytes of the .log are whole batches, what follows is zeros
 *   I3  each index entry names a batch that starts below sizeBytes
 *   I4  whole batches never change again, nor are they cut while this is open; a sealed segment's
 *       .log has exactly sizeBytes
 * Of a segment that another process writes, or wrote (`readOnly` in its place), the files are read
 * alone: what is admitted and sealed is so in memory, and the .log may be longer than sizeBytes.
 */
import { assert } from '../errors/invariant.ts'
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import { KnownContents } from './known-contents.ts'
import type { OffsetIndex } from './offset-index.ts'
import {
  type BatchBytes,
  type BatchSummary,
  emptyContents,
  type SegmentContents,
} from './segment-contents.ts'
import { SegmentFiles } from './segment-files.ts'
import { SegmentIndexes, segmentPath, type SegmentPlace } from './segment-indexes.ts'
import type { GrowthSettings } from './space-ahead.ts'
import type { BorrowedBytes } from './storage-driver.ts'
import type { TimeIndex } from './time-index.ts'
import type { TransactionIndex } from './transaction-index.ts'

const MAX_POSITION = 0x7fff_ffff

/** What shapes a segment's files. */
export interface SegmentSettings extends GrowthSettings {
  readonly indexIntervalBytes: number
}

/** One .log with its indexes. */
export class Segment {
  /** Lower bound of the offsets held, and the name of the files. */
  readonly baseOffset: number
  readonly #settings: SegmentSettings
  readonly #files: SegmentFiles
  readonly #isReadOnly: boolean
  readonly #known: KnownContents
  #sealed = false
  #indexNextBatch = false
  #damaged = false

  private constructor(
    place: SegmentPlace,
    settings: SegmentSettings,
    files: SegmentFiles,
    contents: SegmentContents,
  ) {
    this.#settings = settings
    this.#files = files
    this.#isReadOnly = place.readOnly === true
    this.baseOffset = place.baseOffset
    this.#known = new KnownContents(contents)
  }

  /**
   * New, empty files. The directory entry is durable only after a `flushDirectory`. Empty files
   * that an earlier, failed attempt left are taken over.
   *
   * @throws {LogError} NO_SPACE or IO: some of the files may be there, empty.
   */
  static create(place: SegmentPlace, settings: SegmentSettings): Segment {
    const { driver, baseOffset } = place
    const path = segmentPath(place, '.log')
    const leftover = driver.status(path)
    assert((leftover?.sizeBytes ?? 0) === 0, 'a segment that holds data is never created anew')
    const log = driver.openFile(path, leftover === undefined ? 'create' : 'write')
    try {
      const contents = emptyContents(baseOffset)
      const open = { log, indexes: SegmentIndexes.create(place) }
      const files = SegmentFiles.opened(place, settings, contents, open)
      return new Segment(place, settings, files, contents)
    } catch (error) {
      log.close()
      throw error
    }
  }

  /** Existing files whose contents are known; indexes are read when first used. */
  static open(place: SegmentPlace, settings: SegmentSettings, contents: SegmentContents): Segment {
    const mode = place.readOnly === true ? 'read' : 'write'
    const log = place.driver.openFile(segmentPath(place, '.log'), mode)
    const indexes = new SegmentIndexes(place, contents)
    const files = SegmentFiles.opened(place, settings, contents, { log, indexes })
    return new Segment(place, settings, files, contents)
  }

  /**
   * Existing files of a segment that ended before. Where its .log was looked at, and is the file
   * `fileId`, it is opened when it is first read.
   */
  static openSealed(
    place: SegmentPlace,
    settings: SegmentSettings,
    contents: SegmentContents,
    fileId?: string,
  ): Segment {
    const files = SegmentFiles.sealed(place, settings, contents, fileId)
    const segment = new Segment(place, settings, files, contents)
    segment.#sealed = true
    return segment
  }

  /**
   * Where the largest timestamp is not known, `find` is called when it is first asked for: it
   * rewinds the segment as far as is needed, and admits what follows.
   */
  findLargestTimestampBy(find: (segment: Segment) => void): void {
    this.#known.findLargestBy(() => find(this))
  }

  /** Bytes of whole batches. */
  get sizeBytes(): number {
    return this.#known.sizeBytes
  }
  /** One past the last offset held. */
  get nextOffset(): number {
    return this.#known.nextOffset
  }
  /** Largest record timestamp; -1 where there is none. */
  get largestTimestamp(): number {
    return this.#known.largestTimestamp
  }
  /** Largest timestamp of the first batch; -1 where there is none. */
  get firstTimestamp(): number {
    return this.#known.firstTimestamp
  }
  /** User records held; null where nobody counted them. */
  get recordCount(): number | null {
    return this.#known.recordCount
  }
  /**
   * Grows with whatever changes the .log from here on: where it is what it was when a sync began,
   * that sync covered all there is. Not counted: what recovery rewrites, and syncs by itself.
   */
  get changeCount(): number {
    return this.#files.changeCount
  }
  /** Nothing is appended any more. */
  get isSealed(): boolean {
    return this.#sealed
  }
  /** Some of its bytes are not what was written: it is kept as it is and never appended to. */
  get isDamaged(): boolean {
    return this.#damaged
  }
  /** Path of the .log. */
  get logPath(): string {
    return this.#files.logPath
  }

  /** What a clean marker records, so that the next open needs to read nothing. */
  get contents(): SegmentContents {
    const { sizeBytes, nextOffset, firstTimestamp, recordCount, largest } = this.#known
    return {
      sizeBytes,
      nextOffset,
      largestTimestamp: largest.timestamp,
      offsetOfLargestTimestamp: largest.offset,
      firstTimestamp,
      recordCount,
      ...this.#files.abortedWitness,
    }
  }

  /** The offset index, read at its first use. */
  get offsetIndex(): OffsetIndex {
    return this.#files.indexes.offset
  }
  /** The time index, read at its first use. */
  get timeIndex(): TimeIndex {
    return this.#files.indexes.time
  }

  /** Which transactions were aborted, by markers in it. */
  get aborted(): TransactionIndex {
    return this.#files.indexes.aborted
  }

  /**
   * True where an index file is missing or cannot be what was written: rebuild it from the log
   * before any lookup or append.
   */
  get needsIndexRebuild(): boolean {
    return !this.#files.indexes.isUsable(this.#known.sizeBytes, this.#known.nextOffset)
  }

  /**
   * Forgets everything from the batch at `to.sizeBytes` on, in memory and in the indexes, so that a
   * walk of the log can `admit` those batches again. `to.nextOffset` is what the walk expects
   * there. Indexes that start over leave their files alone until `flushIndexes`.
   */
  rewind(to: SegmentContents): void {
    this.#known.take(to)
    if (to.sizeBytes === 0) this.#files.indexes.startAnew()
    else this.#files.indexes.truncateToOffset(to.nextOffset)
  }

  /** After a walk that failed: the segment is what it was, and its indexes are to be rebuilt. */
  undoRewind(contents: SegmentContents): void {
    this.#known.take(contents)
    this.#indexNextBatch = false
    this.#files.indexes.forget()
  }

  /** After a walk that may not have reached the end: the segment ends where it did. */
  restoreEnd(sizeBytes: number, nextOffset: number): void {
    if (sizeBytes !== this.#known.sizeBytes) this.#known.recordCount = null
    this.#known.sizeBytes = sizeBytes
    this.#known.nextOffset = nextOffset
  }

  /** Goes on behind damage: the batch at `position` is admitted next, and gets an index entry. */
  skipDamageTo(position: number): void {
    assert(position >= this.#known.sizeBytes, 'a walk goes forward')
    this.#known.sizeBytes = position
    this.#known.recordCount = null
    this.#indexNextBatch = true
  }

  /** False where a batch of `sizeBytes` would pass the largest position Kafka can name. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#known.sizeBytes + sizeBytes <= MAX_POSITION
  }

  /**
   * Appends one validated batch and returns its position. Readable at once and safe from a kill
   * of the process; from a power cut only after `flushLog`. `reservedBytes` stay free behind it for
   * batches to come, in blocks that the file has.
   * @throws {LogError} NO_SPACE or IO: nothing was appended; IO with `details.outcome: 'unknown'`
   *   where a crash may bring it back all the same.
   */
  append(batch: BatchBytes, reservedBytes = 0): number {
    assert(!this.#sealed, 'I4: a sealed segment never changes')
    assert(batch.lastOffset >= this.#known.nextOffset, 'I1: offsets ascend')
    const position = this.#known.sizeBytes
    this.#files.ahead.write(batch, position, reservedBytes)
    this.admit(batch)
    return position
  }

  /** Keeps `reservedBytes` free behind its batches. @throws {LogError} NO_SPACE or IO. */
  reserve(reservedBytes: number): void {
    assert(!this.#sealed, 'I4: a sealed segment never changes')
    this.#files.ahead.reserve(this.#known.sizeBytes, reservedBytes)
  }

  /** Notes an aborted transaction, before its marker is appended. @throws As `reserve`. */
  addAborted(entry: AbortedTransaction): void {
    this.#files.indexes.aborted.add(entry)
  }

  /** The marker of what was noted last was not appended. */
  takeBackAborted(): void {
    this.#files.indexes.aborted.takeBackLast()
  }

  /** Forgets the aborts with a marker at `offset` or behind it: the caller notes them again. */
  truncateAborted(offset: number): void {
    this.#files.indexes.aborted.truncateTo(offset)
  }

  /**
   * Takes a batch that is in the file behind the ones known into account: indexes, size, offsets.
   * What `append` does after its write, and recovery for each batch it accepts.
   */
  admit(batch: BatchSummary): void {
    const position = this.#known.sizeBytes
    this.#known.noteTimestamp(batch)
    const { lastIndexedPosition } = this.#files.indexes.offset
    // Data before index: a crash in between costs one entry, so a longer walk. Measured from the
    // last indexed batch, which recovery can do too: a rebuilt index equals the one written live.
    // The batch behind damage is always indexed: no walk could come to it from before.
    const isDue = position - lastIndexedPosition > this.#settings.indexIntervalBytes
    if (isDue || this.#indexNextBatch) {
      this.#indexNextBatch = false
      this.#files.indexes.add({ offset: batch.lastOffset, position }, this.#known.largest)
    }
    this.#known.admit(batch)
  }

  /**
   * Ends the segment: last time entry, indexes up to date, preallocated zeros cut off. A damaged
   * one keeps every byte of its .log, for repair.
   */
  seal(): void {
    if (this.#sealed) return
    this.completeIndexes()
    if (!this.#damaged && !this.#isReadOnly) this.trim()
    this.#sealed = true
    this.#files.indexes.becomeFinal(this.#known)
    // A damaged one is for somebody to look at and to repair: it stays out of mappings.
    if (!this.#damaged) this.#files.log.freeze?.()
  }

  /** See `isDamaged`. */
  markDamaged(): void {
    this.#damaged = true
  }

  /** Offers the closing time entry and writes both indexes out. */
  completeIndexes(): void {
    this.#files.indexes.offer(this.#known.largest)
    this.#files.indexes.writeOut()
  }

  /** Brings the index files up to date. */
  writeIndexes(): void {
    this.#files.indexes.writeOut()
  }

  /** Forces the .log to stable storage. Not the indexes: recovery rebuilds them from the .log. */
  flushLog(): Promise<void> {
    this.#files.ahead.flushed()
    return this.#files.log.flush()
  }

  /** True while an index file differs from what is known to be on stable storage. */
  get areIndexesUnflushed(): boolean {
    return this.#files.usedIndexes?.isUnflushed === true
  }

  /** Forces what was written of the indexes to stable storage. */
  async flushIndexes(): Promise<void> {
    await this.#files.usedIndexes?.flush()
  }

  /** As `flushIndexes`, for whoever forces the directory afterwards (see `IndexFile`). */
  async flushIndexBytes(): Promise<void> {
    await this.#files.usedIndexes?.flushBytes()
  }

  /** As `flushIndexBytes`, all of it: a stop at any time leaves indexes to start a check from. */
  flushIndexesInOrder(): Promise<void> {
    return this.#files.indexes.flushInOrder()
  }

  /** Reads bytes of the .log; fewer than asked only at its end. */
  read(target: Buffer, targetStart: number, byteLength: number, position: number): number {
    return this.#files.log.read(target, targetStart, byteLength, position)
  }

  /**
   * As `read`, without a copy; undefined where `read` is the better way. Borrowed until the next
   * call that reads or changes anything of this log, and empty then.
   */
  borrow(byteLength: number, position: number): Buffer | undefined {
    const lent = this.lend(byteLength, position)
    if (lent === undefined) return undefined
    const start = position - lent.position
    return lent.bytes.subarray(start, start + byteLength)
  }

  /** As `borrow`, with whatever lies around it: allocates nothing. */
  lend(byteLength: number, position: number): BorrowedBytes | undefined {
    // Whole batches stay as they are, before the segment is sealed too (I4).
    if (!this.#sealed && !this.#damaged && !this.#isReadOnly) {
      this.#files.log.settle?.(this.#known.sizeBytes)
    }
    return this.#files.log.borrow?.(position, byteLength)
  }

  /** As `read`, off the event loop. Owned, or a part of `into` (storage-driver.ts). */
  readAhead(position: number, byteLength: number, into?: Buffer): Promise<Buffer> {
    return this.#files.log.readAhead(position, byteLength, into)
  }

  /** Writes bytes that are there once more: a failed sync may have left clean pages behind. */
  rewrite(bytes: Buffer, byteLength: number, position: number): void {
    this.#files.log.write(bytes, 0, byteLength, position)
  }

  /** Cuts everything behind whole batches, the preallocated zeros included. */
  trim(): void {
    this.#files.ahead.cutTo(this.#known.sizeBytes)
  }

  /** Its files have their final names now. */
  renamed(): void {
    this.#files.indexes.renamed()
  }

  /** Releases the files. Does not flush. */
  close(): void {
    this.#files.close()
  }
}
