/**
 * SegmentVerification: reads one segment as a whole and says which stretches of it are as they were
 * written, and what is wrong with the others and with its indexes. Reads only.
 *
 * Of each batch: length, magic, CRC, that it continues what came before, and that its records can
 * be decoded. A batch that is bad ends a stretch; the next one starts with the next whole batch.
 * Whether a bad end is damage, or a torn write that recovery will cut, is the partition's to say
 * (verify-partition.ts).
 */
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  lastOffsetOf,
  leaderEpochOf,
  nextOffsetOf,
} from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import { emptyContents, type SegmentContents } from '../storage/segment-contents.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import type { StorageFile } from '../storage/storage-driver.ts'
import { summaryOfBatch } from './batch-summary.ts'
import { BatchWalk } from './batch-walk.ts'
import { nextTurn } from './clock.ts'
import type { EpochAudit } from './epoch-audit.ts'
import { type AuditScope, IndexAudit, type WrongEntry } from './index-audit.ts'
import type { RecordAudit } from './record-audit.ts'
import { SectorReads, UNREADABLE } from './sector-reads.ts'
import type { TransactionAudit } from './transaction-audit.ts'

/** Bytes looked at before other work gets its turn. */
const SLICE_BYTES = 262_144

/** Whole batches in a row. */
export interface Stretch {
  readonly position: number
  end: number
  readonly firstOffset: number
  /** One past its last offset. */
  nextOffset: number
  /** Users' records in it. */
  records: number
  batches: number
  /** Of its last batch. */
  leaderEpoch: number
}

/** A place where no whole batch is that continues what came before. */
export interface BadPlace {
  readonly position: number
  /** The offset that should be there. */
  readonly offset: number
  readonly reason: string
  /** The batch is whole, and recovery takes it; its records cannot be decoded. */
  readonly isWhole: boolean
}

/** Where a log goes on behind a bad place. */
export interface Resumption {
  /** Of the next batch that can be decoded; -1 where there is none. */
  readonly position: number
  /** Its base offset, or one past the last offset passed over. */
  readonly offset: number
}

/** What the partition knows while its segments are read. */
export interface VerifyState {
  /** First offset that may come next. */
  nextOffset: number
  readonly isGapless: boolean
  /** See `BatchPlace`. */
  startsBelow: number
  readonly records: RecordAudit
  readonly epochs: EpochAudit
  readonly transactions: TransactionAudit
  /** How far in the current file, for whoever shows progress. */
  positionBytes: number
}

/** A walk over one segment. */
export class SegmentVerification {
  readonly place: SegmentPlace
  readonly fileBytes: number
  readonly path: string
  /** What is whole, in order. */
  readonly stretches: Stretch[] = []
  /** As a clean marker would have it. */
  contents: SegmentContents
  readonly #log: StorageFile
  readonly #sectors: SectorReads
  readonly #walk: BatchWalk
  readonly #indexes: readonly IndexAudit[]
  #open: Stretch | undefined

  /** Of the first `fileBytes` bytes of the .log. */
  constructor(place: SegmentPlace, fileBytes: number, scope: AuditScope) {
    this.place = place
    this.fileBytes = fileBytes
    this.path = segmentPath(place, '.log')
    this.contents = emptyContents(place.baseOffset)
    this.#log = place.driver.openFile(this.path, 'read')
    this.#sectors = new SectorReads(this.#log)
    const { baseOffset } = place
    this.#walk = new BatchWalk({ log: this.#sectors, baseOffset, fileBytes })
    this.#indexes = [
      new IndexAudit(place, '.index', scope),
      new IndexAudit(place, '.timeindex', scope),
    ]
  }

  /**
   * Goes on at `position` until the first place that is bad; undefined at the end of the file or of
   * what was ever written to it.
   */
  *run(from: number, state: VerifyState): Procedure<BadPlace | undefined> {
    let position = from
    let sliceEnd = from + SLICE_BYTES
    this.#open = undefined
    while (position < this.fileBytes) {
      const reason = this.#walk.check(position, state)
      if (reason === 'zeros' && (yield* this.#isUnused(position))) break
      if (reason !== 'ok') return this.#bad(position, state, reason)
      const at = this.#walk.at(position)
      const flaw = state.records.flawOf(this.#walk.buffer, at)
      if (flaw !== undefined)
        return { position, offset: state.nextOffset, reason: flaw, isWhole: true }
      this.#take(position, at, state)
      position += batchSizeBytesOf(this.#walk.buffer, at)
      state.positionBytes = position
      if (position < sliceEnd) continue
      sliceEnd = position + SLICE_BYTES
      yield nextTurn
    }
    return undefined
  }

  /** Where the log goes on behind a bad place. */
  *findBehind(
    bad: BadPlace,
    limits: { readonly below: number; readonly knownEnd: number },
    state: VerifyState,
  ): Procedure<Resumption> {
    let { position, offset } = bad
    for (;;) {
      const found = yield* this.#walk.findBatch({ position, offset, ...limits })
      if (found < 0) return { position: -1, offset }
      const at = this.#walk.at(found)
      const { buffer } = this.#walk
      if (state.records.flawOf(buffer, at) === undefined) {
        return { position: found, offset: baseOffsetOf(buffer, at) }
      }
      // A batch with a sound CRC that cannot be decoded: it ends where it says.
      offset = nextOffsetOf(buffer, at)
      position = found + batchSizeBytesOf(buffer, at)
    }
  }

  /** Where what was written from `position` on ends: zeros behind it are room for more. */
  endOfContent(position: number): Procedure<number> {
    return this.#walk.endOfContent(position)
  }

  /** What is wrong with the indexes, every batch having been seen. Releases all files. */
  finish(): readonly WrongEntry[] {
    this.#log.close()
    return this.#indexes.map((index) => index.finish()).filter((wrong) => wrong !== undefined)
  }

  /** Releases all files. */
  close(): void {
    this.#log.close()
    for (const index of this.#indexes) index.close()
  }

  /** Nothing was ever written from there on: zeros that were read, not sectors that cannot be. */
  *#isUnused(position: number): Procedure<boolean> {
    const isZeros = (yield* this.#walk.endOfContent(position)) === position
    return isZeros && !this.#sectors.isLost(position, this.fileBytes)
  }

  #bad(position: number, { nextOffset: offset }: VerifyState, reason: string): BadPlace {
    const end = Math.max(position + BATCH_HEADER_BYTES, this.#walk.claimedEnd(position))
    const why = this.#sectors.isLost(position, end) ? UNREADABLE : reason
    return { position, offset, reason: why, isWhole: false }
  }

  #take(position: number, at: number, state: VerifyState): void {
    const { buffer } = this.#walk
    const baseOffset = baseOffsetOf(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    const leaderEpoch = leaderEpochOf(buffer, at)
    const { sizeBytes, maxTimestamp, recordCount } = summaryOfBatch(buffer, at)
    const [end, nextOffset] = [position + sizeBytes, lastOffset + 1]
    state.transactions.see(buffer, at)
    for (const index of this.#indexes) {
      index.see({ position, baseOffset, lastOffset, maxTimestamp })
    }
    state.epochs.see({
      leaderEpoch,
      startOffset: baseOffset,
      nextOffset,
      file: this.path,
      position,
      end,
    })
    this.#addToContents({ position, end, nextOffset, lastOffset, maxTimestamp, recordCount })
    state.nextOffset = nextOffset
    if (this.#open === undefined) {
      const counts = { records: recordCount, batches: 1 }
      this.#open = { position, end, firstOffset: baseOffset, nextOffset, leaderEpoch, ...counts }
      this.stretches.push(this.#open)
      return
    }
    this.#open.end = end
    this.#open.nextOffset = nextOffset
    this.#open.leaderEpoch = leaderEpoch
    this.#open.records += recordCount
    this.#open.batches += 1
  }

  #addToContents(batch: {
    readonly position: number
    readonly end: number
    readonly nextOffset: number
    readonly lastOffset: number
    readonly maxTimestamp: number
    readonly recordCount: number
  }): void {
    const { maxTimestamp } = batch
    const before = this.contents
    const isLargest = maxTimestamp > before.largestTimestamp
    this.contents = {
      ...before,
      sizeBytes: batch.end,
      nextOffset: batch.nextOffset,
      largestTimestamp: isLargest ? maxTimestamp : before.largestTimestamp,
      offsetOfLargestTimestamp: isLargest ? batch.lastOffset : before.offsetOfLargestTimestamp,
      firstTimestamp: batch.position === 0 ? maxTimestamp : before.firstTimestamp,
      recordCount: (before.recordCount ?? 0) + batch.recordCount,
    }
  }
}
