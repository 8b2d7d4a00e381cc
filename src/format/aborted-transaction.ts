/**
 * One entry of a .txnindex file: a transaction that was aborted, by its marker in this segment.
 *
 *   byte 0         2             10            18           26                 34
 *        | version | producerId  | firstOffset | lastOffset | lastStableOffset |
 *
 *   version int16, 0; the others int64; all big-endian, as Kafka's AbortedTxn
 *
 * Entries of one file ascend by lastOffset, which is the marker's own. Readers of committed
 * records only skip a producer's batches from firstOffset up to its marker. Pure.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { readInt64, writeInt64 } from './int64.ts'

/** Size of an entry. */
export const ABORTED_TRANSACTION_BYTES = 34
const VERSION = 0
const PRODUCER_ID_AT = 2
const FIRST_OFFSET_AT = 10
const LAST_OFFSET_AT = 18
const LAST_STABLE_OFFSET_AT = 26

/** A transaction that was aborted after it had written something. */
export interface AbortedTransaction {
  readonly producerId: number
  /** Of its first record in this partition. */
  readonly firstOffset: number
  /** Of the abort marker. */
  readonly lastOffset: number
  /**
   * As of the marker: the first offset of the oldest other transaction that was still open, else
   * one past the marker. A reader that ends at or below it need not look at later entries.
   */
  readonly lastStableOffset: number
}

/** Writes `entry` at `at`, where there is room for it. */
export function writeAbortedTransaction(
  buffer: Buffer,
  at: number,
  entry: AbortedTransaction,
): void {
  buffer.writeInt16BE(VERSION, at)
  writeInt64(buffer, at + PRODUCER_ID_AT, entry.producerId)
  writeInt64(buffer, at + FIRST_OFFSET_AT, entry.firstOffset)
  writeInt64(buffer, at + LAST_OFFSET_AT, entry.lastOffset)
  writeInt64(buffer, at + LAST_STABLE_OFFSET_AT, entry.lastStableOffset)
}

/**
 * The entry at `at`, all of which lies in `buffer`. Owned.
 *
 * @throws {CorruptBytes} `version` for one that we don't know, `number` beyond 2^53.
 */
export function readAbortedTransaction(buffer: Buffer, at: number): AbortedTransaction {
  if (buffer.readInt16BE(at) !== VERSION) {
    throw new CorruptBytes('version', 'an aborted transaction of an unknown version', at)
  }
  return {
    producerId: readInt64(buffer, at + PRODUCER_ID_AT),
    firstOffset: readInt64(buffer, at + FIRST_OFFSET_AT),
    lastOffset: readInt64(buffer, at + LAST_OFFSET_AT),
    lastStableOffset: readInt64(buffer, at + LAST_STABLE_OFFSET_AT),
  }
}
