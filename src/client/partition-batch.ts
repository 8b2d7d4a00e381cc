/**
 * PartitionBatch: records of one partition on their way together. Encoded as they come, appended
 * once, then told about: the one place that knows which of its records somebody waits for.
 *
 *   filling -> appended or failed -> settled
 *   I1  who waits is told in offset order, and once
 *   I2  a failed record that nobody waits for is not forgotten: `settle` returns its error
 * When to do what is the batcher's to say.
 */
import { assert } from '../errors/invariant.ts'
import type { Codec } from '../format/compression.ts'
import type { RecordBatchBuilder } from '../format/record-batch-builder.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { appendInParts, type BatchPart } from './batch-parts.ts'
import type { BatchWriter } from './batch-writer.ts'
import type { BuilderPool } from './builder-pool.ts'
import type { PreparedRecord } from './record-input.ts'
import type { PendingSend } from './send-result.ts'

/** One batch of one partition. */
export class PartitionBatch {
  /** The linger timer; undefined where none runs. */
  timer: unknown
  /** Bytes of the records, as encoded before compression. */
  recordBytes = 0
  /** Its place among the batches that are not settled; the batcher's. */
  slot = -1
  readonly #log: PartitionLog
  readonly #codec: Codec
  readonly #builder: RecordBatchBuilder
  readonly #builders: BuilderPool
  /** Who waits, in record order. */
  readonly #sends: PendingSend[] = []
  #parts: readonly BatchPart[] | undefined
  /** Who waits for this batch to be settled, whatever becomes of it; null for nobody. */
  onSettled: (() => void)[] | null = null

  constructor(log: PartitionLog, codec: Codec, builders: BuilderPool) {
    this.#log = log
    this.#codec = codec
    this.#builders = builders
    this.#builder = builders.take()
  }

  /** Size of the batch so far, before compression. */
  get sizeBytes(): number {
    return this.#builder.sizeBytes
  }

  /** Size of the batch with one more record, before compression. */
  sizeAfter(record: PreparedRecord): number {
    return this.#builder.sizeAfter(record.timestamp, record.key, record.value, record.headers)
  }

  /** Encodes one more record, of which nothing is kept, and returns its bytes. Hot. */
  add(record: PreparedRecord, send: PendingSend | null): number {
    const builder = this.#builder
    const sizeBytes = builder.sizeBytes
    const index = builder.recordCount
    builder.addRecord(record)
    if (send !== null) {
      send.index = index
      send.timestamp = record.timestamp
      this.#sends.push(send)
    }
    const recordBytes = builder.sizeBytes - sizeBytes
    this.recordBytes += recordBytes
    return recordBytes
  }

  /** Appends the records as `writer`; what fails is told by `settle`. */
  append(writer: BatchWriter): void {
    this.#close(appendInParts(this.#log, this.#builder, this.#codec, this.#builders, writer))
  }

  /** Gives the records up, before they were appended. */
  fail(error: unknown): void {
    const endIndex = this.#builder.recordCount
    this.#close([{ startIndex: 0, endIndex, baseOffset: -1, appendTime: -1, error }])
  }

  /** One past the last offset appended; −1 where nothing was. */
  get endOffset(): number {
    const part = this.#parts?.findLast((one) => one.error === undefined)
    return part === undefined ? -1 : part.baseOffset + part.endIndex - part.startIndex
  }

  /**
   * Tells who waits. `syncError` is why what was appended could not be made durable. Returns the
   * first error of a record that nobody waits for; undefined where there is none.
   */
  settle(syncError: unknown): unknown {
    assert(this.#parts !== undefined, 'a batch is appended or failed before it is settled')
    let unseen: unknown
    let told = 0
    for (const part of this.#parts) {
      const error = part.error === undefined ? syncError : part.error
      const first = told
      told = this.#tell(part, first, error)
      const seenCount = told - first
      const recordCount = part.endIndex - part.startIndex
      if (error !== undefined && seenCount < recordCount) unseen ??= error
    }
    return unseen
  }

  /** Tells who waits for records of `part`, from the send number `first` on; returns the next. */
  #tell(part: BatchPart, first: number, error: unknown): number {
    const sends = this.#sends
    const { topic, partition } = this.#log
    const { appendTime, endIndex } = part
    const indexToOffset = part.baseOffset - part.startIndex
    let number = first
    for (;;) {
      const send = sends[number]
      if (send === undefined || send.index >= endIndex) return number
      if (error === undefined) {
        const timestamp = appendTime < 0 ? send.timestamp : appendTime
        send.acknowledged({ topic, partition, offset: indexToOffset + send.index, timestamp })
      } else {
        send.failed(error)
      }
      number += 1
    }
  }

  #close(parts: readonly BatchPart[]): void {
    assert(this.#parts === undefined, 'a batch is appended or failed once')
    this.#parts = parts
    this.#builders.give(this.#builder)
  }
}
