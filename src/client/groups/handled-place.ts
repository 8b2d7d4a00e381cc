/**
 * HandledPlace: how far the user of one partition is with what was handed over: what is next to
 * commit, and where begins again what is not handled. Where it reads is its feed's to know.
 *
 *   I1  a seek with something in hand counts once more is asked for: until then handled stays
 *   I2  what a transaction covers is never committed by itself (covered-offsets.ts), not even where
 *       the user goes elsewhere before it is over: an abort must let those records come again
 * Hot: `askedAt` runs once a record.
 */
import type { OffsetsOutcome } from '../../log/staged-offsets.ts'
import { CoveredOffsets } from './covered-offsets.ts'

/** The handled place of one partition of a member. */
export class HandledPlace {
  readonly covered: CoveredOffsets = new CoveredOffsets()
  readonly #unwritten: () => void
  #handled = 0
  /** What the user committed since `handled` moved, where that was handed over. */
  #committedTo = 0
  #soughtInHand = false
  /** `handled` is not to be committed by itself, though it is not covered: see `leave`, `cover`. */
  #isSettled = false

  /** `unwritten` is called when `handled` has to be written. */
  constructor(unwritten: () => void) {
    this.#unwritten = unwritten
  }

  /** The next offset to commit. */
  get handled(): number {
    return this.#handled
  }

  /** `handled` is a transaction's to commit, or nobody's. */
  get isCovered(): boolean {
    return this.#isSettled || this.covered.has(this.#handled)
  }

  /** Where what is in hand begins again, not handled; undefined where the user sought elsewhere. */
  get beginsAgainAt(): number | undefined {
    return this.#soughtInHand ? undefined : Math.max(this.#handled, this.#committedTo)
  }

  /** The group goes on, or begins, at `offset`: nothing to write. */
  startAt(offset: number): void {
    this.#handled = offset
  }

  /** Everything below `offset` is handled. */
  moveTo(offset: number): void {
    this.#handled = this.covered.pastGap(offset)
    this.#committedTo = this.#handled
    this.#soughtInHand = false
    this.#isSettled = false
    this.#unwritten()
  }

  /** More is asked for, at `position`: what was handed over before it is handled. Hot. */
  askedAt(position: number): void {
    if (position !== this.#handled || this.#soughtInHand) this.moveTo(position)
  }

  /** The user goes on at `offset`: at once, or with the next ask if something is in hand (I1). */
  sought(offset: number, isInHand: boolean): void {
    this.leave()
    if (isInHand) this.#soughtInHand = true
    else this.moveTo(offset)
  }

  /** What is covered says nothing any more about where the user goes on. */
  leave(): void {
    this.#isSettled = this.isCovered // I2
    this.covered.clear()
  }

  /** There is nothing to hand over between these. */
  passGap(from: number, to: number, isInHand: boolean): void {
    this.covered.passGap(from, to)
    if (this.#handled === from && !isInHand) this.moveTo(to)
  }

  /** A transaction covers everything below `offset`. */
  cover(offset: number): void {
    this.covered.cover(offset)
    // As after a commit: the user goes on from there, and what was handled before is not written.
    if (this.#soughtInHand) this.#isSettled = true
  }

  /** The user committed `offset`, which was handed over. */
  committed(offset: number): void {
    this.#committedTo = offset
  }

  /** The transaction that covers everything below `offset` is committed. */
  coveredEnded(offset: number, outcome: OffsetsOutcome): void {
    this.covered.ended(offset, outcome)
    // The group's position may have been at `handled`.
    if (outcome === 'committed' && this.#handled > offset && !this.#isSettled) this.#unwritten()
  }
}
