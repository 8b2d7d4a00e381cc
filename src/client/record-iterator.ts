/**
 * RecordIterator: the records of a range, synchronously. Ends for good at its end, at `return` and
 * after an error.
 */
import type { RecordSource } from './record-source.ts'

/** Iterates over a source that ends. */
export class RecordIterator<R> implements IterableIterator<R> {
  readonly #source: RecordSource

  constructor(source: RecordSource) {
    this.#source = source
  }

  next(): IteratorResult<R, undefined> {
    const source = this.#source
    try {
      for (;;) {
        const record: unknown = source.take()
        // The caller of the constructor says what R is.
        if (record !== undefined) return { done: false, value: record as R }
        if (source.isDone || !source.load()) break
      }
    } catch (error) {
      source.finish()
      throw error
    }
    source.finish()
    return { done: true, value: undefined }
  }

  return(): IteratorResult<R, undefined> {
    this.#source.finish()
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }
}
