/**
 * The records of a dataset as stores without keys and values of bytes take them. Made before the
 * clock starts: whoever uses such a store has what it takes.
 *
 *   encoded   bytes of the key, bytes of the value, in one Buffer
 *   JSON      { key, value } with the value in base64
 */
import { inBatches, type BenchRecord, type Dataset } from '../runner/dataset.ts'

/** Records of a dataset, each as a T. */
export class ShapedRecords<T> {
  readonly #pool: readonly T[]

  constructor(dataset: Dataset, shape: (record: BenchRecord) => T) {
    const length = dataset.poolRecords
    this.#pool = Array.from({ length }, (_, index) => shape(dataset.at(index)))
  }

  /** Record `index`. */
  at(index: number): T {
    const record = this.#pool[index % this.#pool.length]
    if (record === undefined) throw new RangeError('records are numbered from 0')
    return record
  }

  /** As the dataset's. */
  batches(batchRecords: number): readonly (readonly T[])[] {
    return inBatches(this.#pool, batchRecords)
  }
}

/** For stores whose values are bytes. */
export function encodedRecords(dataset: Dataset): ShapedRecords<Buffer> {
  return new ShapedRecords(dataset, ({ key, value }) => Buffer.concat([Buffer.from(key), value]))
}

/** A record as JSON takes it. */
export interface JsonRecord {
  readonly key: string
  /** Base64. */
  readonly value: string
}

/** For stores whose values are JSON. */
export function jsonRecords(dataset: Dataset): ShapedRecords<JsonRecord> {
  return new ShapedRecords(dataset, ({ key, value }) => ({ key, value: value.toString('base64') }))
}

/** The bytes of a value that JSON held. */
export function bytesOf({ value }: JsonRecord): Buffer {
  return Buffer.from(value, 'base64')
}
