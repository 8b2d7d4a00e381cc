/**
 * ClosingListeners: who has to hear that a log closes: reads that wait, and whatever goes on beside
 * its calls. May be told more than once.
 */

/** See the file's header. */
export class ClosingListeners {
  readonly #listeners = new Set<() => void>()

  /** Calls `listener` when the log closes; returns how to forget it. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The log closes. */
  tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
