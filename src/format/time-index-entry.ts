/**
 * One entry of a .timeindex file: the largest timestamp so far, and the last offset of the batch
 * that has it. Whatever is later than the timestamp comes after the offset.
 *
 *   byte 0            8                12
 *        | timestamp  | relativeOffset |   int64 and int32, big-endian, as Kafka's TimeIndex
 *
 * relativeOffset counts from the segment's base offset, so four bytes do. Pure: no state, no I/O.
 * Timestamps of one file ascend: the writer checks it, the search relies on it. A damaged one may
 * be beyond 2^53: it is rounded, not refused, because whoever follows an index checks the batch.
 */
import { assert } from '../errors/invariant.ts'

/** Size of an entry. */
export const TIME_INDEX_ENTRY_BYTES = 12
const TIMESTAMP_LOW_AT = 4
const RELATIVE_OFFSET_AT = 8
const TWO_POW_32 = 0x1_0000_0000
const INT32_MAX = 0x7fff_ffff

/** Writes entry number `slot` into `view`, which has room for it. Allocates nothing. */
export function writeTimeIndexEntry(
  view: DataView,
  slot: number,
  timestamp: number,
  relativeOffset: number,
): void {
  assert(Number.isSafeInteger(timestamp), 'timestamp: a safe integer')
  assert(relativeOffset >= 0 && relativeOffset <= INT32_MAX, 'relativeOffset: int32, >= 0')
  const at = slot * TIME_INDEX_ENTRY_BYTES
  view.setInt32(at, Math.floor(timestamp / TWO_POW_32))
  view.setInt32(at + TIMESTAMP_LOW_AT, timestamp | 0) // modulo 2^32: two's complement's low half
  view.setInt32(at + RELATIVE_OFFSET_AT, relativeOffset)
}

/** The timestamp of entry `slot`, in ms since 1970. */
export function readTimeIndexTimestamp(view: DataView, slot: number): number {
  const at = slot * TIME_INDEX_ENTRY_BYTES
  return view.getInt32(at) * TWO_POW_32 + view.getUint32(at + TIMESTAMP_LOW_AT)
}

/** Last offset of the batch that entry `slot` is about, from the segment's base offset on. */
export function readTimeIndexRelativeOffset(view: DataView, slot: number): number {
  return view.getInt32(slot * TIME_INDEX_ENTRY_BYTES + RELATIVE_OFFSET_AT)
}

/** The last slot whose timestamp is <= `target`; -1 if even the first is above it. */
export function floorTimeIndexSlot(view: DataView, slotCount: number, target: number): number {
  let low = 0
  let high = slotCount // Slots below `low` are <= target; slots from `high` on are above it.
  while (low < high) {
    const middle = (low + high) >>> 1
    if (readTimeIndexTimestamp(view, middle) <= target) low = middle + 1
    else high = middle
  }
  return low - 1
}
