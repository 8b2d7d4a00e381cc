/**
 * TransactionAudit: holds the .txnindex files of a partition against the markers in its batches,
 * all of it read once, side by side.
 *
 *   I1  an entry is wrong that says what no abort can have been, or that names an offset where
 *       something else is than the abort marker of its producer
 *   I2  an aborted transaction is missing whose records and whose marker are both there
 *
 * Entries may be about records and markers that compaction or damage took away: these are left
 * alone. So is what was never synced for certain: recovery builds it anew, as with other indexes.
 * Producers whose transactions are open are forgotten at damage: a marker may have been in it.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import {
  ABORTED_TRANSACTION_BYTES,
  type AbortedTransaction,
  readAbortedTransaction,
  writeAbortedTransaction,
} from '../format/aborted-transaction.ts'
import { controlTypeOf } from '../format/control-record.ts'
import {
  attributesOf,
  baseOffsetOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  producerIdOf,
  recordCountOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import { readWholeFile, UNREADABLE_FILE } from '../storage/checkpoint-file.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import type { AuditScope, WrongEntry } from './index-audit.ts'
import { UNREADABLE } from './sector-reads.ts'

const MARKER_BYTES = 1_024
/** More have their transactions open only where everything is garbage. */
const MAX_OPEN_TRANSACTIONS = 1_000_000

/** A .txnindex that is wrong, and what it has to be. */
export interface WrongTransactions {
  readonly wrong: WrongEntry
  /** In their order; without any there has to be no file. */
  readonly aborted: readonly AbortedTransaction[]
}

/** See the file's header. */
export class TransactionAudit {
  readonly #reader = new RecordBatchReader()
  /** First offset of the transaction that each producer has open. */
  readonly #open = new Map<number, number>()
  /** Of this segment: aborted here, by their markers. */
  #aborted: AbortedTransaction[] = []
  #entries: readonly AbortedTransaction[] = []
  #entry = 0
  /** Numbers of entries that name an offset of something else. */
  readonly #contradicted = new Set<number>()

  /** The batches of another segment come next. */
  begin(place: SegmentPlace): void {
    this.#aborted = []
    this.#entry = 0
    this.#contradicted.clear()
    const bytes = readWholeFile(place.driver, segmentPath(place, '.txnindex'))
    this.#entries = bytes === undefined ? [] : entriesIn(bytes)
  }

  /** The next whole batch, whose records can be decoded. */
  see(buffer: Buffer, at: number): void {
    const attributes = attributesOf(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    const isAbort = isControlBatch(attributes) && this.#seeMarker(buffer, at, lastOffset)
    if (!isControlBatch(attributes) && isTransactionalBatch(attributes)) this.#begun(buffer, at)
    this.#compare(buffer, at, isAbort)
  }

  /** What comes next does not follow on what was seen. */
  forgetOpen(): void {
    this.#open.clear()
  }

  /** Every batch of the segment was seen; what is wrong with its file, if anything is. */
  finish(
    place: SegmentPlace,
    scope: AuditScope,
    nextOffset: number,
  ): WrongTransactions | undefined {
    const file = segmentPath(place, '.txnindex')
    const isJudged = (offset: number): boolean => scope.isSynced || offset < scope.below
    const missing = missingIn(this.#entries, this.#aborted).some((one) => isJudged(one.lastOffset))
    const status = place.driver.status(file)
    const refuse = (position: number, reason: string): WrongTransactions => {
      const bytes = Math.max(0, (status?.sizeBytes ?? 0) - position)
      return {
        wrong: { file, position, bytes, reason },
        aborted: this.#rebuilt(place.baseOffset, nextOffset),
      }
    }
    if (status === undefined) return missing ? refuse(0, 'missing') : undefined
    if (status.kind !== 'file') return refuse(0, 'it is not a file')
    if (readWholeFile(place.driver, file) === UNREADABLE_FILE && status.sizeBytes > 0) {
      return refuse(0, UNREADABLE)
    }
    const slot = this.#firstWrong(place.baseOffset, nextOffset, isJudged)
    if (slot >= 0) return refuse(slot * ABORTED_TRANSACTION_BYTES, 'an entry names no abort')
    const isWhole = status.sizeBytes === this.#entries.length * ABORTED_TRANSACTION_BYTES
    if (!isWhole && scope.isSynced) {
      return refuse(this.#entries.length * ABORTED_TRANSACTION_BYTES, 'it cannot be read')
    }
    return missing ? refuse(status.sizeBytes, 'an aborted transaction is missing') : undefined
  }

  /** The entries that stay, which may be about what is gone from the log, and those missing. */
  #rebuilt(baseOffset: number, nextOffset: number): readonly AbortedTransaction[] {
    const kept = new Map<number, AbortedTransaction>()
    for (const [slot, entry] of this.#entries.entries()) {
      if (this.#contradicted.has(slot) || !isOfSegment(entry, baseOffset, nextOffset)) continue
      if (!kept.has(entry.lastOffset)) kept.set(entry.lastOffset, entry)
    }
    for (const one of missingIn([...kept.values()], this.#aborted)) kept.set(one.lastOffset, one)
    return [...kept.values()].sort((a, b) => a.lastOffset - b.lastOffset)
  }

  #firstWrong(
    baseOffset: number,
    nextOffset: number,
    isJudged: (offset: number) => boolean,
  ): number {
    let lastOffset = -1
    for (const [slot, entry] of this.#entries.entries()) {
      if (!isJudged(Math.max(entry.lastOffset, 0))) return -1
      const isRight = !this.#contradicted.has(slot) && isOfSegment(entry, baseOffset, nextOffset)
      if (!isRight || entry.lastOffset <= lastOffset) return slot
      lastOffset = entry.lastOffset
    }
    return -1
  }

  /** I1: entries and batches ascend alike. */
  #compare(buffer: Buffer, at: number, isAbort: boolean): void {
    const baseOffset = baseOffsetOf(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    for (; this.#entry < this.#entries.length; this.#entry += 1) {
      const entry = this.#entries[this.#entry]
      if (entry === undefined || entry.lastOffset > lastOffset) return
      // Where compaction or repair left only its offsets, a batch says nothing any more.
      if (entry.lastOffset < baseOffset || recordCountOf(buffer, at) === 0) continue
      const isRight = isAbort && entry.producerId === producerIdOf(buffer, at)
      if (!isRight) this.#contradicted.add(this.#entry)
    }
  }

  #begun(buffer: Buffer, at: number): void {
    const producerId = producerIdOf(buffer, at)
    if (this.#open.has(producerId) || this.#open.size >= MAX_OPEN_TRANSACTIONS) return
    if (recordCountOf(buffer, at) > 0) this.#open.set(producerId, baseOffsetOf(buffer, at))
  }

  /** True for an abort; what it ends is noted where its records were seen (I2). */
  #seeMarker(buffer: Buffer, at: number, lastOffset: number): boolean {
    const type = this.#markerType(buffer, at)
    if (type === 'other') return false
    const producerId = producerIdOf(buffer, at)
    const firstOffset = this.#open.get(producerId)
    this.#open.delete(producerId)
    if (type === 'commit') return false
    if (firstOffset === undefined) return true
    let lastStableOffset = lastOffset + 1
    for (const offset of this.#open.values()) lastStableOffset = Math.min(lastStableOffset, offset)
    this.#aborted.push({ producerId, firstOffset, lastOffset, lastStableOffset })
    return true
  }

  #markerType(buffer: Buffer, at: number): ReturnType<typeof controlTypeOf> {
    try {
      this.#reader.reset(buffer, at, MARKER_BYTES)
      if (!this.#reader.next()) return 'other'
      const { keyStart, keyLength } = this.#reader
      return controlTypeOf(this.#reader.buffer, keyStart, keyLength)
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error
      return 'other'
    }
  }
}

/** The bytes of a .txnindex. Owned. */
export function encodeAborted(aborted: readonly AbortedTransaction[]): Buffer {
  const bytes = Buffer.alloc(aborted.length * ABORTED_TRANSACTION_BYTES)
  for (const [slot, entry] of aborted.entries()) {
    writeAbortedTransaction(bytes, slot * ABORTED_TRANSACTION_BYTES, entry)
  }
  return bytes
}

/** As many entries from the start as can be read. */
function entriesIn(bytes: Buffer): readonly AbortedTransaction[] {
  const entries: AbortedTransaction[] = []
  try {
    for (let at = 0; at + ABORTED_TRANSACTION_BYTES <= bytes.length;) {
      entries.push(readAbortedTransaction(bytes, at))
      at += ABORTED_TRANSACTION_BYTES
    }
  } catch (error) {
    if (!(error instanceof CorruptBytes)) throw error
  }
  return entries
}

/**
 * Whether an entry can be one of the segment that ends before `nextOffset`. Its marker may be
 * behind that, where the end of the segment is lost: then its records are still aborted ones.
 */
function isOfSegment(entry: AbortedTransaction, baseOffset: number, nextOffset: number): boolean {
  const { producerId, firstOffset, lastOffset, lastStableOffset } = entry
  const isRange = firstOffset >= 0 && firstOffset < lastOffset
  const isStable = lastStableOffset >= 0 && lastStableOffset <= lastOffset + 1
  return (
    producerId >= 0 && isRange && isStable && lastOffset >= baseOffset && firstOffset < nextOffset
  )
}

/** Those of `aborted` that no entry tells: its records may have begun before those still there. */
function missingIn(
  entries: readonly AbortedTransaction[],
  aborted: readonly AbortedTransaction[],
): readonly AbortedTransaction[] {
  const byMarker = new Map(entries.map((entry) => [entry.lastOffset, entry]))
  return aborted.filter((one) => {
    const entry = byMarker.get(one.lastOffset)
    if (entry === undefined || entry.producerId !== one.producerId) return true
    return entry.firstOffset > one.firstOffset || entry.lastStableOffset > one.lastStableOffset
  })
}
