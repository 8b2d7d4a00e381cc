/**
 * SegmentList: the segments of a partition by base offset; the last one is active.
 *   I1  base offsets ascend strictly
 *   I2  there is always at least one segment
 *   I3  every segment but the last is sealed
 */
import { assert } from '../errors/invariant.ts'
import type { Segment } from '../storage/segment.ts'
import { rebuildIndexes } from './index-rebuild.ts'
import { TimestampBounds } from './timestamp-bounds.ts'

/** Segments in ascending order, with floor lookup. */
export class SegmentList {
  readonly #segments: Segment[]
  /** From the first lookup by time on, until other segments come in the place of some. */
  #bounds: TimestampBounds | undefined

  constructor(segments: readonly Segment[]) {
    assert(segments.length > 0, 'I2: a partition has a segment')
    this.#segments = [...segments]
  }

  get count(): number {
    return this.#segments.length
  }
  /** Bytes of batches in all of them. */
  get sizeBytes(): number {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.sizeBytes
    return bytes
  }
  get first(): Segment {
    return this.#at(0)
  }
  get active(): Segment {
    return this.#at(this.#segments.length - 1)
  }

  [Symbol.iterator](): IterableIterator<Segment> {
    return this.#segments[Symbol.iterator]()
  }

  /**
   * The segment with the greatest base offset at or below `offset`; the first where all are above.
   */
  floor(offset: number): Segment {
    return this.#at(this.#floorIndex(offset))
  }

  #floorIndex(offset: number): number {
    let low = 0
    // Bases below `low` are <= offset; those from `high` on above it.
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#at(middle).baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return Math.max(low - 1, 0)
  }

  /**
   * The first segment that ends behind `offset` and holds something as late as `timestamp`;
   * undefined where none does. Asks few of them what they hold, each for the first time.
   * @throws {LogError} IO where what one holds has to be found out and cannot be.
   */
  firstSince(timestamp: number, offset: number): Segment | undefined {
    const bounds = (this.#bounds ??= new TimestampBounds(this.count))
    let index = this.#floorIndex(offset)
    while ((index = bounds.firstSince(index, timestamp)) < this.count) {
      const segment = this.#at(index)
      if (segment.nextOffset > offset) {
        const { largestTimestamp } = segment
        // The active one's rises with what is appended.
        if (segment.isSealed) bounds.set(index, largestTimestamp)
        if (largestTimestamp >= timestamp) return segment
      }
      index += 1
    }
    return undefined
  }

  /**
   * Builds the indexes of one of them anew: it may hold something later than anybody said.
   * @throws {LogError} IO where its log cannot be read: it is as it was.
   */
  rebuildIndexes(segment: Segment): void {
    rebuildIndexes(segment)
    const index = this.#floorIndex(segment.baseOffset)
    if (this.#at(index) === segment) this.#bounds?.set(index, Infinity)
  }

  /** The segment behind `segment`, or undefined behind the last one and where it was removed. */
  after(segment: Segment): Segment | undefined {
    const next = this.floor(segment.nextOffset)
    if (next.baseOffset > segment.baseOffset) return next
    const index = this.#segments.indexOf(segment)
    return index < 0 ? undefined : this.#segments[index + 1]
  }

  includes(segment: Segment): boolean {
    return this.floor(segment.baseOffset) === segment
  }

  add(segment: Segment): void {
    assert(this.active.isSealed, 'I3: only the last segment is active')
    assert(segment.baseOffset > this.active.baseOffset, 'I1: base offsets ascend')
    this.#segments.push(segment)
    this.#bounds?.add()
  }

  /** Takes the `count` oldest off the list. */
  dropOldest(count: number): readonly Segment[] {
    assert(count >= 0 && count < this.#segments.length, 'I2: the active segment stays')
    this.#bounds = undefined
    return this.#segments.splice(0, count)
  }

  /** Puts `fresh` in the place of `old`, sealed segments that follow one on the other. */
  replace(old: readonly Segment[], fresh: readonly Segment[]): void {
    const [first] = old
    assert(first !== undefined, 'something is replaced')
    const at = this.#segments.indexOf(first)
    const isRun = old.every((segment, index) => this.#segments[at + index] === segment)
    assert(at >= 0 && isRun, 'what is replaced is there, one behind the other')
    assert(at + old.length < this.#segments.length, 'I3: the active segment stays')
    assert(fresh[0]?.baseOffset === first.baseOffset, 'what follows the one before stays there')
    let lowest = this.#segments[at - 1]?.baseOffset ?? -1
    for (const { baseOffset, isSealed } of fresh) {
      assert(baseOffset > lowest, 'I1: base offsets ascend')
      assert(isSealed, 'I3: only the last segment is active')
      lowest = baseOffset
    }
    const next = this.#segments[at + old.length]
    assert(next !== undefined && next.baseOffset > lowest, 'I1: base offsets ascend')
    this.#bounds = undefined
    this.#segments.splice(at, old.length, ...fresh)
  }

  /** Holds `segments` from now on, some of which it may hold already. */
  become(segments: readonly Segment[]): void {
    assert(segments.length > 0, 'I2: a partition has a segment')
    let lowest = -1
    for (const [index, { baseOffset, isSealed }] of segments.entries()) {
      assert(baseOffset > lowest, 'I1: base offsets ascend')
      assert(isSealed || index === segments.length - 1, 'I3: only the last segment is active')
      lowest = baseOffset
    }
    this.#bounds = undefined
    this.#segments.length = 0
    for (const segment of segments) this.#segments.push(segment)
  }

  /** The segment that is number `index`, the oldest being 0. */
  at(index: number): Segment {
    return this.#at(index)
  }

  #at(index: number): Segment {
    const segment = this.#segments[index]
    assert(segment !== undefined, 'I2: a partition has a segment')
    return segment
  }
}
