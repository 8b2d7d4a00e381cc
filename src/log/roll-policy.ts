/**
 * When an append needs a new segment: Kafka's LogSegment.shouldRoll, rule by rule in its order.
 */
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

/** What is to be appended. */
export interface NextBatch {
  readonly sizeBytes: number
  readonly timestamp: number
  readonly lastOffset: number
  /** Of markers that must fit behind it, in the same segment. */
  readonly reservedBytes: number
  /** How long the segment has been the active one, for segments without a timestamp. */
  readonly activeForMs: number
}

/** True where `next` has to go into a new segment. A segment without a batch takes any size. */
export function mustRoll(
  active: RollCandidate,
  config: Pick<ResolvedTopicConfig, 'segmentBytes' | 'segmentMs'>,
  next: NextBatch,
): boolean {
  // A marker takes one offset: fewer than its bytes.
  const isBeyondIndex =
    next.lastOffset + next.reservedBytes - active.baseOffset > MAX_RELATIVE_OFFSET
  if (active.sizeBytes === 0) return isBeyondIndex
  if (active.sizeBytes + next.sizeBytes > config.segmentBytes) return true
  if (!active.hasRoomFor(next.sizeBytes + next.reservedBytes)) return true
  const ageMs =
    active.firstTimestamp >= 0 ? next.timestamp - active.firstTimestamp : next.activeForMs
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
