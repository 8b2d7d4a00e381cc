/**
 * UndecidedCommits: transactions of one partition whose commit marker is there and is their
 * decision, but is not on stable storage yet: a loss of power would abort them. Readers of what is
 * durable wait before the first record of each, though that may be durable itself already.
 */

/** See the file's header. */
export class UndecidedCommits {
  readonly #firstOffsets = new Set<number>()
  readonly #onDecided: () => void

  /** `onDecided` tells readers that they may go on. */
  constructor(onDecided: () => void) {
    this.#onDecided = onDecided
  }

  /** No reader of what is durable goes beyond it; Infinity where there is none. */
  get lowestOffset(): number {
    let lowest = Infinity
    if (this.#firstOffsets.size === 0) return lowest
    for (const offset of this.#firstOffsets) lowest = Math.min(lowest, offset)
    return lowest
  }

  /** The marker of the transaction that began at `firstOffset` is about to be appended. */
  add(firstOffset: number): void {
    this.#firstOffsets.add(firstOffset)
  }

  /** It is durable, or was not appended. */
  remove(firstOffset: number): void {
    this.#firstOffsets.delete(firstOffset)
    this.#onDecided()
  }
}
