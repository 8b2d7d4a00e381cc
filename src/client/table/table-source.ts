/**
 * TableSource: one partition as a table reads it, and whether what it has read is still what the
 * log holds.
 *
 *   I1  what was read counts for nothing once the log was cut below it, nor where compaction may
 *       have removed a tombstone before it was read: the value that it was of would stay for ever
 */
import type { ReadablePartition } from '../../log/readable-partition.ts'
import type { Segment } from '../../storage/segment.ts'
import type { RecordSource } from '../record-source.ts'

/** One partition of a table's topic. */
export class TableSource {
  readonly log: ReadablePartition
  readonly source: RecordSource
  /** Stops listening. */
  readonly release: () => void
  logStartOffset: number
  /** Up to there was read, though it may be that nothing is there. */
  readTo = 0
  /** Those there were when it began; none once it was loaded. */
  #segments: readonly Segment[]
  /** Of the log, those that are older than what was read. */
  #cutCount: number
  #rewriteCount: number
  /** When all that was visible had been read, or when it began. */
  #readAllMs: number

  constructor(source: RecordSource, release: () => void, nowMs: number) {
    const { log } = source
    this.log = log
    this.source = source
    this.release = release
    this.logStartOffset = log.logStartOffset
    this.#segments = [...log.segments]
    this.#cutCount = log.cuts.length
    this.#rewriteCount = log.rewriteCount
    this.#readAllMs = nowMs
  }

  /** Something became visible that was not read. */
  get hasMore(): boolean {
    const { source, readTo } = this
    if (source.isDone) return false
    const { visibleEnd } = source
    return !source.needsLoad || (source.nextOffset < visibleEnd && readTo < visibleEnd)
  }

  /** Where everything is read now: what compaction does from here on misses nothing of that. */
  note(nowMs: number): void {
    if (!this.hasMore) this.#readAllMs = nowMs
  }

  /** It was loaded: from here on it follows. */
  loaded(): void {
    this.#segments = []
  }

  /** The log was cut since it was looked at last. */
  get isCut(): boolean {
    return this.log.cuts.length > this.#cutCount
  }

  /**
   * Whether what was read has to be read anew (I1); looks at what happened since the last time.
   * Compaction removes a tombstone when it meets it for the second time, at least
   * `deleteRetentionMs` later, and nothing of the active segment.
   */
  isVoid(nowMs: number, deleteRetentionMs: number): boolean {
    if (this.isCut && this.#isCutShort()) return true
    const { rewriteCount, segments } = this.log
    if (rewriteCount === this.#rewriteCount) return false
    this.#rewriteCount = rewriteCount
    const isUnreadSealed = this.hasMore && segments.active.baseOffset > this.source.nextOffset
    return isUnreadSealed && nowMs - this.#readAllMs >= deleteRetentionMs
  }

  /** As `isVoid`, of what was compacted while it was loaded. */
  get hasSeenCompaction(): boolean {
    const { log } = this
    return this.#segments.some((one) => {
      return one.nextOffset > log.logStartOffset && !log.segments.includes(one)
    })
  }

  #isCutShort(): boolean {
    const { cuts } = this.log
    const lowest = Math.min(...cuts.slice(this.#cutCount))
    this.#cutCount = cuts.length
    this.readTo = Math.min(this.readTo, lowest)
    return lowest < this.source.nextOffset
  }
}
