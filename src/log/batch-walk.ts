/**
 * BatchWalk: looks at the batches of one .log from its bytes alone: whether the one at a position
 * is whole, where behind damage a whole one starts again, where what was written ends. It decides
 * nothing and changes nothing; recovery, verification and reading do.
 */
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  type BatchCheck,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatch,
  checkBatchHeader,
  lastOffsetOf,
  MAGIC_AT,
  magicOf,
  nextOffsetOf,
} from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import { ZEROS } from '../storage/zeros.ts'
import { nextTurn } from './clock.ts'
import { LogWindow, type ReadableLog } from './log-window.ts'
import { MAX_RELATIVE_OFFSET } from './roll-policy.ts'

/** Bytes looked at before other work of the process gets its turn. */
const SLICE_BYTES = 1_048_576
/** Looked at at once for an end of content. */
const LOOK_BYTES = ZEROS.length
/** The upper half of the largest offset there is. */
const SAFE_UPPER_HALF = 0x1f_ffff

/** Which .log is walked. */
export interface WalkedLog {
  readonly log: ReadableLog
  readonly baseOffset: number
  /** Nothing is looked at behind its first `fileBytes` bytes. */
  readonly fileBytes: number
}

/** What a batch has to continue. */
export interface BatchPlace {
  /** First offset that may come next. */
  readonly nextOffset: number
  /** No offset was ever left out: a gap is damage. */
  readonly isGapless: boolean
  /**
   * Where the next segment starts: one whose first batch is at or behind that is another one, and a
   * last batch that reaches across it behind a gap has a wrong base offset. What else lies there is
   * not asked: then it may be the next segment that has a wrong name.
   */
  readonly startsBelow?: number
}

/** What is looked for behind a bad batch. */
export interface BatchSearch {
  /** Where the bad batch starts. */
  readonly position: number
  /** Least base offset of what is found. */
  readonly offset: number
  /** Where the offsets of the segment end at the latest. */
  readonly below: number
  /** Where the log is known to have ended, at least. */
  readonly knownEnd: number
}

/** A walk over one .log. */
export class BatchWalk {
  readonly fileBytes: number
  readonly #baseOffset: number
  readonly #window: LogWindow
  /** Bytes looked at in a search since other work had its turn. */
  #searchedBytes = 0

  constructor({ log, baseOffset, fileBytes }: WalkedLog) {
    this.fileBytes = fileBytes
    this.#baseOffset = baseOffset
    this.#window = new LogWindow(log, fileBytes)
  }

  /** What `at` positions point into. Borrowed until the next call. */
  get buffer(): Buffer {
    return this.#window.buffer
  }

  /** Where in `buffer` the batch at `position` is, with all its bytes where it was checked. */
  at(position: number): number {
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    return this.#window.at(position, batchSizeBytesOf(this.#window.buffer, at))
  }

  /** Whether the batch at `position` is whole and continues what came before. */
  check(position: number, place: BatchPlace): BatchCheck | 'gap' {
    const check = this.#checkWhole(position)
    if (check !== 'ok') return check
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    const baseOffset = baseOffsetOf(this.#window.buffer, at)
    // The CRC does not cover the base offset: it must be one that a batch of this place can have.
    const relative = lastOffsetOf(this.#window.buffer, at) - this.#baseOffset
    if (position === 0 && baseOffset >= (place.startsBelow ?? Infinity)) return 'gap'
    if (baseOffset < place.nextOffset || relative > MAX_RELATIVE_OFFSET) return 'gap'
    if (baseOffset === place.nextOffset) return 'ok'
    if (place.isGapless) return 'gap'
    // A gap may be compaction's; not where the next batch starts below the end of this one.
    const end = position + batchSizeBytesOf(this.#window.buffer, at)
    const nextOffset = nextOffsetOf(this.#window.buffer, at)
    const isAcross = nextOffset > (place.startsBelow ?? Infinity)
    if (isAcross && this.#checkWhole(end) !== 'ok') return 'gap'
    return this.#isContradicted(end, nextOffset) ? 'gap' : 'ok'
  }

  /**
   * Where the next whole batch of the offsets looked for starts; -1 where none does. What a bad
   * batch says of its own length is tried first: its payload may well hold something that looks
   * like a batch, a copy of another log say. It starts before `end`; what lies behind that is asked
   * all the same whether it contradicts what is found.
   */
  *findBatch(search: BatchSearch, end: number = this.fileBytes): Procedure<number> {
    const { position } = search
    const claimed = this.claimedEnd(position)
    if (this.#isFound(position, search) && this.#isConfirmed(position, search)) return position
    if (claimed < end && this.#isFound(claimed, search)) return claimed
    for (let from = position + 1; from + BATCH_HEADER_BYTES <= end;) {
      const at = this.#skipTo(from)
      if (at + BATCH_HEADER_BYTES > end) return -1
      if (this.#isFound(at, search)) return at
      this.#searchedBytes += at + 1 - from
      from = at + 1
      if (this.#searchedBytes < SLICE_BYTES) continue
      this.#searchedBytes = 0
      yield nextTurn
    }
    return -1
  }

  /**
   * The next position from `from` on whose magic is that of a batch; where the window has none, one
   * that it has not looked at. Noise is passed over at the speed of memory.
   */
  #skipTo(from: number): number {
    const at = this.#window.at(from, BATCH_HEADER_BYTES)
    const { buffer, end } = this.#window
    const unseen = Math.max(at, end - BATCH_HEADER_BYTES + 1)
    const found = buffer.indexOf(BATCH_MAGIC, at + MAGIC_AT)
    const next = found < 0 ? unseen : Math.min(found - MAGIC_AT, unseen)
    return from + next - at
  }

  /**
   * The last byte from `position` on that is not zero, plus one: where a torn write really ends.
   */
  *endOfContent(position: number): Procedure<number> {
    let end = position
    let sliceEnd = position + SLICE_BYTES
    for (let from = position; from < this.fileBytes; from += LOOK_BYTES) {
      const at = this.#window.at(from, LOOK_BYTES)
      const stop = Math.min(this.#window.end, at + LOOK_BYTES)
      const contentEnd = endOfContent(this.#window.buffer, at, stop)
      if (contentEnd > at) end = from + contentEnd - at
      if (from < sliceEnd) continue
      sliceEnd = from + SLICE_BYTES
      yield nextTurn
    }
    return end
  }

  /** A copy of the bytes at `position`. Owned. */
  copy(position: number, byteLength: number): Buffer {
    const at = this.#window.at(position, byteLength)
    const end = Math.min(at + byteLength, this.#window.end)
    return Buffer.from(this.#window.buffer.subarray(at, end))
  }

  #checkWhole(position: number): BatchCheck {
    let at = this.#window.at(position, BATCH_HEADER_BYTES)
    const { buffer, end } = this.#window
    if (end - at < BATCH_HEADER_BYTES) {
      return checkBatchHeader(buffer, at, end) === 'zeros' ? 'zeros' : 'incomplete'
    }
    const batchBytes = batchSizeBytesOf(buffer, at)
    if (batchBytes > BATCH_HEADER_BYTES && position + batchBytes <= this.fileBytes) {
      at = this.#window.at(position, batchBytes)
    }
    return checkBatch(this.#window.buffer, at, this.#window.end)
  }

  /** Where the batch at `position` ends by its own words; `position` where they make no sense. */
  claimedEnd(position: number): number {
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    if (this.#window.end - at < BATCH_HEADER_BYTES) return position
    const batchBytes = batchSizeBytesOf(this.#window.buffer, at)
    return position + (batchBytes >= BATCH_HEADER_BYTES ? batchBytes : 0)
  }

  #isFound(position: number, search: BatchSearch): boolean {
    if (position + BATCH_HEADER_BYTES > this.fileBytes) return false
    let at = this.#window.at(position, BATCH_HEADER_BYTES)
    if (magicOf(this.#window.buffer, at) !== BATCH_MAGIC) return false
    const batchBytes = batchSizeBytesOf(this.#window.buffer, at)
    if (batchBytes < BATCH_HEADER_BYTES || position + batchBytes > this.fileBytes) return false
    // The header alone refuses nearly everything that only looks like a batch, at no cost.
    if (!this.#isSoughtFor(at, search)) return false
    this.#searchedBytes += batchBytes
    if (this.#checkWhole(position) !== 'ok') return false
    at = this.#window.at(position, BATCH_HEADER_BYTES)
    return !this.#isContradicted(position + batchBytes, nextOffsetOf(this.#window.buffer, at))
  }

  #isSoughtFor(at: number, search: BatchSearch): boolean {
    const { buffer } = this.#window
    if (!isSafeHeader(buffer, at) || baseOffsetOf(buffer, at) < search.offset) return false
    const nextOffset = nextOffsetOf(buffer, at)
    return nextOffset <= search.below && nextOffset - 1 - this.#baseOffset <= MAX_RELATIVE_OFFSET
  }

  /**
   * A batch that is whole, but does not continue what came before, has lost either its neighbours
   * or its base offset. What follows it tells, or the end that the log had.
   */
  #isConfirmed(position: number, search: BatchSearch): boolean {
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    const nextOffset = nextOffsetOf(this.#window.buffer, at)
    const end = position + batchSizeBytesOf(this.#window.buffer, at)
    if (nextOffset <= search.knownEnd) return true
    return this.#checkWhole(end) === 'ok'
  }

  /**
   * A base offset, which no CRC covers, is wrong where the next whole batch starts below its end.
   */
  #isContradicted(position: number, nextOffset: number): boolean {
    if (this.#checkWhole(position) !== 'ok') return false
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    return baseOffsetOf(this.#window.buffer, at) < nextOffset
  }
}

/** True of a batch whose base offset can be read without a throw. */
export function isSafeHeader(buffer: Buffer, at: number): boolean {
  return buffer.readUInt32BE(at) <= SAFE_UPPER_HALF
}

/**
 * The last byte from `start` to `end` that is not zero, plus one; `start` where all are. At most
 * LOOK_BYTES. Zeros are passed over at the speed of memory: there are megabytes of them behind what
 * was written.
 */
function endOfContent(buffer: Buffer, start: number, end: number): number {
  if (buffer.compare(ZEROS, 0, end - start, start, end) === 0) return start
  let contentEnd = end
  while (buffer[contentEnd - 1] === 0) contentEnd -= 1
  return contentEnd
}
