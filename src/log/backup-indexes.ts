/**
 * The indexes of the segment that a backup ends in, as they were when its log ended there: the
 * entries of batches that the copy has. What is missing behind them is made by whoever opens it.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { ABORTED_TRANSACTION_BYTES, readAbortedTransaction } from '../format/aborted-transaction.ts'
import { OFFSET_INDEX_ENTRY_BYTES, readIndexPosition } from '../format/offset-index-entry.ts'
import { readTimeIndexRelativeOffset, TIME_INDEX_ENTRY_BYTES } from '../format/time-index-entry.ts'

/** The indexes of a segment. */
export const INDEX_KINDS = ['.index', '.timeindex', '.txnindex'] as const

/** One of them. */
export type IndexKind = (typeof INDEX_KINDS)[number]

/** Where a segment ended. */
export interface IndexedEnd {
  readonly baseOffset: number
  readonly sizeBytes: number
  readonly logEndOffset: number
}

/** The first bytes of an index, without what is about batches behind `end`. */
export function cutIndex(kind: IndexKind, bytes: Buffer, end: IndexedEnd): Buffer {
  const slotBytes = SLOT_BYTES[kind]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let slots = Math.floor(bytes.length / slotBytes)
  while (slots > 0 && !isBefore(kind, { bytes, view }, slots - 1, end)) slots -= 1
  return bytes.subarray(0, slots * slotBytes)
}

const SLOT_BYTES: Readonly<Record<IndexKind, number>> = {
  '.index': OFFSET_INDEX_ENTRY_BYTES,
  '.timeindex': TIME_INDEX_ENTRY_BYTES,
  '.txnindex': ABORTED_TRANSACTION_BYTES,
}

function isBefore(
  kind: IndexKind,
  { bytes, view }: { readonly bytes: Buffer; readonly view: DataView },
  slot: number,
  { baseOffset, sizeBytes, logEndOffset }: IndexedEnd,
): boolean {
  if (kind === '.index') return readIndexPosition(view, slot) < sizeBytes
  if (kind === '.timeindex') {
    return baseOffset + readTimeIndexRelativeOffset(view, slot) < logEndOffset
  }
  try {
    const { lastOffset } = readAbortedTransaction(bytes, slot * ABORTED_TRANSACTION_BYTES)
    return lastOffset < logEndOffset
  } catch (error) {
    if (error instanceof CorruptBytes) return false
    throw error
  }
}
