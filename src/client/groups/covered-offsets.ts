/**
 * CoveredOffsets: how far transactions cover one partition of a member, what became of them, and
 * the gap behind it: markers and what compaction removed are nobody's to handle.
 *
 *   handled ... 5 | 6 7 8 | gap |            given 9: the transaction commits 9
 *                         9    11            end 11: what is handled up to here is not written
 *
 *   I1  nothing at or below `end` is committed by itself, whether the transaction commits or aborts
 *   I2  a gap right behind what is covered is covered too, until the transaction is known to be
 *       committed: passing it by itself would pass what was aborted
 */
import type { OffsetsOutcome } from '../../log/staged-offsets.ts'

const NOTHING = -1

/** The covered offsets of one partition. */
export class CoveredOffsets {
  #given = NOTHING
  #end = NOTHING
  #committedTo = NOTHING
  #isUnknown = false
  #gapFrom = NOTHING
  #gapTo = NOTHING

  /** A transaction covers everything below `offset`. */
  cover(offset: number): void {
    this.#given = Math.max(this.#given, offset)
    this.#end = Math.max(this.#end, offset)
  }

  /** There is nothing to hand over between these. */
  passGap(from: number, to: number): void {
    if (from !== this.#gapTo) this.#gapFrom = from
    this.#gapTo = to
    if (from === this.#end && this.#committedTo < from) this.#end = to // I2
  }

  /** Where what is handled up to `offset` ends: the gap behind it is part of it. */
  pastGap(offset: number): number {
    return offset === this.#gapFrom ? this.#gapTo : offset
  }

  /** How the transaction ended that covers everything below `offset`. */
  ended(offset: number, outcome: OffsetsOutcome): void {
    if (outcome === 'unknown') this.#isUnknown = true
    if (outcome !== 'committed') return
    this.#committedTo = Math.max(this.#committedTo, offset)
    if (this.#given !== NOTHING && offset >= this.#given) this.#end = offset
  }

  /** Whether `offset` is not to be committed by itself (I1). Hot. */
  has(offset: number): boolean {
    return offset <= this.#end
  }

  /** What became of the transactions that cover everything below `offset`, where that is known. */
  outcomeOf(offset: number): 'committed' | 'unknown' | undefined {
    if (offset <= this.#committedTo) return 'committed'
    return this.#isUnknown && offset <= this.#given ? 'unknown' : undefined
  }

  /** The user goes on elsewhere, or what was covered is settled otherwise. */
  clear(): void {
    this.#given = NOTHING
    this.#end = NOTHING
    this.#committedTo = NOTHING
  }
}
