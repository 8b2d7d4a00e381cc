/**
 * RecordBatchReader: a cursor over the records of one batch.
 *
 * One reader is kept and used for ever. It copies nothing and, for uncompressed batches, allocates
 * nothing: the fields of the current record are positions in `buffer`. A compressed batch is
 * decompressed when its first record is asked for. The caller has checked the batch (`checkBatch`)
 * and skips control batches; what a good CRC does not exclude is checked here, as Kafka does:
 *   I1  the records fill the payload exactly, each field and header inside its record
 *   I2  offsets ascend strictly and none is above the batch's last offset
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { codecOfAttributes, decompress } from './compression.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  batchSizeBytesOf,
  isControlBatch,
  isLogAppendTime,
  lastOffsetDeltaOf,
  leaderEpochOf,
  maxTimestampOf,
  recordCountOf,
} from './record-batch.ts'
import { readFieldLength, skipHeaders } from './record.ts'
import { VarintReader } from './varint.ts'

const NO_BUFFER: Buffer = Buffer.alloc(0)

/** What the header of a batch says to a reader of its records. */
export interface BatchFacts {
  readonly leaderEpoch: number
  readonly attributes: number
  readonly recordCount: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly baseTimestamp: number
  readonly appendTime: number
}

/** Reads batches record by record: `reset`, then `next` until it says false. */
export class RecordBatchReader {
  /**
   * What all positions point into. Borrowed from `reset`, or decompressed and then never reused.
   */
  buffer: Buffer = NO_BUFFER
  /** Of the batch: epoch of the writer that took it in. */
  leaderEpoch = -1
  /** Of the batch: codec and flags. */
  attributes = 0
  /** Of the batch: its record is a marker that users don't see. */
  isControl = false
  /** Of the batch: how many records it has. */
  recordCount = 0
  /** Of the batch: what its records' offsets count from. */
  baseOffset = 0

  /** Offset of the current record. */
  offset = -1
  /** Timestamp of the current record, -1 none; the append time where the log sets it. */
  timestamp = -1
  /** Where `RecordFields` start: at the length of the key. The record ends at `headersEnd`. */
  fieldsStart = 0
  keyStart = 0
  /** -1 for null. */
  keyLength = -1
  valueStart = 0
  /** -1 for null. */
  valueLength = -1
  /** Where `readHeaders` starts; one past the last header is `headersEnd`. */
  headersStart = 0
  headersEnd = 0
  headerCount = 0

  readonly #varints = new VarintReader()
  #lastOffsetDelta = 0
  #baseTimestamp = 0
  #appendTime = 0
  #hasAppendTime = false
  #maxDecompressedBytes = 0
  #isPayloadReady = false
  #remainingCount = 0
  #offsetDelta = -1
  #position = 0
  #end = 0

  /**
   * Turns to the batch at `at`, before its first record. Holds `buffer` until the next reset.
   *
   * @throws {CorruptBytes} `length` when the batch does not end in the buffer, `number` when an
   * offset or timestamp is beyond 2^53 - 1, `record` when the record count is negative.
   */
  reset(buffer: Buffer, at: number, maxDecompressedBytes: number): void {
    this.#remainingCount = 0 // Should this fail, no record of the batch before may follow.
    const sizeBytes = batchSizeBytesOf(buffer, at)
    if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > buffer.length - at) {
      throw new CorruptBytes('length', 'the batch does not end in its buffer', at)
    }
    const recordCount = recordCountOf(buffer, at)
    if (recordCount < 0) throw new CorruptBytes('record', 'the record count is negative', at)
    const attributes = attributesOf(buffer, at)
    const hasAppendTime = isLogAppendTime(attributes)
    this.recordCount = recordCount
    this.buffer = buffer
    this.leaderEpoch = leaderEpochOf(buffer, at)
    this.attributes = attributes
    this.isControl = isControlBatch(attributes)
    this.baseOffset = baseOffsetOf(buffer, at)
    this.#lastOffsetDelta = lastOffsetDeltaOf(buffer, at)
    this.#hasAppendTime = hasAppendTime
    // Where bit 6 makes it a delete horizon, the records still count from it (KIP-534).
    this.#baseTimestamp = hasAppendTime ? 0 : baseTimestampOf(buffer, at)
    this.#appendTime = hasAppendTime ? maxTimestampOf(buffer, at) : 0
    this.#maxDecompressedBytes = maxDecompressedBytes
    this.#isPayloadReady = false
    this.#remainingCount = recordCount
    this.#offsetDelta = -1
    this.#position = at + BATCH_HEADER_BYTES
    this.#end = at + sizeBytes
  }

  /** What the batch's header says, to `resume` with. */
  facts(): BatchFacts {
    return {
      leaderEpoch: this.leaderEpoch,
      attributes: this.attributes,
      recordCount: this.recordCount,
      baseOffset: this.baseOffset,
      lastOffset: this.baseOffset + this.#lastOffsetDelta,
      baseTimestamp: this.#baseTimestamp,
      appendTime: this.#appendTime,
    }
  }

  /**
   * Of the batch: not compressed, and no offset between its first and last is missing, so that its
   * record number n has the offset n behind its first.
   */
  get isPlain(): boolean {
    return this.hasEveryOffset && codecOfAttributes(this.attributes) === 'none'
  }

  /** Of the batch: no offset between its first and last is missing, as far as its header says. */
  get hasEveryOffset(): boolean {
    return this.recordCount === this.#lastOffsetDelta + 1
  }

  /**
   * Turns to record number `index` of a plain batch whose records were all read before, or of what
   * a compressed one was unpacked to, and passes `skippedCount` more over by their lengths alone.
   * The stretch from `position` to `end` of `buffer` starts with record `index` and ends with whole
   * records; no others can be read.
   *
   * @throws {CorruptBytes} `record` where these are not the bytes that were read before.
   */
  resume(
    facts: BatchFacts,
    buffer: Buffer,
    position: number,
    end: number,
    index: number,
    skippedCount: number,
  ): void {
    this.buffer = buffer
    this.leaderEpoch = facts.leaderEpoch
    this.attributes = facts.attributes
    this.isControl = false
    this.recordCount = facts.recordCount
    this.baseOffset = facts.baseOffset
    this.#lastOffsetDelta = facts.lastOffset - facts.baseOffset
    this.#hasAppendTime = isLogAppendTime(facts.attributes)
    this.#baseTimestamp = facts.baseTimestamp
    this.#appendTime = facts.appendTime
    this.#isPayloadReady = true
    this.#end = end
    this.#offsetDelta = index + skippedCount - 1
    // One more than there are: where the stretch ends the batch need not.
    this.#remainingCount = facts.recordCount - this.#offsetDelta
    let at = position
    for (let skipped = 0; skipped < skippedCount; skipped++) {
      const body = shortVarint(buffer, at)
      if (body >= 0) at += (body < 0x80 ? 1 : 2) + (body >>> 1)
      else at = this.#behindLong(buffer, at, end)
    }
    this.#position = at
  }

  #behindLong(buffer: Buffer, at: number, end: number): number {
    const varints = this.#varints
    varints.position = at
    const bodyBytes = varints.readVarint(buffer, end)
    return varints.position + Math.max(0, bodyBytes)
  }

  /** Where in `buffer` the next record starts; of a compressed batch, once one was asked for. */
  get position(): number {
    return this.#position
  }

  /** Where in `buffer` the last record of the batch ends, once the first was asked for. */
  get payloadEnd(): number {
    return this.#end
  }

  /**
   * Turns to the next record; false behind the last. Hot.
   *
   * @throws {CorruptBytes} `record` when the bytes are no record, or the payload does not end with
   * the last one; `number` for a timestamp beyond 2^53 - 1; what `decompress` throws. Positions in
   * the error are those of the payload.
   */
  next(): boolean {
    if (this.#remainingCount === 0) return false
    if (!this.#isPayloadReady) this.#openPayload()
    if (!this.#readPlain()) this.#readAny()
    this.#remainingCount -= 1
    if (this.#remainingCount === 0) this.#checkEnd()
    return true
  }

  /**
   * Reads the record most records are: none of its numbers takes more than two bytes, no headers.
   * Says false, and has changed nothing, where it is another one, or broken: `#readAny` tells.
   *
   * Nothing is compared with the end of the record before it was read: positions only grow, so that
   * whoever left the record is not at its end when all is read.
   */
  #readPlain(): boolean {
    const buffer = this.buffer
    const start = this.#position
    const body = shortVarint(buffer, start)
    let at = start + (body < 0x80 ? 1 : 2)
    const end = at + (body >>> 1)
    if ((body & 1) !== 0 || end > this.#end) return false
    const timestampDelta = shortVarint(buffer, at + 1) // Behind the attributes, which are unused.
    at += timestampDelta < 0x80 ? 2 : 3
    const offsetDelta = shortVarint(buffer, at)
    const fieldsStart = at + (offsetDelta < 0x80 ? 1 : 2)
    const key = shortVarint(buffer, fieldsStart)
    const keyStart = fieldsStart + (key < 0x80 ? 1 : 2)
    at = (key & 1) === 0 ? keyStart + (key >>> 1) : keyStart
    const value = shortVarint(buffer, at)
    const valueStart = at + (value < 0x80 ? 1 : 2)
    at = (value & 1) === 0 ? valueStart + (value >>> 1) : valueStart
    if (at + 1 !== end || buffer[at] !== 0) return false
    if ((timestampDelta | offsetDelta | key | value) < 0) return false
    const delta = (offsetDelta >>> 1) ^ -(offsetDelta & 1)
    if (delta <= this.#offsetDelta || delta > this.#lastOffsetDelta) return false

    this.fieldsStart = fieldsStart
    this.keyStart = keyStart
    this.keyLength = (key & 1) === 0 ? key >>> 1 : -1
    this.valueStart = valueStart
    this.valueLength = (value & 1) === 0 ? value >>> 1 : -1
    this.headerCount = 0
    this.headersStart = end
    this.headersEnd = end
    this.offset = this.baseOffset + delta
    this.timestamp = this.#hasAppendTime
      ? this.#appendTime
      : this.#timestampOf((timestampDelta >>> 1) ^ -(timestampDelta & 1))
    this.#offsetDelta = delta
    this.#position = end
    return true
  }

  #readAny(): void {
    const buffer = this.buffer
    const varints = this.#varints
    const start = this.#position
    varints.position = start
    const bodyBytes = varints.readVarint(buffer, this.#end)
    const end = varints.position + bodyBytes
    if (bodyBytes <= 0 || end > this.#end) throw broken('its length is wrong', start)
    varints.position += 1 // The attributes of a record are unused.
    const timestampDelta = varints.readVarlong(buffer, end)
    const offsetDelta = varints.readVarint(buffer, end)
    if (offsetDelta <= this.#offsetDelta) throw broken('its offset does not ascend', start)
    if (offsetDelta > this.#lastOffsetDelta) throw broken('its offset is above the last', start)

    this.fieldsStart = varints.position
    const keyLength = readFieldLength(varints, buffer, end)
    this.keyLength = keyLength
    this.keyStart = varints.position
    if (keyLength > 0) varints.position += keyLength
    const valueLength = readFieldLength(varints, buffer, end)
    this.valueLength = valueLength
    this.valueStart = varints.position
    if (valueLength > 0) varints.position += valueLength

    const headerCount = varints.readVarint(buffer, end)
    if (headerCount < 0) throw broken('its header count is negative', start)
    this.headerCount = headerCount
    this.headersStart = varints.position
    if (headerCount > 0) skipHeaders(varints, buffer, end, headerCount)
    this.headersEnd = end
    if (varints.position !== end) throw broken('its fields do not fill it', start)

    this.offset = this.baseOffset + offsetDelta
    this.timestamp = this.#hasAppendTime ? this.#appendTime : this.#timestampOf(timestampDelta)
    this.#offsetDelta = offsetDelta
    this.#position = end
  }

  #timestampOf(timestampDelta: number): number {
    const timestamp = this.#baseTimestamp + timestampDelta
    if (!Number.isSafeInteger(timestamp)) {
      throw new CorruptBytes('number', 'a timestamp is beyond what a double holds', this.#position)
    }
    return timestamp
  }

  #openPayload(): void {
    const codec = codecOfAttributes(this.attributes)
    if (codec !== 'none') {
      const compressed = this.buffer.subarray(this.#position, this.#end)
      this.buffer = decompress(codec, compressed, this.#maxDecompressedBytes)
      this.#position = 0
      this.#end = this.buffer.length
    }
    this.#isPayloadReady = true
  }

  /**
   * With the last record, as in Kafka: one too many in the payload is found before it is missed.
   */
  #checkEnd(): void {
    if (this.#position !== this.#end) throw broken('more bytes follow the last one', this.#position)
  }
}

/**
 * The zigzag bits of a varint of one or two bytes, as they are; -1 for a longer one, also where two
 * bytes write what fits one: so the bits tell how many bytes they took. Anything behind the end of
 * the buffer is longer.
 */
function shortVarint(buffer: Buffer, at: number): number {
  const first = buffer[at] as number // Undefined behind the end, which compares as false.
  if (first < 0x80) return first
  const second = buffer[at + 1] as number // As above.
  return second > 0 && second < 0x80 ? (first & 0x7f) | (second << 7) : -1
}

function broken(why: string, position: number): CorruptBytes {
  return new CorruptBytes('record', `a record is broken: ${why}`, position)
}
