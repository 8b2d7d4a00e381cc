/**
 * One entry of an .index file: the last offset of a batch, and where in the .log it starts.
 *
 *   byte 0                4                8
 *        | relativeOffset |    position    |   int32 each, big-endian, as Kafka's OffsetIndex
 *
 * relativeOffset counts from the segment's base offset, so four bytes do. Pure: no state, no I/O.
 * Entries of one file ascend in both fields: the writer checks it, the search relies on it.
 */
import { assert } from '../errors/invariant.ts'

/** Size of an entry. */
export const OFFSET_INDEX_ENTRY_BYTES = 8
const POSITION_AT = 4
const INT32_MAX = 0x7fff_ffff

/** Writes entry number `slot` into `view`, which has room for it. Allocates nothing. */
export function writeOffsetIndexEntry(
  view: DataView,
  slot: number,
  relativeOffset: number,
  position: number,
): void {
  assert(relativeOffset >= 0 && relativeOffset <= INT32_MAX, 'relativeOffset: int32, >= 0')
  assert(position >= 0 && position <= INT32_MAX, 'position: int32, >= 0')
  view.setInt32(slot * OFFSET_INDEX_ENTRY_BYTES, relativeOffset)
  view.setInt32(slot * OFFSET_INDEX_ENTRY_BYTES + POSITION_AT, position)
}

/** Last offset of the batch that entry `slot` is about, from the segment's base offset on. */
export function readIndexRelativeOffset(view: DataView, slot: number): number {
  return view.getInt32(slot * OFFSET_INDEX_ENTRY_BYTES)
}

/** Where in the .log the batch starts that entry `slot` is about. */
export function readIndexPosition(view: DataView, slot: number): number {
  return view.getInt32(slot * OFFSET_INDEX_ENTRY_BYTES + POSITION_AT)
}

/** The last slot whose relativeOffset is <= `target`; -1 if even the first is above it. */
export function floorOffsetIndexSlot(view: DataView, slotCount: number, target: number): number {
  let low = 0
  let high = slotCount // Slots below `low` are <= target; slots from `high` on are above it.
  while (low < high) {
    const middle = (low + high) >>> 1
    if (view.getInt32(middle * OFFSET_INDEX_ENTRY_BYTES) <= target) low = middle + 1
    else high = middle
  }
  return low - 1
}
