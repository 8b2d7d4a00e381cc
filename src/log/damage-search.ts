/**
 * Where a reader that met a damaged batch can go on: at the next whole batch of its segment, found
 * byte by byte. Index entries divide the way, so that no stretch is gone over twice.
 */
import { baseOffsetOf } from '../format/record-batch.ts'
import { completeProcedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import { BatchWalk } from './batch-walk.ts'
import type { ReadableLog } from './log-window.ts'

/** A whole batch. */
export interface FoundBatch {
  readonly position: number
  /** Its base offset. */
  readonly offset: number
}

/**
 * The next whole batch of `segment` from `position` on that starts at `offset` or behind it;
 * undefined where there is none. `log` is what its bytes are read from.
 */
export function findBehindDamage(
  segment: Segment,
  position: number,
  offset: number,
  log: ReadableLog,
): FoundBatch | undefined {
  const { baseOffset, offsetIndex, sizeBytes, nextOffset } = segment
  const walk = new BatchWalk({ log, baseOffset, fileBytes: sizeBytes })
  let from = position
  for (let slot = offsetIndex.slotForPosition(position) + 1; from < sizeBytes; slot++) {
    const end = slot < offsetIndex.slotCount ? offsetIndex.positionOfSlot(slot) : sizeBytes
    const search = { position: from, offset, below: nextOffset, knownEnd: nextOffset }
    const found = completeProcedure(walk.findBatch(search, end))
    if (found >= 0) return { position: found, offset: baseOffsetOf(walk.buffer, walk.at(found)) }
    from = end
  }
  return undefined
}
