/**
 * RetainedBatch: what compaction leaves of one batch: some of its records, in a batch of the same
 * offsets, epochs, producer and flags (as Kafka's MemoryRecords.filterTo, KIP-534).
 *
 *   source    | header | a | b | c | d | e |     or what its payload unpacks to
 *   kept               |   b   |   | d | e |     runs of records, copied as they are
 *
 * What is kept counts from another time where the first record goes, or where a delete horizon
 * takes the place of that time: then each record gets another delta, and nothing else of it
 * changes. One is kept and used for ever. Allocates nothing per record. Borrowed until `writeTo`
 * returned: the bytes of the source.
 *   I1  runs ascend, and none is empty; no two of them touch
 *   I2  what is written reads as the records that were kept: offsets, times, fields
 */
import { assert } from '../errors/invariant.ts'
import { attributeBitsOf, type Codec, compress } from './compression.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseTimestampOf,
  hasDeleteHorizon,
  isLogAppendTime,
  maxTimestampOf,
  rewriteBatchHeader,
  sealBatch,
} from './record-batch.ts'
import { VarintReader, varlongBytes, writeVarint, writeVarlong } from './varint.ts'

/**
 * By so much a record may grow: a delta of one byte to the longest of a safe integer, and its
 * length by one byte for that.
 */
const MAX_GROWTH_BYTES = 8
const FIRST_RUNS = 64
const NO_BUFFER: Buffer = Buffer.alloc(0)

/** Where batches are written to. */
export interface BatchRoom {
  /** May be another one after `reserve`. */
  readonly buffer: Buffer
  /** Sees to so many free bytes in `buffer`, and says where they are. */
  reserve(byteLength: number): number
}

/** How what is kept is written. */
export interface RetainedForm {
  readonly codec: Codec
  /**
   * When tombstones and markers of the batch may go; -1: it gets no horizon. One that it has stays.
   */
  readonly deleteHorizonMs: number
}

/** See the file's header. */
export class RetainedBatch {
  #batch: Buffer = NO_BUFFER
  #at = 0
  /** Start and end of each run (I1). */
  #runs = new Int32Array(2 * FIRST_RUNS)
  #runsEnd = 0
  #keptBytes = 0
  #keptCount = 0
  #firstTimestamp = -1
  #leastTimestamp = -1
  #largestTimestamp = -1
  #payload: Buffer = NO_BUFFER
  readonly #varints = new VarintReader()

  /**
   * Turns to the batch at `at`, of which nothing is kept yet. Holds `buffer` until the next one.
   */
  begin(buffer: Buffer, at: number): void {
    this.#batch = buffer
    this.#at = at
    this.#runsEnd = 0
    this.#keptBytes = 0
    this.#keptCount = 0
  }

  /** Records kept so far. */
  get keptCount(): number {
    return this.#keptCount
  }

  /**
   * Keeps the record from `start` to `end` of the unpacked payload's buffer, length included.
   * Ascending. Hot.
   */
  keep(start: number, end: number, timestamp: number): void {
    const runs = this.#runs
    const runsEnd = this.#runsEnd
    if (runsEnd > 0 && runs[runsEnd - 1] === start) runs[runsEnd - 1] = end
    else this.#addRun(start, end)
    this.#keptBytes += end - start
    if (this.#keptCount === 0) {
      this.#firstTimestamp = timestamp
      this.#leastTimestamp = timestamp
      this.#largestTimestamp = timestamp
    } else if (timestamp > this.#largestTimestamp) {
      this.#largestTimestamp = timestamp
    } else if (timestamp < this.#leastTimestamp) {
      this.#leastTimestamp = timestamp
    }
    this.#keptCount += 1
  }

  /**
   * Writes the batch with what was kept, which is something, and returns its size; it starts where
   * `room` was reserved last. `payload` is what positions of records point into.
   *
   * @throws {CorruptBytes} `number` where its horizon is beyond 2^53 - 1.
   */
  writeTo(room: BatchRoom, payload: Buffer, form: RetainedForm): number {
    assert(this.#keptCount > 0, 'a batch that is written anew has records')
    const { codec } = form
    const horizonMs = this.#isInReach(form.deleteHorizonMs) ? form.deleteHorizonMs : -1
    const base = this.#baseFor(horizonMs)
    if (codec !== 'none') return this.#writeCompressed(room, payload, codec, horizonMs, base)
    const at = room.reserve(BATCH_HEADER_BYTES + this.#roomFor(base))
    const start = at + BATCH_HEADER_BYTES
    const sizeBytes = this.#copyRecords(payload, room.buffer, start, base) - at
    this.#writeHeader(room.buffer, at, sizeBytes, codec, horizonMs, base)
    return sizeBytes
  }

  #writeCompressed(
    room: BatchRoom,
    payload: Buffer,
    codec: Codec,
    horizonMs: number,
    base: number,
  ): number {
    const roomBytes = this.#roomFor(base)
    if (this.#payload.length < roomBytes) this.#payload = Buffer.allocUnsafeSlow(roomBytes)
    const end = this.#copyRecords(payload, this.#payload, 0, base)
    const compressed = compress(codec, this.#payload.subarray(0, end))
    const sizeBytes = BATCH_HEADER_BYTES + compressed.length
    const at = room.reserve(sizeBytes)
    room.buffer.set(compressed, at + BATCH_HEADER_BYTES)
    this.#writeHeader(room.buffer, at, sizeBytes, codec, horizonMs, base)
    return sizeBytes
  }

  /** False where a record would be further from the horizon than a number can say. */
  #isInReach(horizonMs: number): boolean {
    return horizonMs >= 0 && this.#canCountFrom(horizonMs)
  }

  #canCountFrom(base: number): boolean {
    return (
      Number.isSafeInteger(this.#largestTimestamp - base) &&
      Number.isSafeInteger(this.#leastTimestamp - base)
    )
  }

  /** What the records' times are to count from. */
  #baseFor(horizonMs: number): number {
    if (horizonMs >= 0) return horizonMs
    const isKept =
      hasDeleteHorizon(attributesOf(this.#batch, this.#at)) ||
      !this.#canCountFrom(this.#firstTimestamp)
    return isKept ? baseTimestampOf(this.#batch, this.#at) : this.#firstTimestamp
  }

  /** What all records have for a delta: where the log sets the time, they share it. */
  #sharedDelta(base: number): number | undefined {
    const isShared = isLogAppendTime(attributesOf(this.#batch, this.#at))
    return isShared ? maxTimestampOf(this.#batch, this.#at) - base : undefined
  }

  /** True where the deltas of the source are not those of what is written. */
  #isRebased(base: number): boolean {
    const isShared = isLogAppendTime(attributesOf(this.#batch, this.#at))
    return isShared || base !== baseTimestampOf(this.#batch, this.#at)
  }

  #roomFor(base: number): number {
    const growth = this.#isRebased(base) ? MAX_GROWTH_BYTES * this.#keptCount : 0
    return this.#keptBytes + growth
  }

  /** Puts what is kept at `at` of `target`, and returns the position behind it. */
  #copyRecords(payload: Buffer, target: Buffer, at: number, base: number): number {
    const isRebased = this.#isRebased(base)
    // What is to grow is read from where its growth cannot reach it.
    const copiedAt = isRebased ? at + MAX_GROWTH_BYTES * this.#keptCount : at
    let position = copiedAt
    const runs = this.#runs
    for (let run = 0; run < this.#runsEnd; run += 2) {
      position += payload.copy(target, position, runs[run], runs[run + 1])
    }
    return isRebased ? this.#rebase(target, copiedAt, position, at, base) : position
  }

  /**
   * Moves the records from `from` to `end` to `at`, each with the delta that it has from now on.
   */
  #rebase(buffer: Buffer, from: number, end: number, at: number, base: number): number {
    const varints = this.#varints
    const shared = this.#sharedDelta(base)
    const oldBase = shared === undefined ? baseTimestampOf(this.#batch, this.#at) : 0
    let position = at
    varints.position = from
    while (varints.position < end) {
      const bodyBytes = varints.readVarint(buffer, end)
      const bodyEnd = varints.position + bodyBytes
      varints.position += 1 // The attributes of a record are unused.
      const delta = varints.readVarlong(buffer, bodyEnd)
      const rest = varints.position
      // The time first: the two bases may be further apart than a number can say.
      const newDelta = shared ?? oldBase + delta - base
      position = writeVarint(buffer, position, 1 + varlongBytes(newDelta) + bodyEnd - rest)
      buffer[position] = 0
      position = writeVarlong(buffer, position + 1, newDelta)
      if (position !== rest) buffer.copyWithin(position, rest, bodyEnd)
      position += bodyEnd - rest
      varints.position = bodyEnd
    }
    return position
  }

  #writeHeader(
    buffer: Buffer,
    at: number,
    batchBytes: number,
    codec: Codec,
    horizonMs: number,
    baseTimestamp: number,
  ): void {
    const hadHorizon = hasDeleteHorizon(attributesOf(this.#batch, this.#at))
    rewriteBatchHeader(this.#batch, this.#at, buffer, at, {
      batchBytes,
      codecBits: attributeBitsOf(codec),
      hasDeleteHorizon: hadHorizon || horizonMs >= 0,
      baseTimestamp,
      maxTimestamp: Math.max(this.#largestTimestamp, -1),
      recordCount: this.#keptCount,
    })
    sealBatch(buffer, at)
  }

  #addRun(start: number, end: number): void {
    if (this.#runsEnd === this.#runs.length) {
      const larger = new Int32Array(2 * this.#runs.length)
      larger.set(this.#runs)
      this.#runs = larger
    }
    this.#runs[this.#runsEnd] = start
    this.#runs[this.#runsEnd + 1] = end
    this.#runsEnd += 2
  }
}
