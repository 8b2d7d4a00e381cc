/**
 * Records that Kafka's perf tools can send: values without keys, each a line of text. A file of
 * them is what the tools read; all others get the same bytes.
 *
 *   record n   the key of the dataset's record n, then pseudo-random bytes as base64
 */
import { crc32 } from 'node:zlib'
import { Dataset, KEY_BYTES, mustEqual, touch } from '../runner/dataset.ts'

const BASE64_CHARACTERS = 4
const BASE64_BYTES = 3
const LINE_END = '\n'

/** Lines whose length is that of a dataset's key and value. */
export class LineRecords {
  /** Of each. */
  readonly lineBytes: number
  readonly #dataset: Dataset
  #lines: readonly Buffer[] = []

  /** `valueBytes` is a multiple of four. */
  constructor(valueBytes: number) {
    this.#dataset = new Dataset((valueBytes / BASE64_CHARACTERS) * BASE64_BYTES)
    this.lineBytes = KEY_BYTES + valueBytes
  }

  /** The value of record `index`. */
  at(index: number): Buffer {
    const line = this.#all()[index % this.#dataset.poolRecords]
    if (line === undefined) throw new RangeError('records are numbered from 0')
    return line
  }

  /** Bytes of `recordCount` values. */
  byteCount(recordCount: number): number {
    return recordCount * this.lineBytes
  }

  /** What a file of them holds. */
  get text(): string {
    return this.#all().join(LINE_END) + LINE_END
  }

  /** The sum of `touch` over the first `recordCount` values. */
  touched(recordCount: number): number {
    let sum = 0
    for (let index = 0; index < recordCount; index += 1) {
      const value = this.at(index)
      sum += touch(value, 0, value.length)
    }
    return sum
  }

  /** Tells lines from anything else, whatever their order. */
  checksums(): ReadonlySet<number> {
    return new Set(this.#all().map((line) => crc32(line)))
  }

  /** Made at their first use, as the dataset's: a process knows all sizes and needs one. */
  #all(): readonly Buffer[] {
    if (this.#lines.length > 0) return this.#lines
    this.#lines = Array.from({ length: this.#dataset.poolRecords }, (_, index) => {
      const { key, value } = this.#dataset.at(index)
      return Buffer.from(key + value.toString('base64'))
    })
    for (const { length } of this.#lines) mustEqual(length, this.lineBytes, 'bytes of a line')
    return this.#lines
  }
}
