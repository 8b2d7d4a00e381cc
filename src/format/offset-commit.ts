/**
 * A record of `__consumer_offsets` that says where a group goes on reading a partition.
 *
 *   key    version int16, 0 or 1 | group STRING | topic STRING | partition int32
 *   value  version int16, 3 | offset int64 | leaderEpoch int32 | metadata STRING | committed int64
 *
 * STRING is an int16 length and UTF-8; all big-endian, as Kafka's OffsetCommitKey and -Value. Keys
 * of version 1 and values of version 3 are written. Read are also values of versions 0 and 2 (no
 * leader epoch), 1 (none, and the time it expires at the end) and 4 (metadata as a compact string,
 * tagged fields at the end). A null value takes the position back. Other versions of a key are
 * other records: groups, share groups. What follows a field known here is ignored, as in Kafka.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import { readInt64, writeInt32, writeInt64 } from './int64.ts'

/** Longest group id or topic in bytes: its length is an int16. */
export const MAX_OFFSET_STRING_BYTES = 0x7fff
const MAX_KEY_VERSION = 1
const KEY_VERSION = 1
const VALUE_VERSION = 3
const MAX_VALUE_VERSION = 4
const GROUP_AT = 2
const VALUE_OFFSET_AT = 2
const VALUE_EPOCH_AT = 10
const VALUE_METADATA_AT = 14
const UNKNOWN_EPOCH = -1
const VALUE_FIXED_BYTES = 24
const MAX_UVARINT_BYTES = 5

/** The key of the position of `groupId` in a partition; each string fits its length. Owned. */
export function encodeOffsetKey(groupId: string, topic: string, partition: number): Buffer {
  const groupBytes = Buffer.byteLength(groupId)
  const topicBytes = Buffer.byteLength(topic)
  assert(groupBytes <= MAX_OFFSET_STRING_BYTES, 'the length of a group id fits an int16')
  assert(topicBytes <= MAX_OFFSET_STRING_BYTES, 'the length of a topic fits an int16')
  const key = Buffer.allocUnsafeSlow(GROUP_AT + 2 + groupBytes + 2 + topicBytes + 4)
  key.writeInt16BE(KEY_VERSION, 0)
  key.writeInt16BE(groupBytes, GROUP_AT)
  const topicAt = GROUP_AT + 2 + key.write(groupId, GROUP_AT + 2)
  key.writeInt16BE(topicBytes, topicAt)
  writeInt32(key, topicAt + 2 + key.write(topic, topicAt + 2), partition)
  return key
}

/** What a value says. */
export interface OffsetValue {
  readonly offset: number
  /** -1 where that is not known. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

/** Bytes of a value whose metadata has so many. */
export function offsetValueBytes(metadataBytes: number): number {
  return VALUE_FIXED_BYTES + metadataBytes
}

/** Writes a value at the start of `target`, where there is room for it. */
export function writeOffsetValue(target: Buffer, value: OffsetValue): void {
  const { offset, leaderEpoch, metadata, commitTimestampMs } = value
  target.writeInt16BE(VALUE_VERSION, 0)
  writeInt64(target, VALUE_OFFSET_AT, offset)
  writeInt32(target, VALUE_EPOCH_AT, leaderEpoch)
  const metadataBytes = metadata === '' ? 0 : target.write(metadata, VALUE_METADATA_AT + 2)
  target.writeInt16BE(metadataBytes, VALUE_METADATA_AT)
  writeInt64(target, VALUE_METADATA_AT + 2 + metadataBytes, commitTimestampMs)
}

/**
 * Reads keys and values one after the other: fields instead of objects, and strings as places in
 * the buffer, because a log opens with all of them. One reader is kept and used for ever.
 */
export class OffsetCommitReader {
  groupStart = 0
  groupLength = 0
  topicStart = 0
  topicLength = 0
  partition = 0
  offset = 0
  /** -1 where that is not known. */
  leaderEpoch: number = UNKNOWN_EPOCH
  metadataStart = 0
  metadataLength = 0
  commitTimestampMs = 0

  /**
   * Reads the key of `length` bytes at `at`; false for one of another kind.
   *
   * @throws {CorruptBytes} `record` when it says it is a position, and is not.
   */
  readKey(buffer: Buffer, at: number, length: number): boolean {
    if (length < 2) throw broken('its key has no version', at)
    const version = buffer.readInt16BE(at)
    if (version < 0) throw broken('its key has a negative version', at)
    if (version > MAX_KEY_VERSION) return false
    const end = at + length
    this.groupStart = at + GROUP_AT + 2
    this.groupLength = stringLength(buffer, at + GROUP_AT, end)
    const topicAt = this.groupStart + this.groupLength
    this.topicStart = topicAt + 2
    this.topicLength = stringLength(buffer, topicAt, end)
    const partitionAt = this.topicStart + this.topicLength
    if (partitionAt + 4 > end) throw broken('its key ends before its partition', at)
    this.partition = buffer.readInt32BE(partitionAt)
    if (this.partition < 0) throw broken('its partition is negative', at)
    return true
  }

  /**
   * Reads the value of `length` bytes at `at`; false for one of a version that is not known.
   *
   * @throws {CorruptBytes} `record` when its fields do not fit it or the offset is negative,
   * `number` for an offset or time beyond 2^53 - 1.
   */
  readValue(buffer: Buffer, at: number, length: number): boolean {
    if (length < 2) throw broken('its value has no version', at)
    const version = buffer.readInt16BE(at)
    if (version < 0) throw broken('its value has a negative version', at)
    if (version > MAX_VALUE_VERSION) return false
    const end = at + length
    const hasEpoch = version >= VALUE_VERSION
    const metadataAt = at + (hasEpoch ? VALUE_METADATA_AT : VALUE_EPOCH_AT)
    if (metadataAt > end) throw broken('its value ends before its metadata', at)
    this.offset = readInt64(buffer, at + VALUE_OFFSET_AT)
    if (this.offset < 0) throw broken('its offset is negative', at)
    this.leaderEpoch = hasEpoch ? buffer.readInt32BE(at + VALUE_EPOCH_AT) : UNKNOWN_EPOCH
    if (version > VALUE_VERSION) {
      this.#readCompactMetadata(buffer, metadataAt, end)
    } else {
      this.metadataStart = metadataAt + 2
      this.metadataLength = stringLength(buffer, metadataAt, end)
    }
    const timestampAt = this.metadataStart + this.metadataLength
    if (timestampAt + 8 > end) throw broken('its value ends before its time', at)
    this.commitTimestampMs = readInt64(buffer, timestampAt)
    return true
  }

  /** An unsigned varint that counts one more than there are bytes, so that 0 is null. */
  #readCompactMetadata(buffer: Buffer, at: number, end: number): void {
    let count = 0
    for (let index = 0; index < MAX_UVARINT_BYTES && at + index < end; index++) {
      const byte = buffer.readUInt8(at + index)
      count += (byte & 0x7f) * 2 ** (7 * index)
      if (byte >= 0x80) continue
      this.metadataStart = at + index + 1
      this.metadataLength = count - 1
      if (count === 0 || this.metadataStart + this.metadataLength > end) break
      return
    }
    throw broken('its metadata does not fit it', at)
  }
}

/** Of the STRING at `at`, which is not null and ends before `end`. */
function stringLength(buffer: Buffer, at: number, end: number): number {
  if (at + 2 > end) throw broken('it ends before a length', at)
  const length = buffer.readInt16BE(at)
  if (length < 0 || at + 2 + length > end) throw broken('a string does not fit it', at)
  return length
}

function broken(why: string, position: number): CorruptBytes {
  return new CorruptBytes('record', `a committed offset is broken: ${why}`, position)
}
