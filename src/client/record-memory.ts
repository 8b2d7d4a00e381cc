/**
 * RecordMemory: the private memory that records decode from, for as long as anybody keeps them.
 *
 * Readers read into the same buffer again and again. What they hand out is copied from there into
 * slabs, many records at once: a copy for each would cost more than reading it, and fresh memory
 * for each read more than both. A record that is not small gets memory of its own.
 *   I1  bytes of a slab never change once they are in it
 *   I2  whoever keeps a record, or bytes of it, keeps at most a slab alive, or that record alone
 *   I3  nobody can take a slab from other records by a transfer; long values are nobody else's
 */
import { markAsUntransferable } from 'node:worker_threads'
import type { RecordBatchReader } from '../format/record-batch-reader.ts'
import { StoredRecord, type StoredBatch } from './log-record.ts'
import type { RecordTypes } from './record-types.ts'

/** The first slab is small: many a reader looks at one record. Each next one is twice as large. */
const FIRST_SLAB_BYTES = 1_024
const LAST_SLAB_BYTES = 16_384
/** From here on a record gets memory of its own: at most an eighth of a slab is left unused. */
const ALONE_FROM_BYTES = 2_048
/** From here on a value gets memory of its own size, and its record is kept apart from it. */
const LONG_VALUE_BYTES = 4_096
const NO_BYTES = Buffer.alloc(0)

/** Where the records of one reader are copied to. */
export class RecordMemory {
  readonly #types: RecordTypes
  readonly #partition: number
  #slab: Buffer = NO_BYTES
  #usedBytes = 0
  /** What the records copied last have in common; their memory is in it. */
  #batch: StoredBatch | undefined
  /** Up to where the reader's bytes are in that memory, and how much further up they are there. */
  #copiedUntil = 0
  #shift = 0

  /** For records of `partition`, typed as `types` says. */
  constructor(types: RecordTypes, partition: number) {
    this.#types = types
    this.#partition = partition
  }

  /** To be called at each new batch, and when the reader's bytes are no longer what they were. */
  turn(): void {
    this.#batch = undefined
    this.#copiedUntil = 0
  }

  /** The record that `reader` is at, with what follows it in its batch, as far as that fits. */
  next(reader: RecordBatchReader): StoredRecord {
    let batch = this.#batch
    if (batch === undefined || reader.headersEnd > this.#copiedUntil) {
      batch = this.#copy(reader, reader.payloadEnd)
    }
    return new StoredRecord(
      batch,
      reader.offset,
      reader.timestamp - batch.baseTimestamp,
      reader.fieldsStart + this.#shift,
    )
  }

  /** The record that `reader` is at, and nothing of what is around it. */
  only(reader: RecordBatchReader): StoredRecord {
    const batch = this.#copy(reader, reader.headersEnd)
    this.turn()
    return new StoredRecord(batch, reader.offset, 0, reader.fieldsStart + this.#shift)
  }

  /** Copies from the fields of the current record on: all of them, and more up to `wantedEnd`. */
  #copy(reader: RecordBatchReader, wantedEnd: number): StoredBatch {
    if (reader.valueLength >= LONG_VALUE_BYTES) return this.#copyLong(reader)
    const { buffer, fieldsStart, headersEnd } = reader
    const memory = this.#roomFor(headersEnd - fieldsStart)
    const start = memory === this.#slab ? this.#usedBytes : 0
    const end = Math.min(wantedEnd, fieldsStart + memory.length - start)
    buffer.copy(memory, start, fieldsStart, end)
    if (memory === this.#slab) this.#usedBytes += end - fieldsStart
    this.#copiedUntil = end
    return this.#begin(reader, memory, start, null)
  }

  /** The long value apart from the rest: nothing else is kept by who keeps it. */
  #copyLong(reader: RecordBatchReader): StoredBatch {
    const { buffer, fieldsStart, keyStart, keyLength, valueStart, valueLength } = reader
    const valueEnd = valueStart + valueLength
    const longValue = Buffer.allocUnsafeSlow(valueLength)
    buffer.copy(longValue, 0, valueStart, valueEnd)
    const keyEnd = keyStart + Math.max(0, keyLength)
    const keyBytes = keyEnd - fieldsStart
    const restBytes = keyBytes + 1 + reader.headersEnd - valueEnd
    const memory = this.#roomFor(restBytes)
    const start = memory === this.#slab ? this.#usedBytes : 0
    buffer.copy(memory, start, fieldsStart, keyEnd)
    memory[start + keyBytes] = 0 // The length of the value that is not there.
    buffer.copy(memory, start + keyBytes + 1, valueEnd, reader.headersEnd)
    if (memory === this.#slab) this.#usedBytes += restBytes
    this.#copiedUntil = reader.headersEnd
    return this.#begin(reader, memory, start, longValue)
  }

  #begin(
    { fieldsStart, leaderEpoch, timestamp }: RecordBatchReader,
    memory: Buffer,
    start: number,
    longValue: Buffer | null,
  ): StoredBatch {
    const [types, partition] = [this.#types, this.#partition]
    this.#shift = start - fieldsStart
    this.#batch = { types, partition, leaderEpoch, baseTimestamp: timestamp, memory, longValue }
    return this.#batch
  }

  /** The slab, with that much room, or memory for one record that is not small. */
  #roomFor(byteLength: number): Buffer {
    if (byteLength >= ALONE_FROM_BYTES) return newMemory(byteLength)
    if (this.#slab.length - this.#usedBytes < byteLength) {
      let slabBytes = Math.max(FIRST_SLAB_BYTES, Math.min(this.#slab.length * 2, LAST_SLAB_BYTES))
      while (slabBytes < byteLength) slabBytes *= 2
      this.#slab = newMemory(slabBytes)
      this.#usedBytes = 0
    }
    return this.#slab
  }
}

/** Never of Node's pool, and not to be transferred (I3). */
function newMemory(byteLength: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(byteLength)
  markAsUntransferable(memory.buffer)
  return memory
}
