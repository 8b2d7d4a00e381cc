/**
 * RecordBatchBuilder: records in, one batch out, encoded as they arrive.
 *
 * A batch is encoded where it will stay, in the caller's buffer. Only where it outgrows that does
 * it move, into a buffer of its own, which it doubles. Whatever buffer a finished batch is in is
 * the caller's: the builder writes into it no more.
 *
 * Invariants:
 *   I1  records lie in buffer[start + 61, position); the header is written by `finish`
 *   I2  record n has offset delta n: no gaps
 *   I3  a batch is at most 2^31 - 1 bytes
 * The caller assigns offsets and append time and computes the CRC (record-batch.ts), in that order.
 */
import { assert } from '../errors/invariant.ts'
import { attributeBitsOf, type Codec, compress } from './compression.ts'
import {
  BATCH_HEADER_BYTES,
  batchAttributes,
  type BatchHeader,
  MAX_BATCH_BYTES,
  writeBatchHeader,
} from './record-batch.ts'
import { type FlatHeaders, maxRecordBytes, recordBytes, unitCount, writeRecord } from './record.ts'

export type { FlatHeaders } from './record.ts'

/** Who wrote a batch; what it says goes into the header. */
export interface BatchProducer {
  readonly producerId: number
  readonly producerEpoch: number
  /** Sequence of the first record; -1 in a control batch. */
  readonly baseSequence: number
  readonly transactional: boolean
  /** The one record is a marker (control-record.ts). */
  readonly control?: boolean
}

/** A record to be encoded. */
export interface BatchRecord {
  readonly timestamp: number
  readonly key: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly headers: FlatHeaders | null
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

/** Nobody: a batch that no producer numbers. */
export const NO_PRODUCER: BatchProducer = {
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  transactional: false,
}

/** The least a batch that moves gets, so that small ones don't move again and again. */
const MIN_OWN_BYTES = 4_096

const NO_BUFFER: Buffer = Buffer.alloc(0)

/** Encodes one batch after the other; one builder is kept and used for ever. */
export class RecordBatchBuilder {
  #buffer: Buffer = NO_BUFFER
  #start = 0
  #position = BATCH_HEADER_BYTES
  /**
   * Bytes that may be written without asking: the end of the buffer, or 0 while no batch is open.
   */
  #limit = 0
  #isOpen = false
  #recordCount = 0
  #baseTimestamp = -1
  #maxTimestamp = -1
  #producer = NO_PRODUCER
  /** Reused: a batch of one record is as often finished as a record is added. */
  readonly #header: Writable<BatchHeader> = {
    batchBytes: 0,
    attributes: 0,
    lastOffsetDelta: 0,
    baseTimestamp: 0,
    maxTimestamp: 0,
    producerId: 0,
    producerEpoch: 0,
    baseSequence: 0,
    recordCount: 0,
  }
  /** What `add` got, for `addRecord`. */
  readonly #given: Writable<BatchRecord> = {
    timestamp: 0,
    key: null,
    value: null,
    headers: null,
  }

  /** Where the batch is. Borrowed until `finish`; then the caller's. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** Position of the batch in `buffer`. */
  get start(): number {
    return this.#start
  }

  /**
   * Size of the batch so far, header included: uncompressed before `finish`, as stored after it.
   */
  get sizeBytes(): number {
    return this.#position - this.#start
  }

  /** Records added so far. */
  get recordCount(): number {
    return this.#recordCount
  }

  /** Timestamp of the first record; -1 while there is none. */
  get baseTimestamp(): number {
    return this.#baseTimestamp
  }

  /** Largest timestamp of a record; -1 while there is none. */
  get maxTimestamp(): number {
    return this.#maxTimestamp
  }

  /** What the batch was finished with; `NO_PRODUCER` until then. */
  get producer(): BatchProducer {
    return this.#producer
  }

  /** Starts a batch at `start` in `buffer`, all of whose bytes from there on it may overwrite. */
  begin(buffer: Buffer, start: number): void {
    assert(start >= 0 && start <= buffer.length, 'a batch starts inside its buffer')
    this.#buffer = buffer
    this.#start = start
    this.#position = start + BATCH_HEADER_BYTES
    this.#limit = buffer.length
    this.#isOpen = true
    this.#recordCount = 0
    this.#baseTimestamp = -1
    this.#maxTimestamp = -1
    this.#producer = NO_PRODUCER
  }

  /**
   * Encodes one record behind the others. Nothing of the inputs is kept. Allocates nothing, unless
   * the batch has to move.
   */
  add(
    timestamp: number,
    key: string | Uint8Array | null,
    value: string | Uint8Array | null,
    headers: FlatHeaders | null,
  ): void {
    const record = this.#given
    record.timestamp = timestamp
    record.key = key
    record.value = value
    record.headers = headers
    this.addRecord(record)
    record.key = null
    record.value = null
    record.headers = null
  }

  /**
   * As `add`. Hot: a timestamp of its own, as an argument, would be 16 bytes of garbage with each
   * record wherever V8 does not inline the call.
   */
  addRecord(record: BatchRecord): void {
    const { timestamp, key, value, headers } = record
    const units = unitCount(key) + unitCount(value)
    if (this.#position + maxRecordBytes(units, headers) > this.#limit) {
      this.#makeRoom(this.sizeAfter(timestamp, key, value, headers))
    }
    const recordCount = this.#recordCount
    // Not `timestamp - (first ? timestamp : base)`: V8 would box the base for every record.
    const timestampDelta = recordCount === 0 ? 0 : timestamp - this.#baseTimestamp
    this.#position = writeRecord(
      this.#buffer,
      this.#position,
      units,
      timestampDelta,
      recordCount,
      key,
      value,
      headers,
    )
    this.#recordCount = recordCount + 1
    if (recordCount === 0) {
      this.#baseTimestamp = timestamp
      this.#maxTimestamp = timestamp
    } else if (timestamp > this.#maxTimestamp) {
      this.#maxTimestamp = timestamp
    }
  }

  /**
   * The memory it was begun in is somebody else's from now on: an open batch takes what it has
   * along, into memory of its own. A finished one is the caller's, wherever it is.
   */
  moveOut(): void {
    if (this.#isOpen) this.#moveToOwn(this.sizeBytes)
  }

  /** The size the batch would have after `add` of the same, uncompressed. Allocates nothing. */
  sizeAfter(
    timestamp: number,
    key: string | Uint8Array | null,
    value: string | Uint8Array | null,
    headers: FlatHeaders | null,
  ): number {
    const timestampDelta = this.#recordCount === 0 ? 0 : timestamp - this.#baseTimestamp
    return this.sizeBytes + recordBytes(timestampDelta, this.#recordCount, key, value, headers)
  }

  /**
   * Ends the batch: compresses the records and writes the header, with base offset 0, leader epoch
   * -1 and CRC 0. The batch may move once more when compression makes it larger than its room.
   */
  finish(codec: Codec, producer: BatchProducer = NO_PRODUCER): void {
    assert(this.#isOpen && this.#recordCount > 0, 'a batch that is finished has records')
    this.#isOpen = false
    this.#limit = 0
    this.#producer = producer
    if (codec !== 'none') this.#compress(codec)
    const header = this.#header
    header.batchBytes = this.sizeBytes
    header.attributes = batchAttributes(
      attributeBitsOf(codec),
      producer.transactional,
      producer.control ?? false,
    )
    header.lastOffsetDelta = this.#recordCount - 1
    header.baseTimestamp = this.#baseTimestamp
    header.maxTimestamp = this.#maxTimestamp
    header.producerId = producer.producerId
    header.producerEpoch = producer.producerEpoch
    header.baseSequence = producer.baseSequence
    header.recordCount = this.#recordCount
    writeBatchHeader(this.#buffer, this.#start, header)
  }

  #compress(codec: Codec): void {
    const recordsStart = this.#start + BATCH_HEADER_BYTES
    const compressed = compress(codec, this.#buffer.subarray(recordsStart, this.#position))
    const sizeBytes = BATCH_HEADER_BYTES + compressed.length
    if (this.#start + sizeBytes > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(sizeBytes)
      this.#start = 0
    }
    this.#buffer.set(compressed, this.#start + BATCH_HEADER_BYTES)
    this.#position = this.#start + sizeBytes
  }

  /**
   * Sees to `neededBytes` for the whole batch. Seldom called: the bound that `add` tries is wide.
   */
  #makeRoom(neededBytes: number): void {
    assert(this.#isOpen, 'records are added between begin and finish')
    if (this.#start + neededBytes <= this.#limit) return
    assert(neededBytes <= MAX_BATCH_BYTES, 'a batch is at most 2^31 - 1 bytes')
    this.#moveToOwn(neededBytes)
  }

  #moveToOwn(neededBytes: number): void {
    const ownBytes = Math.min(Math.max(2 * neededBytes, MIN_OWN_BYTES), MAX_BATCH_BYTES)
    const own = Buffer.allocUnsafeSlow(ownBytes)
    this.#buffer.copy(own, 0, this.#start, this.#position)
    this.#position -= this.#start
    this.#start = 0
    this.#buffer = own
    this.#limit = ownBytes
  }
}
