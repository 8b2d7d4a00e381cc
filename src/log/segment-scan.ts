/**
 * SegmentScan: checks every batch of a segment's file from a known place on and admits what is
 * whole, as recovery does after an unclean stop. It decides nothing: it says where the first batch
 * is that is not whole, and where behind it a whole one starts again (batch-walk.ts).
 */
import {
  BATCH_HEADER_BYTES,
  type BatchCheck,
  baseOffsetOf,
  leaderEpochOf,
  nextOffsetOf,
} from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import { type BatchSearch, BatchWalk } from './batch-walk.ts'
import { summaryOfBatch } from './batch-summary.ts'
import { nextTurn } from './clock.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { SectorReads, UNREADABLE } from './sector-reads.ts'

/** Bytes checked before other work of the process gets its turn. */
const SLICE_BYTES = 4_194_304

/** How a scan ended. */
export type ScanEnd =
  /** Nothing but whole batches, then at most zeros. */
  | { readonly kind: 'whole' }
  /** The batch at `position`, which has to hold `offset`, is not whole. */
  | {
      readonly kind: 'bad'
      readonly position: number
      readonly offset: number
      readonly reason: BatchCheck | 'gap' | typeof UNREADABLE
    }

/** What the batches of a partition have to continue. */
export interface ScanExpectation {
  /** First offset that may come next. */
  nextOffset: number
  readonly isGapless: boolean
  /** See `BatchPlace`. */
  startsBelow: number
  readonly epochs: LeaderEpochs
}

/** A walk over one segment's file. */
export class SegmentScan {
  readonly #segment: Segment
  readonly #walk: BatchWalk
  readonly #sectors: SectorReads

  /** Of the first `fileBytes` bytes of the segment's file. */
  constructor(segment: Segment, fileBytes: number) {
    this.#segment = segment
    this.#sectors = new SectorReads(segment)
    const { baseOffset } = segment
    this.#walk = new BatchWalk({ log: this.#sectors, baseOffset, fileBytes })
  }

  /** Admits whole batches from the segment's end on, until the first that is not. */
  *run(expected: ScanExpectation): Procedure<ScanEnd> {
    let sliceEnd = this.#segment.sizeBytes + SLICE_BYTES
    while (this.#segment.sizeBytes < this.#walk.fileBytes) {
      const position = this.#segment.sizeBytes
      const reason = this.#walk.check(position, expected)
      if (reason === 'zeros' && (yield* this.#isUnused(position))) return { kind: 'whole' }
      if (reason !== 'ok') return this.#bad(position, expected.nextOffset, reason)
      this.#admit(position, expected)
      if (this.#segment.sizeBytes < sliceEnd) continue
      sliceEnd = this.#segment.sizeBytes + SLICE_BYTES
      yield nextTurn
    }
    return { kind: 'whole' }
  }

  /** What the device could not give back of these bytes, as far as it was asked. */
  isLost(position: number, end: number): boolean {
    return this.#sectors.isLost(position, end)
  }

  /** As `BatchWalk.findBatch`. */
  findBatch(search: BatchSearch): Procedure<number> {
    return this.#walk.findBatch(search)
  }

  /** As `BatchWalk.endOfContent`. */
  endOfContent(position: number): Procedure<number> {
    return this.#walk.endOfContent(position)
  }

  /** A copy of the bytes at `position`. Owned. */
  copy(position: number, byteLength: number): Buffer {
    return this.#walk.copy(position, byteLength)
  }

  /** Nothing was ever written from there on: zeros that were read, not sectors that cannot be. */
  *#isUnused(position: number): Procedure<boolean> {
    const isZeros = (yield* this.endOfContent(position)) === position
    return isZeros && !this.isLost(position, this.#walk.fileBytes)
  }

  #bad(position: number, offset: number, found: BatchCheck | 'gap'): ScanEnd {
    const end = position + BATCH_HEADER_BYTES
    const isLost = this.isLost(position, Math.max(end, this.#walk.claimedEnd(position)))
    return { kind: 'bad', position, offset, reason: isLost ? UNREADABLE : found }
  }

  #admit(position: number, expected: ScanExpectation): void {
    const at = this.#walk.at(position)
    const { buffer } = this.#walk
    const leaderEpoch = leaderEpochOf(buffer, at)
    if (leaderEpoch > expected.epochs.latest) {
      expected.epochs.assign(leaderEpoch, baseOffsetOf(buffer, at))
    }
    this.#segment.admit(summaryOfBatch(buffer, at))
    expected.nextOffset = nextOffsetOf(buffer, at)
  }
}
