/**
 * What of a partition can be compacted, and whether it is time: Kafka's LogCleanerManager.
 *
 *   | clean              | dirty               | not yet: the active segment, what is open,
 *   log start     firstDirtyOffset    firstUncleanableOffset      not durable, too new
 *
 * Whole segments alone are compacted. Pure.
 */
import type { ResolvedTopicConfig } from '../log-config.ts'
import type { Segment } from '../../storage/segment.ts'
import type { SegmentList } from '../segment-list.ts'

/** What is asked of a log. */
export interface CleanableLog {
  readonly config: Pick<
    ResolvedTopicConfig,
    'minCleanableDirtyRatio' | 'minCompactionLagMs' | 'maxCompactionLagMs'
  >
  readonly segments: SegmentList
  readonly logStartOffset: number
  readonly lastStableOffset: number
  readonly durableOffset: number
  readonly undecided: { readonly lowestOffset: number }
}

/** When it is asked. */
export interface CleanableContext {
  /** Everything below was compacted; -1 where that is not known. */
  readonly firstDirtyOffset: number
  readonly nowMs: number
  /**
   * When a segment was written to last, for one without a timestamp, or with one of the future;
   * where absent, such a segment is as old as the log, or as new as can be.
   */
  readonly modifiedMsOf?: (segment: Segment) => number
}

/** What can be compacted. */
export interface Cleanable {
  readonly firstDirtyOffset: number
  /** Where a segment starts. */
  readonly firstUncleanableOffset: number
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** Of the bytes that can be compacted; 0 where there are none. */
  readonly dirtyRatio: number
  /** The oldest dirty segment is older than maxCompactionLagMs allows. */
  readonly isOverdue: boolean
  /** It is time. */
  readonly isDue: boolean
}

/** See the file's header. */
export function cleanableOf(log: CleanableLog, context: CleanableContext): Cleanable {
  const { config, segments, logStartOffset } = log
  const known = context.firstDirtyOffset
  const isThere = known >= logStartOffset && known <= segments.active.nextOffset
  const firstDirtyOffset = isThere ? known : logStartOffset
  const firstUncleanableOffset = uncleanableFrom(log, context, firstDirtyOffset)
  let cleanBytes = 0
  let dirtyBytes = 0
  let oldestMs = Infinity
  for (const segment of segments) {
    if (segment.baseOffset >= firstUncleanableOffset) break
    if (segment.nextOffset <= firstDirtyOffset) {
      cleanBytes += segment.sizeBytes
      continue
    }
    dirtyBytes += segment.sizeBytes
    const { firstTimestamp } = segment
    if (firstTimestamp >= 0) oldestMs = Math.min(oldestMs, firstTimestamp)
  }
  const dirtyRatio = dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes)
  const { maxCompactionLagMs } = config
  const isOverdue = maxCompactionLagMs > 0 && context.nowMs - oldestMs > maxCompactionLagMs
  const isDue = dirtyBytes > 0 && (isOverdue || dirtyRatio > config.minCleanableDirtyRatio)
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    cleanBytes,
    dirtyBytes,
    dirtyRatio,
    isOverdue,
    isDue,
  }
}

function uncleanableFrom(
  log: CleanableLog,
  context: CleanableContext,
  firstDirtyOffset: number,
): number {
  const { segments } = log
  const settledOffset = Math.min(
    log.lastStableOffset,
    log.durableOffset,
    log.undecided.lowestOffset,
    segments.active.baseOffset,
  )
  const settled = segments.floor(settledOffset).baseOffset
  const { minCompactionLagMs } = log.config
  if (minCompactionLagMs <= 0) return settled
  for (const segment of segments) {
    if (segment.baseOffset >= settled) break
    if (segment.nextOffset <= firstDirtyOffset) continue
    if (newestMsOf(segment, context) > context.nowMs - minCompactionLagMs) return segment.baseOffset
  }
  return settled
}

/** When its newest record was written, as far as that can be told. */
function newestMsOf(segment: Segment, { nowMs, modifiedMsOf }: CleanableContext): number {
  const { largestTimestamp } = segment
  const isTold = largestTimestamp >= 0 && largestTimestamp <= nowMs
  return isTold ? largestTimestamp : (modifiedMsOf?.(segment) ?? largestTimestamp)
}
