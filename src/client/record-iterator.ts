/**
 * RecordIterator: the records of a range, synchronously. Ends for good at its end, at `return` and
 * after an error.
 */
import type { RecordSource } from './record-source.ts'

/** Iterates over a source that ends. */
export class RecordIterator<R> implements IterableIterator<R> {
  readonly #source: RecordSource
  readonly #check: () => void
  #isOver = false

  /** `check` throws where the log or the topic has ended: nothing is handed out any more then. */
  constructor(source: RecordSource, check: () => void) {
    this.#source = source
    this.#check = check
  }

  next(): IteratorResult<R, undefined> {
    if (this.#isOver) return { done: true, value: undefined }
    const source = this.#source
    try {
      this.#check()
      for (;;) {
        const record: unknown = source.take()
        // The caller of the constructor says what R is.
        if (record !== undefined) return { done: false, value: record as R }
        if (source.isDone || !source.load()) break
      }
    } catch (error) {
      this.#finish()
      throw error
    }
    this.#finish()
    return { done: true, value: undefined }
  }

  return(): IteratorResult<R, undefined> {
    this.#finish()
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }

  #finish(): void {
    this.#isOver = true
    this.#source.finish()
  }
}
