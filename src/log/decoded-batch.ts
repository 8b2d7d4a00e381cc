/**
 * DecodedBatch: the compressed batch that lookups found a record in last, as it is unpacked: the
 * next record of it costs a few lengths, where unpacking costs as much as reading all the batch.
 *
 * Its owner (record-lookup.ts) forgets it where the log's batches may be others.
 *   I1  made only of a batch that passed its CRC and has a record for each of its offsets
 *   I2  what is kept has a bound: a larger batch is unpacked for each lookup
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import type { BatchFacts, RecordBatchReader } from '../format/record-batch-reader.ts'

/** As much as a batch of the default size takes, compressed well. */
const KEPT_BYTES = 1_048_576
/** Where some of its records start: nobody walks from the first one. */
const MARKS = 64

/** See the file's header. */
export class DecodedBatch {
  readonly #facts: BatchFacts
  readonly #payload: Buffer
  readonly #recordsPerMark: number
  /** Made by the second lookup: after most first ones, at random, none follows. */
  #places: Int32Array | undefined

  private constructor(reader: RecordBatchReader) {
    this.#facts = reader.facts()
    this.#payload = reader.buffer
    this.#recordsPerMark = Math.ceil(reader.recordCount / MARKS)
  }

  /** The batch that `reader` is in, at one of its records; undefined where it is not kept. */
  static of(reader: RecordBatchReader): DecodedBatch | undefined {
    const isKept = reader.buffer.length <= KEPT_BYTES && reader.hasEveryOffset
    return isKept ? new DecodedBatch(reader) : undefined
  }

  /** Whether the record of `offset` is in it. */
  holds(offset: number): boolean {
    return offset >= this.#facts.baseOffset && offset <= this.#facts.lastOffset
  }

  /** Bytes that it unpacked to. */
  get payloadBytes(): number {
    return this.#payload.length
  }

  /** Turns `reader` to the record of `offset`; false where a record of the batch is broken. */
  show(reader: RecordBatchReader, offset: number): boolean {
    const facts = this.#facts
    const places = this.#places ?? this.#mark(reader)
    if (places === undefined) return false
    const index = offset - facts.baseOffset
    const mark = Math.floor(index / this.#recordsPerMark)
    const first = mark * this.#recordsPerMark
    const end = this.#payload.length
    reader.resume(facts, this.#payload, places[mark] ?? end, end, first, index - first)
    return reader.next() && reader.offset === offset
  }

  #mark(reader: RecordBatchReader): Int32Array | undefined {
    const { recordCount } = this.#facts
    const places = new Int32Array(Math.ceil(recordCount / this.#recordsPerMark))
    reader.resume(this.#facts, this.#payload, 0, this.#payload.length, 0, 0)
    try {
      for (let index = 0; index < recordCount; index++) {
        if (index % this.#recordsPerMark === 0) {
          places[index / this.#recordsPerMark] = reader.position
        }
        reader.next()
      }
    } catch (error) {
      if (error instanceof CorruptBytes) return undefined
      throw error
    }
    this.#places = places
    return places
  }
}
