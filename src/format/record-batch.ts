/**
 * The header of a record batch, format v2 (magic 2): where its fields are, whether it is whole,
 * and the fields that a log assigns when it takes the batch in.
 *
 *    0 baseOffset int64             23 lastOffsetDelta int32      53 baseSequence int32
 *    8 batchLength int32            27 baseTimestamp int64        57 recordCount int32
 *   12 leaderEpoch int32            35 maxTimestamp int64         61 records, compressed
 *   16 magic int8 = 2               43 producerId int64              as one stream where
 *   17 crc uint32                   51 producerEpoch int16           attributes say so
 *   21 attributes int16
 *
 * batchLength counts the bytes after itself. The CRC covers everything from attributes on, so that
 * baseOffset and leaderEpoch can be assigned without computing it again (KIP-98, KIP-534).
 */
import { assert } from '../errors/invariant.ts'
import { crc32c } from './crc32c.ts'
import { readInt64, writeInt32, writeInt64 } from './int64.ts'

/** Bytes of a batch before its records. */
export const BATCH_HEADER_BYTES = 61
/** Bytes of a batch up to and including batchLength, which does not count them. */
export const LOG_OVERHEAD_BYTES = 12
/** The largest batch: its size and every position in it are an int32. */
export const MAX_BATCH_BYTES = 0x7fff_ffff
/** The magic number of the one batch format that streambed reads and writes. */
export const BATCH_MAGIC = 2

const BATCH_LENGTH_AT = 8
const LEADER_EPOCH_AT = 12
/** Where in a batch the byte is that says its version, whichever version it has. */
export const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const PRODUCER_EPOCH_AT = 51
const BASE_SEQUENCE_AT = 53
const RECORD_COUNT_AT = 57

/** Up to and including magic the layout is that of every version: enough to refuse a batch. */
const COMMON_HEADER_BYTES = 17

/** The upper half of the largest safe int64. */
const SAFE_UPPER_HALF = 0x1f_ffff

const LOG_APPEND_TIME_BIT = 0x08
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20
const DELETE_HORIZON_BIT = 0x40
/** What compaction never changes. */
const KEPT_BITS = LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT

const FIRST_HEADER = firstHeader()

/** What a look at the bytes of a batch says. */
export type BatchCheck = 'ok' | 'incomplete' | 'zeros' | 'length' | 'magic' | 'crc' | 'header'

/** Every header field that is written with the batch; the log assigns the others. */
export interface BatchHeader {
  /** Of the whole batch, header included. */
  readonly batchBytes: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Offset of the first record as first written; compaction keeps it. */
export function baseOffsetOf(buffer: Buffer, at: number): number {
  return readInt64(buffer, at)
}

/** Size of the whole batch, header included. */
export function batchSizeBytesOf(buffer: Buffer, at: number): number {
  return LOG_OVERHEAD_BYTES + buffer.readInt32BE(at + BATCH_LENGTH_AT)
}

/** Epoch of the writer that took the batch in; -1 unknown. */
export function leaderEpochOf(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + LEADER_EPOCH_AT)
}

/** Version of the batch format. */
export function magicOf(buffer: Buffer, at: number): number {
  return buffer.readInt8(at + MAGIC_AT)
}

/** The stored checksum, a uint32. */
export function crcOf(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at + CRC_AT)
}

/** Codec and flags; see `codecOfAttributes` and the predicates below. */
export function attributesOf(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + ATTRIBUTES_AT)
}

/** Last offset minus base offset; compaction keeps it even when that record is gone. */
export function lastOffsetDeltaOf(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + LAST_OFFSET_DELTA_AT)
}

/** Offset of the last record as first written. */
export function lastOffsetOf(buffer: Buffer, at: number): number {
  return baseOffsetOf(buffer, at) + lastOffsetDeltaOf(buffer, at)
}

/** The offset after this batch. */
export function nextOffsetOf(buffer: Buffer, at: number): number {
  return lastOffsetOf(buffer, at) + 1
}

/**
 * What the records' timestamps count from, -1 none; the delete horizon where `hasDeleteHorizon`.
 */
export function baseTimestampOf(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + BASE_TIMESTAMP_AT)
}

/** Largest timestamp of the records, or the append time where `isLogAppendTime`. */
export function maxTimestampOf(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + MAX_TIMESTAMP_AT)
}

/** Id of the idempotent producer; -1 none. */
export function producerIdOf(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + PRODUCER_ID_AT)
}

/** Epoch of the idempotent producer; -1 none. */
export function producerEpochOf(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + PRODUCER_EPOCH_AT)
}

/** Sequence of the first record; -1 none, as in every control batch. */
export function baseSequenceOf(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + BASE_SEQUENCE_AT)
}

/** How many records are left in it: after compaction fewer than offsets, possibly none. */
export function recordCountOf(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + RECORD_COUNT_AT)
}

/** Holds a commit or abort marker (or another control record) instead of users' records. */
export function isControlBatch(attributes: number): boolean {
  return (attributes & CONTROL_BIT) !== 0
}

/** Belongs to a transaction. */
export function isTransactionalBatch(attributes: number): boolean {
  return (attributes & TRANSACTIONAL_BIT) !== 0
}

/** The log, not the producer, set the time: every record's timestamp is the batch's largest. */
export function isLogAppendTime(attributes: number): boolean {
  return (attributes & LOG_APPEND_TIME_BIT) !== 0
}

/** baseTimestamp says when compaction may drop tombstones and markers (KIP-534). */
export function hasDeleteHorizon(attributes: number): boolean {
  return (attributes & DELETE_HORIZON_BIT) !== 0
}

/** The attribute bits of a batch as it leaves a producer or a coordinator. */
export function batchAttributes(
  codecBits: number,
  transactional: boolean,
  control: boolean,
): number {
  return codecBits | (transactional ? TRANSACTIONAL_BIT : 0) | (control ? CONTROL_BIT : 0)
}

/**
 * Everything about the batch at `at` but its CRC and records. Reads header bytes only.
 *
 * 'zeros' is preallocated space: all bytes up to `end` (at most a header) are zero. 'incomplete' is
 * a batch that claims more than there is up to `end`, also where nothing is left. 'header' is a
 * field that no batch has: offsets outside 0 … 2^53 - 1, a negative count or offset delta. Numbers
 * that the CRC covers and that are merely too large for us are no damage: reading them throws.
 */
export function checkBatchHeader(buffer: Buffer, at: number, end: number): BatchCheck {
  const available = end - at
  if (isZeroFrom(buffer, at, Math.min(end, at + BATCH_HEADER_BYTES))) return 'zeros'
  if (available < COMMON_HEADER_BYTES) return 'incomplete'
  const sizeBytes = batchSizeBytesOf(buffer, at)
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > MAX_BATCH_BYTES) return 'length'
  if (magicOf(buffer, at) !== BATCH_MAGIC) return 'magic'
  if (sizeBytes > available) return 'incomplete'
  return isHeaderPlausible(buffer, at) ? 'ok' : 'header'
}

/** Header and CRC of the batch at `at`: what must hold before its fields and records are read. */
export function checkBatch(buffer: Buffer, at: number, end: number): BatchCheck {
  const check = checkBatchHeader(buffer, at, end)
  if (check !== 'ok') return check
  return computeCrc(buffer, at) === crcOf(buffer, at) ? 'ok' : 'crc'
}

/** Gives the batch its place in the log. Both fields are outside the CRC. */
export function assignOffsets(
  buffer: Buffer,
  at: number,
  baseOffset: number,
  leaderEpoch: number,
): void {
  assert(baseOffset >= 0, 'the base offset of a stored batch is not negative')
  writeInt64(buffer, at, baseOffset)
  writeInt32(buffer, at + LEADER_EPOCH_AT, leaderEpoch)
}

/**
 * Makes `timestampMs` the timestamp of every record (LogAppendTime). What the producer wrote stays
 * below it, as in Kafka. The CRC has to be computed afterwards: `sealBatch`.
 */
export function assignAppendTime(buffer: Buffer, at: number, timestampMs: number): void {
  buffer.writeInt16BE(attributesOf(buffer, at) | LOG_APPEND_TIME_BIT, at + ATTRIBUTES_AT)
  writeInt64(buffer, at + MAX_TIMESTAMP_AT, timestampMs)
}

/** Computes and stores the CRC: after it only `assignOffsets` may change the batch. */
export function sealBatch(buffer: Buffer, at: number): void {
  writeInt32(buffer, at + CRC_AT, computeCrc(buffer, at))
}

/** Writes all 61 bytes; base offset 0, leader epoch -1 and CRC 0 until the log assigns them. */
export function writeBatchHeader(buffer: Buffer, at: number, header: BatchHeader): void {
  assert(header.batchBytes >= BATCH_HEADER_BYTES, 'a batch is not smaller than its header')
  assert(header.batchBytes <= MAX_BATCH_BYTES, 'a batch is at most 2^31 - 1 bytes')
  buffer.set(FIRST_HEADER, at)
  writeInt32(buffer, at + BATCH_LENGTH_AT, header.batchBytes - LOG_OVERHEAD_BYTES)
  buffer[at + ATTRIBUTES_AT] = header.attributes >>> 8
  buffer[at + ATTRIBUTES_AT + 1] = header.attributes
  writeInt32(buffer, at + LAST_OFFSET_DELTA_AT, header.lastOffsetDelta)
  writeInt64(buffer, at + BASE_TIMESTAMP_AT, header.baseTimestamp)
  writeInt64(buffer, at + MAX_TIMESTAMP_AT, header.maxTimestamp)
  writeInt32(buffer, at + RECORD_COUNT_AT, header.recordCount)
  const { producerId, producerEpoch, baseSequence } = header
  if (producerId === -1 && producerEpoch === -1 && baseSequence === -1) return
  writeInt64(buffer, at + PRODUCER_ID_AT, producerId)
  buffer.writeInt16BE(producerEpoch, at + PRODUCER_EPOCH_AT)
  writeInt32(buffer, at + BASE_SEQUENCE_AT, baseSequence)
}

/** What compaction changes in the header of a batch whose records it writes anew. */
export interface RewrittenHeader {
  /** Of the whole batch, header included. */
  readonly batchBytes: number
  /** See `attributeBitsOf`. */
  readonly codecBits: number
  readonly hasDeleteHorizon: boolean
  readonly baseTimestamp: number
  /** Left as it is where the log sets the time. */
  readonly maxTimestamp: number
  readonly recordCount: number
}

/**
 * Writes the header of the batch at `sourceAt` once more at `at`, with what compaction changes:
 * offsets, epochs, producer and flags stay. The CRC is to be computed: `sealBatch`.
 */
export function rewriteBatchHeader(
  source: Buffer,
  sourceAt: number,
  buffer: Buffer,
  at: number,
  header: RewrittenHeader,
): void {
  assert(header.batchBytes <= MAX_BATCH_BYTES, 'a batch is at most 2^31 - 1 bytes')
  const kept = attributesOf(source, sourceAt) & KEPT_BITS
  const attributes = kept | header.codecBits | (header.hasDeleteHorizon ? DELETE_HORIZON_BIT : 0)
  source.copy(buffer, at, sourceAt, sourceAt + BATCH_HEADER_BYTES)
  writeInt32(buffer, at + BATCH_LENGTH_AT, header.batchBytes - LOG_OVERHEAD_BYTES)
  buffer.writeInt16BE(attributes, at + ATTRIBUTES_AT)
  writeInt64(buffer, at + BASE_TIMESTAMP_AT, header.baseTimestamp)
  if (!isLogAppendTime(attributes)) writeInt64(buffer, at + MAX_TIMESTAMP_AT, header.maxTimestamp)
  writeInt32(buffer, at + RECORD_COUNT_AT, header.recordCount)
}

/**
 * Writes the header of the batch at `sourceAt` once more at `at`, as a batch without a record: what
 * stays of one where its offsets or its producer's sequence have to (as Kafka's writeEmptyHeader).
 */
export function writeEmptyBatch(
  source: Buffer,
  sourceAt: number,
  buffer: Buffer,
  at: number,
): void {
  source.copy(buffer, at, sourceAt, sourceAt + BATCH_HEADER_BYTES)
  writeInt32(buffer, at + BATCH_LENGTH_AT, BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES)
  buffer.writeInt16BE(attributesOf(source, sourceAt) & KEPT_BITS, at + ATTRIBUTES_AT)
  writeInt64(buffer, at + BASE_TIMESTAMP_AT, -1)
  writeInt32(buffer, at + RECORD_COUNT_AT, 0)
  sealBatch(buffer, at)
}

/** The header of a batch that nobody has filled in: no offset, epoch, CRC, time or producer. */
function firstHeader(): Uint8Array {
  const header = Buffer.alloc(BATCH_HEADER_BYTES)
  header.writeInt32BE(-1, LEADER_EPOCH_AT)
  header.writeInt8(BATCH_MAGIC, MAGIC_AT)
  writeInt64(header, PRODUCER_ID_AT, -1)
  header.writeInt16BE(-1, PRODUCER_EPOCH_AT)
  header.writeInt32BE(-1, BASE_SEQUENCE_AT)
  return header
}

function computeCrc(buffer: Buffer, at: number): number {
  return crc32c(buffer, at + ATTRIBUTES_AT, at + batchSizeBytesOf(buffer, at))
}

function isHeaderPlausible(buffer: Buffer, at: number): boolean {
  const lastOffsetDelta = lastOffsetDeltaOf(buffer, at)
  if (lastOffsetDelta < 0 || recordCountOf(buffer, at) < 0) return false
  // The upper half alone tells the sign and 2^53, without the throw of `readInt64`.
  const upperHalf = buffer.readInt32BE(at)
  if (upperHalf < 0 || upperHalf > SAFE_UPPER_HALF) return false
  return baseOffsetOf(buffer, at) + lastOffsetDelta < Number.MAX_SAFE_INTEGER
}

function isZeroFrom(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (buffer[at] !== 0) return false
  }
  return end > start
}
