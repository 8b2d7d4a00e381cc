/**
 * When an append needs a new segment: Kafka's LogSegment.shouldRoll, rule by rule in its order.
 */
import type { BatchSummary } from '../storage/segment-contents.ts'
import type { ResolvedTopicConfig } from './log-config.ts'

/** Kafka's segment.index.bytes: the entries an index may have before the segment rolls. */
const INDEX_BYTES = 10_485_760
const MAX_OFFSET_INDEX_ENTRIES = Math.floor(INDEX_BYTES / 8)
/** One slot is kept for the entry that closes the segment. */
const MAX_TIME_INDEX_ENTRIES = Math.floor(INDEX_BYTES / 12) - 1

/** Indexes name offsets by their distance from the segment's base offset, in an int32. */
export const MAX_RELATIVE_OFFSET = 0x7fff_ffff

/** What the rules ask of the active segment. */
export interface RollCandidate {
  readonly baseOffset: number
  readonly sizeBytes: number
  /** Largest timestamp of its first batch; -1 where there is none. */
  readonly firstTimestamp: number
  readonly offsetIndex: { readonly slotCount: number }
  readonly timeIndex: { readonly slotCount: number }
  hasRoomFor(sizeBytes: number): boolean
}

/**
 * True where `next` has to go into a new segment. A segment without a batch takes any size.
 * `reservedBytes` of markers must fit behind it, in the same segment; `activeForMs` is how long the
 * segment has been the active one, for segments without a timestamp.
 */
export function mustRoll(
  active: RollCandidate,
  config: Pick<ResolvedTopicConfig, 'segmentBytes' | 'segmentMs'>,
  next: Pick<BatchSummary, 'sizeBytes' | 'lastOffset' | 'maxTimestamp'>,
  reservedBytes: number,
  activeForMs: number,
): boolean {
  // A marker takes one offset: fewer than its bytes.
  const isBeyondIndex = next.lastOffset + reservedBytes - active.baseOffset > MAX_RELATIVE_OFFSET
  if (active.sizeBytes === 0) return isBeyondIndex
  if (active.sizeBytes + next.sizeBytes > config.segmentBytes) return true
  if (!active.hasRoomFor(next.sizeBytes + reservedBytes)) return true
  const ageMs = active.firstTimestamp >= 0 ? next.maxTimestamp - active.firstTimestamp : activeForMs
  return (
    ageMs > config.segmentMs ||
    active.offsetIndex.slotCount >= MAX_OFFSET_INDEX_ENTRIES ||
    active.timeIndex.slotCount >= MAX_TIME_INDEX_ENTRIES ||
    isBeyondIndex
  )
}

/** True where nothing that ends at `lastOffset` can be in it, whatever the settings say. */
export function isFull(
  active: Pick<RollCandidate, 'baseOffset' | 'hasRoomFor'>,
  sizeBytes: number,
  lastOffset: number,
): boolean {
  return !active.hasRoomFor(sizeBytes) || lastOffset - active.baseOffset > MAX_RELATIVE_OFFSET
}
