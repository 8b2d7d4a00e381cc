/**
 * LayoutEpoch: counts the changes of the set of files of one partition, for readers in other
 * processes: odd while a change is under way, so whoever saw the same even number before and after
 * has seen the files of one moment.
 *
 *   I1  whoever asked to be told is told before a change begins, and once it is over, before
 *       anything else is done
 *   I2  a change adds two, also where it is made while another one is under way
 */
import { assert } from '../errors/invariant.ts'

/** See the file's header. */
export class LayoutEpoch {
  readonly #onRise: () => void
  #epoch = 0
  /** Changes that are under way. */
  #changes = 0

  /** `onRise` is told of every new number (I1). */
  constructor(onRise: () => void) {
    this.#onRise = onRise
  }

  /** Rises before and after the set of files changes. */
  get epoch(): number {
    return this.#epoch
  }

  /** Makes a change; returns what it returns. */
  change<T>(change: () => T): T {
    this.begin()
    try {
      return change()
    } finally {
      this.end()
    }
  }

  /** The files are about to change, until `end`. */
  begin(): void {
    this.#changes += 1
    if (this.#changes > 1) return // It is odd, and stays odd.
    this.#epoch += 1
    this.#onRise()
  }

  /** Ends one `begin`. */
  end(): void {
    assert(this.#changes > 0, 'what ends has begun')
    this.#changes -= 1
    this.#epoch += this.#changes > 0 ? 2 : 1
    this.#onRise()
  }
}
