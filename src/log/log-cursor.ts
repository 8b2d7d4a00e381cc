/**
 * LogCursor: walks a partition forward, whole batches at a time, from memory or from its files.
 *
 * The newest batches come from the tail without I/O; older ones by positioned reads of 256 KiB from
 * the segments. Positions come from the sparse indexes, which are hints: a batch that is not where
 * an entry says has the index rebuilt from the log.
 *   I1  a batch from a file passed its CRC in this process before it is handed out
 *   I2  offsets ascend; in a log that was never compacted they do so without a gap
 *   I3  what is handed out is memory of this cursor until its next call or, where it may lend, of
 *       a mapping: those bytes never get to anybody but a lookup
 */
import { LogError } from '../errors/log-error.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatch,
  checkBatchHeader,
  lastOffsetOf,
  nextOffsetOf,
} from '../format/record-batch.ts'
import type { Segment } from '../storage/segment.ts'
import { isSafeHeader } from './batch-walk.ts'
import { findBehindDamage } from './damage-search.ts'
import type { CursorOptions, LogSource } from './log-source.ts'
import type { ReadableLog } from './log-window.ts'
import { damagedBatch, offsetRemoved } from './partition-errors.ts'
import { ReusedBuffer } from './reused-buffer.ts'
import { SectorReads } from './sector-reads.ts'
import type { BatchRun } from './tail.ts'

/** Bytes of one sequential read: larger gains nothing, smaller costs calls (docs/decisions). */
const READ_BYTES = 262_144
/** Instead of the end of a run: the offset lies behind damage, the walk goes on there. */
const ELSEWHERE = -1
/** Bytes of one read off the event loop, where a call costs ten times as much. */
const READ_AHEAD_BYTES = 1_048_576

/** Headers that are looked at and forgotten: nothing runs between the two. */
const HEADER: Buffer = Buffer.allocUnsafeSlow(BATCH_HEADER_BYTES)

/** One read to make. */
interface ReadPlan {
  readonly segment: Segment
  readonly position: number
  readonly byteLength: number
}

/** A forward reader of one partition. */
export class LogCursor {
  readonly #source: LogSource
  readonly #readBytes: number
  /** Borrowed by whoever got the last run. */
  readonly #room = new ReusedBuffer()
  readonly #borrows: boolean
  readonly #passesBadSectors: boolean
  #offset: number
  #segment: Segment | undefined
  #position = 0
  /** Last offset that the batch at `#position` must have, where an index entry named the place. */
  #hintedOffset = -1
  /** Where the batch at `#position` has to start, or at least; -1 where that is not known. */
  #expectedOffset = -1
  /** Bytes that the batch at `#position` needs, where it is larger than one read. */
  #neededBytes = 0
  /** Where the last CORRUPT was met. */
  #damage: { readonly segment: Segment; readonly position: number } | undefined

  /** Reads from `offset` on. */
  constructor(source: LogSource, offset: number, options: CursorOptions = {}) {
    this.#source = source
    this.#offset = offset
    this.#readBytes = options.readBytes ?? READ_BYTES
    this.#borrows = options.borrow === true
    this.#passesBadSectors = options.passesBadSectors === true
  }

  /** First offset not read yet. */
  get offset(): number {
    return this.#offset
  }

  /** Goes on at `offset`. */
  seek(offset: number): void {
    this.#offset = offset
    this.#segment = undefined
  }

  /**
   * The next whole batches that start below `limitOffset`, or undefined where there are none yet.
   * The first of them may begin before the offset asked for. Borrowed until the next call.
   * @throws {LogError} CORRUPT where the bytes are not what was written; OFFSET_OUT_OF_RANGE where
   *   they were removed: the log starts behind them.
   */
  next(limitOffset: number): BatchRun | undefined {
    try {
      return this.#next(limitOffset)
    } catch (error) {
      if (!this.#isWorthAnotherTry(error)) throw error
      return this.#next(limitOffset)
    }
  }

  /**
   * As `next`, waiting for the device off the event loop. Where the segment leaves the log
   * meanwhile, what was read of it counts for nothing.
   */
  async nextAhead(limitOffset: number): Promise<BatchRun | undefined> {
    try {
      return await this.#nextAhead(limitOffset)
    } catch (error) {
      if (!this.#isWorthAnotherTry(error)) throw error
      return await this.#nextAhead(limitOffset)
    }
  }

  #next(limitOffset: number): BatchRun | undefined {
    while (this.#offset < limitOffset) {
      const fromTail = this.#fromTail(limitOffset)
      if (fromTail !== undefined) return fromTail
      const plan = this.#plan(this.#readBytes)
      if (plan === undefined && this.#source.extend()) continue
      if (plan === undefined) break
      const { segment, byteLength, position } = plan
      const lent = this.#borrows ? segment.borrow(byteLength, position) : undefined
      const buffer = lent ?? this.#room.of(byteLength)
      const read = lent?.length ?? this.#bytesOf(segment).read(buffer, 0, byteLength, position)
      const run = this.#take(plan, buffer, read, limitOffset)
      if (run !== undefined) return run
    }
    this.#room.letGo()
    return undefined
  }

  async #nextAhead(limitOffset: number): Promise<BatchRun | undefined> {
    while (this.#offset < limitOffset) {
      const fromTail = this.#fromTail(limitOffset)
      if (fromTail !== undefined) return fromTail
      const plan = this.#plan(READ_AHEAD_BYTES)
      if (plan === undefined && this.#source.extend()) continue
      if (plan === undefined) break
      const buffer = await this.#readAhead(plan)
      if (buffer === undefined) continue
      const run = this.#take(plan, buffer, buffer.length, limitOffset)
      if (run !== undefined) return run
    }
    this.#room.letGo()
    return undefined
  }

  /** Another process may have changed the files under this reader: then it starts over, once. */
  #isWorthAnotherTry(error: unknown): boolean {
    if (!LogError.is(error, 'IO') && !LogError.is(error, 'CORRUPT')) return false
    if (!this.#source.lookAgain()) return false
    this.#segment = undefined
    return true
  }

  /** Undefined where the segment is not part of the log any more: its file may be closed. */
  async #readAhead({ segment, position, byteLength }: ReadPlan): Promise<Buffer | undefined> {
    const { segments } = this.#source
    try {
      const buffer = await segment.readAhead(position, byteLength)
      return segments.includes(segment) ? buffer : undefined
    } catch (error) {
      if (segments.includes(segment)) throw error
      return undefined
    }
  }

  /** After CORRUPT: goes on at the next batch that can be found, and returns its offset. */
  skipDamage(): number {
    const { segments } = this.#source
    const damage = this.#damage
    const isThere = damage !== undefined && segments.includes(damage.segment)
    const segment = isThere ? damage.segment : segments.floor(this.#offset)
    const position = isThere ? damage.position : 0
    this.#damage = undefined
    const found = findBehindDamage(segment, position, this.#offset, this.#bytesOf(segment))
    if (found === undefined) {
      const resumesAt = segments.after(segment)?.baseOffset ?? segment.nextOffset
      this.seek(Math.max(resumesAt, this.#offset + 1))
    } else {
      this.#enter(segment, found.position, -1)
      this.#expectedOffset = found.offset
      this.#offset = found.offset
    }
    return this.#offset
  }

  #bytesOf(segment: Segment): ReadableLog {
    return this.#passesBadSectors ? new SectorReads(segment) : segment
  }

  #fromTail(limitOffset: number): BatchRun | undefined {
    const run = this.#source.tail.read(this.#offset, limitOffset, this.#readBytes, this.#room)
    if (run === undefined) return undefined
    this.#segment = undefined
    return this.#passed(run)
  }

  #passed(run: BatchRun): BatchRun {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      this.#offset = nextOffsetOf(run.buffer, at)
    }
    return run
  }

  /** Where the batch that holds the offset, or follows it, is to be looked for. */
  #plan(readBytes: number): ReadPlan | undefined {
    const { segments } = this.#source
    let segment = this.#segment
    if (segment === undefined || !segments.includes(segment))
      segment = this.#locate(segments.floor(this.#offset))
    while (this.#position >= segment.sizeBytes || this.#offset >= segment.nextOffset) {
      const next = segments.after(segment)
      if (next === undefined) {
        this.#checkNoGap(segment)
        return undefined
      }
      segment = this.#enter(next, 0, -1)
    }
    this.#checkNoGap(segment)
    const wantedBytes = Math.max(readBytes, this.#neededBytes)
    return {
      segment,
      position: this.#position,
      byteLength: Math.min(wantedBytes, segment.sizeBytes - this.#position),
    }
  }

  /** Where nothing is missing, a segment starts with the offset that ended the one before. */
  #checkNoGap(segment: Segment): void {
    const isAhead = this.#position === 0 && segment.baseOffset > this.#offset
    if (isAhead && this.#offset < this.#source.logStartOffset)
      throw offsetRemoved(this.#source, this.#offset)
    if (isAhead && this.#source.isGapless) throw this.#corrupt(segment, 0, 'gap')
  }

  #locate(segment: Segment): Segment {
    if (segment.needsIndexRebuild) this.#source.segments.rebuildIndexes(segment)
    const { offsetIndex } = segment
    const slot = offsetIndex.slotForOffset(this.#offset)
    const hintedOffset = slot < 0 ? -1 : offsetIndex.offsetOfSlot(slot)
    if (hintedOffset !== this.#offset && this.#enterNextIndexed(segment, slot)) return segment
    return this.#enter(segment, offsetIndex.positionOfSlot(slot), hintedOffset)
  }

  /**
   * Entries name batches by their last offset, so the floor of an offset is the batch before it.
   * Where batches are larger than a read each has an entry, and the next one's holds the offset:
   * its header tells, and the one before need not be read.
   */
  #enterNextIndexed(segment: Segment, floorSlot: number): boolean {
    const { offsetIndex } = segment
    const slot = floorSlot + 1
    if (slot >= offsetIndex.slotCount) return false
    const position = offsetIndex.positionOfSlot(slot)
    if (position - offsetIndex.positionOfSlot(floorSlot) <= this.#readBytes) return false
    const read = this.#bytesOf(segment).read(HEADER, 0, BATCH_HEADER_BYTES, position)
    const check = checkBatchHeader(HEADER, 0, read)
    if (read < BATCH_HEADER_BYTES || (check !== 'ok' && check !== 'incomplete')) return false
    if (!isSafeHeader(HEADER, 0)) return false
    const lastOffset = offsetIndex.offsetOfSlot(slot)
    if (baseOffsetOf(HEADER, 0) > this.#offset || lastOffsetOf(HEADER, 0) !== lastOffset) {
      return false
    }
    this.#enter(segment, position, lastOffset)
    this.#neededBytes = batchSizeBytesOf(HEADER, 0)
    return true
  }

  #enter(segment: Segment, position: number, hintedOffset: number): Segment {
    this.#segment = segment
    this.#position = position
    this.#hintedOffset = hintedOffset
    this.#expectedOffset = position === 0 && this.#source.isGapless ? segment.baseOffset : -1
    this.#neededBytes = 0
    return segment
  }

  /** The run of whole batches in what was read; undefined where another read is needed first. */
  #take(
    plan: ReadPlan,
    buffer: Buffer,
    byteLength: number,
    limitOffset: number,
  ): BatchRun | undefined {
    const { segment } = plan
    if (byteLength === 0) throw this.#corrupt(segment, plan.position, 'incomplete')
    if (this.#hintedOffset >= 0 && !this.#hintHolds(buffer, byteLength)) {
      this.#source.segments.rebuildIndexes(segment)
      this.#segment = undefined
      return undefined
    }
    this.#hintedOffset = -1
    const end = this.#checkRun(plan, buffer, byteLength, limitOffset)
    if (end === ELSEWHERE) return undefined
    let start = 0
    while (start < end && lastOffsetOf(buffer, start) < this.#offset) {
      start += batchSizeBytesOf(buffer, start)
    }
    this.#position = plan.position + end
    // Nothing is left below it.
    if (end === 0 && this.#neededBytes === 0) this.#offset = limitOffset
    if (start === end) return undefined
    if (this.#source.isGapless && baseOffsetOf(buffer, start) > this.#offset) {
      throw this.#corrupt(segment, plan.position + start, 'gap')
    }
    return this.#passed({ buffer, start, end })
  }

  #hintHolds(buffer: Buffer, byteLength: number): boolean {
    if (byteLength < BATCH_HEADER_BYTES) return false
    const check = checkBatchHeader(buffer, 0, byteLength)
    const isHeader = (check === 'ok' || check === 'incomplete') && isSafeHeader(buffer, 0)
    return isHeader && lastOffsetOf(buffer, 0) === this.#hintedOffset
  }

  /** Walks and checks the batches read; returns the end of the last whole one below the limit. */
  #checkRun(plan: ReadPlan, buffer: Buffer, byteLength: number, limitOffset: number): number {
    const { offsetIndex, sizeBytes } = plan.segment
    // Somebody cut the file where less came: nothing more of the batch ever will.
    const isLastRead = byteLength < plan.byteLength || plan.position + byteLength >= sizeBytes
    let slot = offsetIndex.slotForPosition(plan.position)
    let slotIsWhole = offsetIndex.positionOfSlot(slot) === plan.position
    let at = 0
    this.#neededBytes = 0
    while (at < byteLength) {
      const position = plan.position + at
      while (slot + 1 < offsetIndex.slotCount && offsetIndex.positionOfSlot(slot + 1) <= position) {
        if (slotIsWhole) offsetIndex.markVerified(slot)
        slot += 1
        slotIsWhole = offsetIndex.positionOfSlot(slot) === position
      }
      const check = offsetIndex.isVerified(slot)
        ? checkBatchHeader(buffer, at, byteLength)
        : checkBatch(buffer, at, byteLength)
      if (check === 'incomplete' && !isLastRead) {
        if (at === 0)
          this.#neededBytes =
            byteLength < BATCH_HEADER_BYTES ? BATCH_HEADER_BYTES : batchSizeBytesOf(buffer, 0)
        break
      }
      const reason = check === 'ok' ? this.#gapAt(plan.segment, buffer, at, byteLength) : check
      if (reason !== undefined) {
        // What is whole is handed out first; the next call meets this batch again.
        if (at > 0) break
        if (this.#passOver(plan.segment, position)) return ELSEWHERE
        throw this.#corrupt(plan.segment, position, reason)
      }
      if (baseOffsetOf(buffer, at) >= limitOffset) break
      this.#expectedOffset = nextOffsetOf(buffer, at)
      at += batchSizeBytesOf(buffer, at)
    }
    // The stretch of an entry may end just where the read or the walk does.
    const end = plan.position + at
    const isLast = slot + 1 >= offsetIndex.slotCount
    const isWhole = isLast
      ? plan.segment.isSealed && end === plan.segment.sizeBytes // Nothing more comes to it.
      : offsetIndex.positionOfSlot(slot + 1) === end
    if (slotIsWhole && at > 0 && isWhole) offsetIndex.markVerified(slot)
    return at
  }

  /**
   * CRCs do not cover base offsets: they have to follow from the batch before, and to lead to an
   * end inside of the segment. Beyond it nothing follows: a reader would take that for the end.
   */
  #gapAt(segment: Segment, buffer: Buffer, at: number, end: number): 'gap' | undefined {
    if (nextOffsetOf(buffer, at) > segment.nextOffset) return 'gap'
    const baseOffset = baseOffsetOf(buffer, at)
    if (baseOffset < segment.baseOffset) return 'gap'
    if (this.#expectedOffset < 0 || baseOffset === this.#expectedOffset) return undefined
    if (baseOffset < this.#expectedOffset || this.#source.isGapless) return 'gap'
    // A gap may be compaction's; not where the next batch starts below the end of this one.
    const next = at + batchSizeBytesOf(buffer, at)
    const isNextThere = checkBatchHeader(buffer, next, end) === 'ok'
    return isNextThere && baseOffsetOf(buffer, next) < nextOffsetOf(buffer, at) ? 'gap' : undefined
  }

  /** Damage may lie before the batch that holds the offset: then the walk goes on behind it. */
  #passOver(segment: Segment, position: number): boolean {
    const leastOffset = Math.max(this.#expectedOffset, segment.baseOffset)
    const found = findBehindDamage(segment, position, leastOffset, this.#bytesOf(segment))
    if (found === undefined || found.offset > this.#offset) return false
    this.#enter(segment, found.position, -1)
    this.#expectedOffset = found.offset
    return true
  }

  #corrupt(segment: Segment, position: number, reason: string): LogError<'CORRUPT'> {
    this.#damage = { segment, position }
    const place = { file: segment.logPath, position, offset: this.#offset }
    return damagedBatch(this.#source, place, reason)
  }
}
