/**
 * AbortedTransactions: whether a batch of a partition belongs to a transaction that was aborted.
 *
 *   | segments, oldest first                 | known: by .txnindex files and since |
 *                                        knownFrom                          the end
 *
 * Segments are looked at when something of them is asked for, the newest first, as far back as
 * their indexes are vouched for (transaction-index.ts). What lies before that is answered by the
 * markers in the log (marker-walk.ts).
 *   I1  every abort whose marker is at `knownFrom` or behind it is in memory: two numbers each
 *   I2  asked only about transactional batches below the last stable offset: each has its marker
 *   I3  transactions of one producer come one after the other: their ranges never overlap
 */
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import { MarkerWalk, type MarkerSource } from './marker-walk.ts'
import type { SegmentList } from './segment-list.ts'

/** What it needs to know of its partition. */
export interface AbortedSource extends MarkerSource {
  readonly segments: SegmentList
  readonly logStartOffset: number
}

/** After so many, those that ended below the start of the log are forgotten. */
const FORGET_EVERY = 4_096

/** See the file's header. */
export class AbortedTransactions {
  readonly #source: AbortedSource
  readonly #byProducer = new Map<number, AbortedRanges>()
  readonly #markers: MarkerWalk
  /** See I1. */
  #knownFrom = Infinity
  /** Segments from here on were looked at. */
  #loadedFrom = Infinity
  /** Nobody vouches for what lies before. */
  #isAtUnknown = false
  #addedCount = 0
  #lastProducerId = -1
  #lastRanges: AbortedRanges | undefined

  /** Of the partition `source`; reads nothing before it is asked. */
  constructor(source: AbortedSource) {
    this.#source = source
    this.#markers = new MarkerWalk(source)
  }

  /** A transaction was aborted: its entry is in its segment's index, its marker in the log. */
  added(entry: AbortedTransaction): void {
    if (this.#loadedFrom === Infinity) return
    this.#rangesOf(entry.producerId).push(entry)
    this.#addedCount += 1
    if (this.#addedCount % FORGET_EVERY === 0) this.#forgetDeleted()
  }

  /**
   * True where the producer's batch at `baseOffset` is part of an aborted transaction. Hot: once a
   * transactional batch.
   * @throws {LogError} IO where the files that tell cannot be read.
   */
  covers(producerId: number, baseOffset: number): boolean {
    if (baseOffset < this.#knownFrom) {
      this.#loadBack(baseOffset)
      if (baseOffset < this.#knownFrom) {
        const end = Math.min(this.#knownFrom, this.#source.logEndOffset)
        const isAborted = this.#markers.isAborted(producerId, baseOffset, end)
        if (isAborted !== undefined) return isAborted
      }
    }
    if (producerId !== this.#lastProducerId) {
      this.#lastRanges = this.#byProducer.get(producerId)
      this.#lastProducerId = producerId
    }
    return this.#lastRanges !== undefined && this.#lastRanges.covers(baseOffset)
  }

  /** Looks at the segments down to the one that holds `offset`, as far as they are vouched for. */
  #loadBack(offset: number): void {
    if (this.#isAtUnknown) return
    const { segments } = this.#source
    const target = segments.floor(offset).baseOffset
    const found: (readonly AbortedTransaction[])[] = []
    try {
      while (this.#loadedFrom > target && !this.#isAtUnknown) {
        const isFirst = this.#loadedFrom === Infinity
        const segment = isFirst ? segments.active : segments.floor(this.#loadedFrom - 1)
        if (segment.baseOffset >= this.#loadedFrom) break
        const { aborted, baseOffset } = segment
        const { knownFrom } = aborted
        found.push(aborted.entries.filter((entry) => entry.lastOffset >= knownFrom))
        this.#loadedFrom = baseOffset
        this.#knownFrom = Math.min(this.#knownFrom, knownFrom)
        this.#isAtUnknown = knownFrom > baseOffset
      }
    } finally {
      // Also where a file could not be read: what was found in others counts as known (I1).
      this.#addOlder(found.toReversed().flat())
    }
  }

  /** Entries in their order, all of them before those that are there. */
  #addOlder(entries: readonly AbortedTransaction[]): void {
    const older = new Map<number, AbortedRanges>()
    for (const entry of entries) rangesIn(older, entry.producerId).push(entry)
    for (const [producerId, ranges] of older) this.#rangesOf(producerId).addOlder(ranges)
  }

  #forgetDeleted(): void {
    const { logStartOffset } = this.#source
    this.#lastProducerId = -1
    for (const [producerId, ranges] of this.#byProducer) {
      if (ranges.forgetBelow(logStartOffset)) this.#byProducer.delete(producerId)
    }
  }

  #rangesOf(producerId: number): AbortedRanges {
    // What was not there when it was asked for last may be there from now on.
    if (producerId === this.#lastProducerId) this.#lastProducerId = -1
    return rangesIn(this.#byProducer, producerId)
  }
}

/** What one producer aborted, ascending (I3). */
class AbortedRanges {
  #firsts: number[] = []
  #lasts: number[] = []

  push({ firstOffset, lastOffset }: AbortedTransaction): void {
    this.#firsts.push(firstOffset)
    this.#lasts.push(lastOffset)
  }

  addOlder(older: AbortedRanges): void {
    this.#firsts = older.#firsts.concat(this.#firsts)
    this.#lasts = older.#lasts.concat(this.#lasts)
  }

  /** True where nothing is left. */
  forgetBelow(offset: number): boolean {
    const at = this.#firstBehind(offset - 1)
    if (at > 0) {
      this.#firsts = this.#firsts.slice(at)
      this.#lasts = this.#lasts.slice(at)
    }
    return this.#lasts.length === 0
  }

  covers(offset: number): boolean {
    const at = this.#firstBehind(offset)
    return at < this.#lasts.length && (this.#firsts[at] ?? 0) <= offset
  }

  /** Markers below `low` are at the offset or in front; those from `high` on behind it. */
  #firstBehind(offset: number): number {
    const lasts = this.#lasts
    let low = 0
    let high = lasts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((lasts[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

function rangesIn(map: Map<number, AbortedRanges>, producerId: number): AbortedRanges {
  const known = map.get(producerId)
  if (known !== undefined) return known
  const ranges = new AbortedRanges()
  map.set(producerId, ranges)
  return ranges
}
