/**
 * FollowedWatermarks: the watermarks of a partition that another process writes.
 *
 * What is taken in comes from files that anybody may have written: it is brought into order first.
 *   I1  logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset, after every call
 *   I2  none of these four goes back, but by `cutTo`. What is durable may: it ends below a commit
 *       that a power cut could undo, and such a commit may end behind what was durable before
 */
import type { PartitionWatermarks } from '../../storage/control-slot.ts'

/** What the files tell of a log that nobody publishes. */
export type FoundWatermarks = Pick<
  PartitionWatermarks,
  'logStartOffset' | 'logEndOffset' | 'durableOffset'
>

/** See the file's header. */
export class FollowedWatermarks {
  logStartOffset = 0
  lastStableOffset = 0
  highWatermark = 0
  logEndOffset = 0
  durableOffset = 0
  /** Rises with every change. */
  changeCount = 0

  /** What the writer has published. */
  take(published: Omit<PartitionWatermarks, 'layoutEpoch'>): void {
    const logEndOffset = Math.max(this.logEndOffset, published.logEndOffset)
    const highWatermark = Math.max(this.highWatermark, published.highWatermark)
    const lastStableOffset = Math.max(this.lastStableOffset, published.lastStableOffset)
    const logStartOffset = Math.max(this.logStartOffset, published.logStartOffset)
    const { durableOffset } = published
    this.#set({ logEndOffset, highWatermark, lastStableOffset, logStartOffset, durableOffset })
  }

  /** What was found in the files. How far it is stable `stableUpTo` says. */
  derive(found: FoundWatermarks): void {
    const { lastStableOffset } = this
    const logEndOffset = Math.max(this.logEndOffset, found.logEndOffset)
    const logStartOffset = Math.max(this.logStartOffset, found.logStartOffset)
    const { durableOffset } = found
    const highWatermark = logEndOffset
    this.#set({ logEndOffset, highWatermark, lastStableOffset, logStartOffset, durableOffset })
  }

  /** No transaction is open below `offset`. */
  stableUpTo(offset: number): void {
    this.#set({ ...this.#all, lastStableOffset: Math.max(this.lastStableOffset, offset) })
  }

  /** The log was cut. */
  cutTo(offset: number): void {
    this.logEndOffset = offset
    this.#set({ ...this.#all, logStartOffset: Math.min(this.logStartOffset, offset) })
    this.changeCount += 1
  }

  get #all(): Omit<PartitionWatermarks, 'layoutEpoch'> {
    const { logStartOffset, lastStableOffset, highWatermark, logEndOffset, durableOffset } = this
    return { logStartOffset, lastStableOffset, highWatermark, logEndOffset, durableOffset }
  }

  /** In order, and no further than the log goes (I1). */
  #set(to: Omit<PartitionWatermarks, 'layoutEpoch'>): void {
    const { logEndOffset } = to
    const logStartOffset = Math.min(to.logStartOffset, logEndOffset)
    const highWatermark = Math.max(Math.min(to.highWatermark, logEndOffset), logStartOffset)
    const lastStableOffset = Math.max(Math.min(to.lastStableOffset, highWatermark), logStartOffset)
    const durableOffset = Math.min(to.durableOffset, logEndOffset)
    const isSame =
      logStartOffset === this.logStartOffset &&
      lastStableOffset === this.lastStableOffset &&
      highWatermark === this.highWatermark &&
      logEndOffset === this.logEndOffset &&
      durableOffset === this.durableOffset
    if (isSame) return
    this.logStartOffset = logStartOffset
    this.lastStableOffset = lastStableOffset
    this.highWatermark = highWatermark
    this.logEndOffset = logEndOffset
    this.durableOffset = durableOffset
    this.changeCount += 1
  }
}

/** Whether both say the same of how far a partition is. */
export function isSamePublication(
  one: PartitionWatermarks,
  other: PartitionWatermarks | undefined,
): boolean {
  return (
    one.logEndOffset === other?.logEndOffset &&
    one.durableOffset === other.durableOffset &&
    one.layoutEpoch === other.layoutEpoch
  )
}
