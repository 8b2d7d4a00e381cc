/**
 * FollowedLayout: of which set of files the list of a followed partition is, by the layout epoch
 * that its writer publishes: it rises by two with every change, and is odd while one is under way.
 * Rolls are met by whoever reads on; what they do not explain makes a look at the folder due.
 */

/** See the file's header. */
export class FollowedLayout {
  /** Undefined where any may be right: nothing is published, or nobody has looked. */
  #epoch: number | undefined
  #rollCount = 0

  /** The list is that of `epoch`, with as many rolls met before. */
  seen(epoch: number | undefined, rollCount: number): void {
    this.#epoch = epoch
    this.#rollCount = rollCount
  }

  /** The list may be that of any epoch. */
  forget(): void {
    this.#epoch = undefined
  }

  /** The count of rolls that would explain `epoch`; undefined where that is not known. */
  rollsTo(epoch: number): number | undefined {
    return this.#epoch === undefined ? undefined : this.#rollCount + ((epoch - this.#epoch) >> 1)
  }

  /** False where the folder is to be looked at, unless it is being changed. */
  isExplained(epoch: number, rollCount: number): boolean {
    return (epoch & 1) === 1 || this.rollsTo(epoch) === rollCount
  }
}
