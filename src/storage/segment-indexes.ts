/**
 * SegmentIndexes: the indexes of one segment, which are flushed and closed together; the two sparse
 * ones are filled, cut and judged together too.
 *
 *   00000000000000004096.index       last offset of a batch -> position (offset-index.ts)
 *   00000000000000004096.timeindex   largest timestamp so far -> offset (time-index.ts)
 *   00000000000000004096.txnindex    aborted transactions (transaction-index.ts)
 *
 * The sparse ones are hints, read when they are first needed. Files that are missing, or that
 * cannot be what was written, have to be rebuilt from the log before anything is looked up in them
 * or added. Those of a sealed segment are let go when too many are loaded and nobody uses them,
 * and with them what is known of the batches that passed their CRC: both are found out again.
 * Those of a log that another process writes are read and never written; what was rebuilt of them
 * is let go like the rest.
 *   I1  an entry of the time index is offered with every entry of the offset index, and at the end
 *       of the segment once more
 *   I2  the time index is written out first: whoever reads the files, the offset index first, finds
 *       no entry there without the time entry that was offered with it
 */
import { LogError } from '../errors/log-error.ts'
import { segmentFileName, type SegmentSuffix } from '../format/segment-name.ts'
import { type IndexBudget, indexBudget, type LoadedIndexes } from './index-budget.ts'
import { OffsetIndex } from './offset-index.ts'
import type { StorageDriver } from './storage-driver.ts'
import { emptyContents, type SegmentContents } from './segment-contents.ts'
import { TimeIndex, type TimestampAndOffset } from './time-index.ts'
import { TransactionIndex } from './transaction-index.ts'

/** Where a segment lies. */
export interface SegmentPlace {
  readonly driver: StorageDriver
  readonly directory: string
  readonly baseOffset: number
  /** Behind the names of files that are not the log's, or not yet: `….log.cleaned`. */
  readonly suffix?: `.${string}`
  /** Its files are another process's: they are read, and never changed or cut from here. */
  readonly readOnly?: boolean
}

/** Where the batches of a segment end. */
export type SegmentEnd = Pick<SegmentContents, 'sizeBytes' | 'nextOffset'>

/** Path of one of a segment's files. */
export function segmentPath(
  place: SegmentPlace,
  suffix: Exclude<SegmentSuffix, '.snapshot'>,
): string {
  const name = segmentFileName(place.baseOffset, suffix)
  return `${place.directory}/${name}${place.suffix ?? ''}`
}

/** The indexes of one segment. */
export class SegmentIndexes implements LoadedIndexes {
  /** Is there as long as the segment is: little, and not to be had again from the two others. */
  readonly aborted: TransactionIndex
  #place: SegmentPlace
  readonly #budget: IndexBudget
  #offset: OffsetIndex | undefined
  #time: TimeIndex | undefined
  #isTrusted = false
  #isFinal = false
  /** Where the log ends, as far as that is known: entries beyond are no entries. */
  #end: SegmentEnd
  /** What the files of another process hold leads nowhere. */
  #isMisleading = false
  #isClosed = false
  lastUse = 0

  /** Of files that exist, or should; they are read at the first use. */
  constructor(
    place: SegmentPlace,
    contents: SegmentContents = emptyContents(place.baseOffset),
    budget: IndexBudget = indexBudget,
  ) {
    this.#place = place
    this.#budget = budget
    this.#end = contents
    this.aborted = new TransactionIndex(
      { ...place, path: segmentPath(place, '.txnindex') },
      contents,
    )
  }

  /** Empty ones: new files, or what was there cut to nothing. */
  static create(place: SegmentPlace): SegmentIndexes {
    const { driver, baseOffset } = place
    const indexes = new SegmentIndexes(place)
    try {
      indexes.#offset = OffsetIndex.create(driver, segmentPath(place, '.index'), baseOffset)
      indexes.#time = TimeIndex.create(driver, segmentPath(place, '.timeindex'), baseOffset)
    } catch (error) {
      indexes.close()
      throw error
    }
    indexes.#isTrusted = true
    return indexes
  }

  get offset(): OffsetIndex {
    this.lastUse = this.#budget.useCount
    return this.#offset ?? this.#loadOffset()
  }

  get time(): TimeIndex {
    this.lastUse = this.#budget.useCount
    return this.#time ?? this.#loadTime()
  }

  /** The segment is sealed, and ends there: what is in the files does not change any more. */
  becomeFinal(end: SegmentEnd = this.#end): void {
    this.#isFinal = true
    this.#end = { sizeBytes: end.sizeBytes, nextOffset: end.nextOffset }
    this.#isMisleading = false // Its writer has written all of it by now.
    if (this.loadedBytes > 0) this.#budget.took(this)
  }

  /** Their files have their final names now. */
  renamed(): void {
    const { driver, directory, baseOffset } = this.#place
    this.#place = { driver, directory, baseOffset }
    this.#offset?.file.moved(segmentPath(this.#place, '.index'))
    this.#time?.file.moved(segmentPath(this.#place, '.timeindex'))
    this.aborted.moved(segmentPath(this.#place, '.txnindex'))
  }

  get loadedBytes(): number {
    return (this.#offset?.file.memoryBytes ?? 0) + (this.#time?.file.memoryBytes ?? 0)
  }

  unload(): boolean {
    if (!this.#isFinal || this.#areHintsUnflushed) return false
    this.#letGo()
    return true
  }

  /** Lets go of what is in memory, whole or not: the files are read, and judged, anew. */
  forget(): void {
    this.#isMisleading = this.#place.readOnly === true
    this.#budget.gave(this)
    this.#letGo()
  }

  #letGo(): void {
    this.#offset?.close()
    this.#time?.close()
    this.#offset = undefined
    this.#time = undefined
    this.#isTrusted = false
  }

  /** True where the files can be what was written for a log that ends there. Reads them once. */
  isUsable(sizeBytes: number, nextOffset: number): boolean {
    this.#isTrusted ||=
      !this.offset.file.wasMissing &&
      !this.time.file.wasMissing &&
      this.offset.isSound(sizeBytes, nextOffset) &&
      this.time.isSound(nextOffset)
    return this.#isTrusted
  }

  /** Adds the entry of a batch, and offers the largest timestamp up to and with it (I1). */
  add(
    entry: { readonly offset: number; readonly position: number },
    largest: TimestampAndOffset,
  ): void {
    this.offset.append(entry)
    this.offer(largest)
    if (!this.offset.file.isBehind) return
    try {
      this.writeOut()
    } catch (error) {
      // The batch is in the log, and counts; its hints wait in memory. Should the disk fail for
      // good, whoever seals or syncs the segment is told.
      if (!LogError.is(error)) throw error
    }
  }

  /** Notes the largest timestamp so far, where there is one. */
  offer(largest: TimestampAndOffset): void {
    if (largest.timestamp >= 0) this.time.offer(largest)
  }

  /**
   * Drops the entries of batches that end at or behind `offset`, in memory; the files stay as they
   * are until `flush`. Cut in place, they could come back with zeros where entries had been.
   */
  truncateToOffset(offset: number): void {
    this.offset.file.replaceLater()
    this.time.file.replaceLater()
    this.offset.truncateToOffset(offset)
    this.time.truncateToOffset(offset)
    this.#isTrusted = true
  }

  /** Starts both anew in memory; the files stay as they are until `flush`. */
  startAnew(): void {
    if (this.#place.readOnly === true) this.#isMisleading = true
    this.offset.startAnew()
    this.time.file.detach()
    this.#isTrusted = true
  }

  /** @throws {LogError} NO_SPACE or IO: the entries stay in memory, a later call tries again. */
  writeOut(): void {
    if (this.#place.readOnly === true) return
    this.time.file.writeOut() // I2
    this.offset.file.writeOut()
    this.aborted.writeOut()
  }

  /** True while a file differs from what is known to be on stable storage. */
  get isUnflushed(): boolean {
    return this.#areHintsUnflushed || this.aborted.isUnflushed
  }

  get #areHintsUnflushed(): boolean {
    return this.#offset?.file.isUnflushed === true || this.#time?.file.isUnflushed === true
  }

  /** Forces what was written out to stable storage. */
  async flush(): Promise<void> {
    await this.#offset?.file.flush()
    if (!this.#isClosed) await this.#time?.file.flush()
    if (!this.#isClosed) await this.aborted.flush()
  }

  /** As `flush`, for whoever forces the directory afterwards. */
  async flushBytes(): Promise<void> {
    await this.#offset?.file.flushBytes()
    if (!this.#isClosed) await this.#time?.file.flushBytes()
    if (!this.#isClosed) await this.aborted.flushBytes()
  }

  /**
   * Brings both files to stable storage so that a stop at any time leaves no entry of a batch
   * without the one of the largest timestamp up to it: a walk may start at any batch that is named.
   */
  async flushInOrder(): Promise<void> {
    this.#time?.file.writeOut()
    await this.#time?.file.flush()
    if (this.#isClosed) return
    this.#offset?.file.writeOut()
    this.aborted.writeOut()
    await this.flushBytes()
  }

  /** Also while they are flushed: the next file would be opened by a name that may be another's. */
  close(): void {
    this.#isClosed = true
    this.#budget.gave(this)
    this.#offset?.close()
    this.#time?.close()
    this.aborted.close()
  }

  #loadOffset(): OffsetIndex {
    const { driver, baseOffset, readOnly } = this.#place
    const how = readOnly === true ? 'readOnly' : 'load'
    const loaded = OffsetIndex[how](driver, segmentPath(this.#place, '.index'), baseOffset)
    const { sizeBytes, nextOffset } = this.#end
    if (readOnly === true && (this.#isMisleading || !loaded.isSound(sizeBytes, nextOffset))) {
      loaded.file.discard()
    }
    this.#offset = loaded
    this.#budget.took(this)
    return loaded
  }

  #loadTime(): TimeIndex {
    const { driver, baseOffset, readOnly } = this.#place
    const how = readOnly === true ? 'readOnly' : 'load'
    const loaded = TimeIndex[how](driver, segmentPath(this.#place, '.timeindex'), baseOffset)
    if (readOnly === true && (this.#isMisleading || !loaded.isSound(this.#end.nextOffset))) {
      loaded.file.discard()
    }
    this.#time = loaded
    this.#budget.took(this)
    return loaded
  }
}
