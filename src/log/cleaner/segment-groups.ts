/**
 * Which segments a pass makes one of, as Kafka's Cleaner groups them: neighbours whose batches fit
 * one segment as they are, so that compacted segments don't get smaller and smaller.
 */
import { BATCH_HEADER_BYTES } from '../../format/record-batch.ts'
import type { Segment } from '../../storage/segment.ts'
import { MAX_RELATIVE_OFFSET } from '../roll-policy.ts'

/** Kafka's segment.index.bytes. */
const MAX_INDEX_BYTES = 10_485_760
/** Of the time index; those of the offset index are smaller. */
const INDEX_ENTRY_BYTES = 12

/** What bounds a segment. */
export interface GroupBounds {
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
}

/** Segments in order, in groups of at least one; those without a batch are in none. */
export function groupSegments(
  segments: readonly Segment[],
  bounds: GroupBounds,
): readonly (readonly Segment[])[] {
  const groups: Segment[][] = []
  let group: Segment[] = []
  let groupBytes = 0
  for (const segment of segments) {
    if (segment.sizeBytes === 0) {
      group = []
      continue
    }
    const bytes = groupBytes + segment.sizeBytes
    const first = group[0]
    const isMember = first !== undefined && fitsOne(first, segment, bytes, bounds)
    if (!isMember) {
      group = []
      groups.push(group)
    }
    group.push(segment)
    groupBytes = isMember ? bytes : segment.sizeBytes
  }
  return groups
}

function fitsOne(first: Segment, last: Segment, bytes: number, bounds: GroupBounds): boolean {
  const { segmentBytes, indexIntervalBytes } = bounds
  // Not more than an entry for each batch, and for each interval.
  const entries = bytes / Math.max(indexIntervalBytes, BATCH_HEADER_BYTES)
  return (
    bytes <= segmentBytes &&
    entries * INDEX_ENTRY_BYTES <= MAX_INDEX_BYTES &&
    last.nextOffset - 1 - first.baseOffset <= MAX_RELATIVE_OFFSET
  )
}
