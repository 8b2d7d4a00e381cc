/**
 * SegmentScan: checks every batch of a segment's file from a known place on and admits what is
 * whole, as recovery does after an unclean stop. It decides nothing: it says where the first batch
 * is that is not whole, and where behind it a whole one starts again.
 */
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  type BatchCheck,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatch,
  lastOffsetOf,
  leaderEpochOf,
  magicOf,
  nextOffsetOf,
} from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import { summaryOfBatch } from './batch-summary.ts'
import { nextTurn } from './clock.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { LogWindow } from './log-window.ts'
import { MAX_RELATIVE_OFFSET } from './roll-policy.ts'

/** Bytes checked before other work of the process gets its turn. */
const SLICE_BYTES = 4_194_304
const LOOK_BYTES = 65_536

/** How a scan ended. */
export type ScanEnd =
  /** Nothing but whole batches, then at most zeros. */
  | { readonly kind: 'whole' }
  /** The batch at `position`, which has to hold `offset`, is not whole. */
  | {
      readonly kind: 'bad'
      readonly position: number
      readonly offset: number
      readonly reason: BatchCheck | 'gap'
    }

/** What the batches of a partition have to continue. */
export interface ScanExpectation {
  /** First offset that may come next. */
  nextOffset: number
  readonly isGapless: boolean
  readonly epochs: LeaderEpochs
}

/** What is looked for behind a bad batch. */
export interface BatchSearch {
  /** Where the bad batch starts. */
  readonly position: number
  /** Least base offset of what is found. */
  readonly offset: number
  /** Where the offsets of the segment end at the latest. */
  readonly below: number
}

/** A walk over one segment's file. */
export class SegmentScan {
  readonly #segment: Segment
  readonly #fileBytes: number
  readonly #window: LogWindow

  /** Of the first `fileBytes` bytes of the segment's file. */
  constructor(segment: Segment, fileBytes: number) {
    this.#segment = segment
    this.#fileBytes = fileBytes
    this.#window = new LogWindow(segment, fileBytes)
  }

  /** Admits whole batches from the segment's end on, until the first that is not. */
  *run(expected: ScanExpectation): Procedure<ScanEnd> {
    let sliceEnd = this.#segment.sizeBytes + SLICE_BYTES
    while (this.#segment.sizeBytes < this.#fileBytes) {
      const position = this.#segment.sizeBytes
      const reason = this.#check(position, expected)
      if (reason === 'zeros' && this.#isZeroFrom(position)) return { kind: 'whole' }
      if (reason !== 'ok') return { kind: 'bad', position, offset: expected.nextOffset, reason }
      this.#admit(position, expected)
      if (this.#segment.sizeBytes < sliceEnd) continue
      sliceEnd = this.#segment.sizeBytes + SLICE_BYTES
      yield nextTurn
    }
    return { kind: 'whole' }
  }

  /**
   * Where the next whole batch of the offsets looked for starts; -1 where none does. What a bad
   * batch says of its own length is tried first: its payload may well hold something that looks
   * like a batch, a copy of another log say.
   */
  *findBatch(search: BatchSearch): Procedure<number> {
    const { position } = search
    const claimed = this.#claimedEnd(position)
    for (const at of [position, claimed]) if (this.#isFound(at, search)) return at
    let sliceEnd = position + SLICE_BYTES
    for (let at = position + 1; at + BATCH_HEADER_BYTES <= this.#fileBytes; at++) {
      if (this.#isFound(at, search)) return at
      if (at < sliceEnd) continue
      sliceEnd = at + SLICE_BYTES
      yield nextTurn
    }
    return -1
  }

  /**
   * The last byte from `position` on that is not zero, plus one: where a torn write really ends.
   */
  endOfContent(position: number): number {
    let end = position
    for (let from = position; from < this.#fileBytes; from += LOOK_BYTES) {
      const at = this.#window.at(from, LOOK_BYTES)
      const stop = Math.min(this.#window.end, at + LOOK_BYTES)
      for (let byte = at; byte < stop; byte++) {
        if (this.#window.buffer[byte] !== 0) end = from + byte - at + 1
      }
    }
    return end
  }

  /** A copy of the bytes at `position`. Owned. */
  copy(position: number, byteLength: number): Buffer {
    const at = this.#window.at(position, byteLength)
    const end = Math.min(at + byteLength, this.#window.end)
    return Buffer.from(this.#window.buffer.subarray(at, end))
  }

  #isZeroFrom(position: number): boolean {
    return this.endOfContent(position) === position
  }

  #check(position: number, expected: ScanExpectation): BatchCheck | 'gap' {
    const check = this.#checkWhole(position)
    if (check !== 'ok') return check
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    const baseOffset = baseOffsetOf(this.#window.buffer, at)
    // The CRC does not cover the base offset: it must be one that a batch of this place can have.
    const relative = lastOffsetOf(this.#window.buffer, at) - this.#segment.baseOffset
    if (baseOffset < expected.nextOffset || relative > MAX_RELATIVE_OFFSET) return 'gap'
    return baseOffset > expected.nextOffset && expected.isGapless ? 'gap' : 'ok'
  }

  #checkWhole(position: number): BatchCheck {
    let at = this.#window.at(position, BATCH_HEADER_BYTES)
    if (this.#window.end - at < BATCH_HEADER_BYTES) {
      return this.#isZeroFrom(position) ? 'zeros' : 'incomplete'
    }
    const batchBytes = batchSizeBytesOf(this.#window.buffer, at)
    if (batchBytes > BATCH_HEADER_BYTES && position + batchBytes <= this.#fileBytes) {
      at = this.#window.at(position, batchBytes)
    }
    return checkBatch(this.#window.buffer, at, this.#window.end)
  }

  /** Where the batch at `position` ends by its own words; `position` where they make no sense. */
  #claimedEnd(position: number): number {
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    if (this.#window.end - at < BATCH_HEADER_BYTES) return position
    const batchBytes = batchSizeBytesOf(this.#window.buffer, at)
    return position + (batchBytes >= BATCH_HEADER_BYTES ? batchBytes : 0)
  }

  #isFound(position: number, search: BatchSearch): boolean {
    if (position + BATCH_HEADER_BYTES > this.#fileBytes) return false
    let at = this.#window.at(position, BATCH_HEADER_BYTES)
    if (magicOf(this.#window.buffer, at) !== BATCH_MAGIC) return false
    const batchBytes = batchSizeBytesOf(this.#window.buffer, at)
    if (batchBytes < BATCH_HEADER_BYTES || position + batchBytes > this.#fileBytes) return false
    if (this.#checkWhole(position) !== 'ok') return false
    at = this.#window.at(position, BATCH_HEADER_BYTES)
    const nextOffset = nextOffsetOf(this.#window.buffer, at)
    if (baseOffsetOf(this.#window.buffer, at) < search.offset || nextOffset > search.below) {
      return false
    }
    if (nextOffset - 1 - this.#segment.baseOffset > MAX_RELATIVE_OFFSET) return false
    return !this.#isContradicted(position + batchBytes, nextOffset)
  }

  /**
   * A base offset, which no CRC covers, is wrong where the next whole batch starts below its end.
   */
  #isContradicted(position: number, nextOffset: number): boolean {
    if (position + BATCH_HEADER_BYTES > this.#fileBytes) return false
    if (this.#checkWhole(position) !== 'ok') return false
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    return baseOffsetOf(this.#window.buffer, at) < nextOffset
  }

  #admit(position: number, expected: ScanExpectation): void {
    const at = this.#window.at(position, BATCH_HEADER_BYTES)
    const { buffer } = this.#window
    const leaderEpoch = leaderEpochOf(buffer, at)
    if (leaderEpoch > expected.epochs.latest) {
      expected.epochs.assign(leaderEpoch, baseOffsetOf(buffer, at))
    }
    this.#segment.admit(summaryOfBatch(buffer, at))
    expected.nextOffset = nextOffsetOf(buffer, at)
  }
}
