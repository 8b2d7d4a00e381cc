/**
 * One slot of the control file: what is published of a partition, in two copies that take turns.
 *
 *   slot  0         16          20           24                     76                    128
 *         | topicId | partition | generation | copy, even sequences | copy, odd sequences |
 *   copy  0          4             8          16    24              32           40        48
 *         | sequence | layoutEpoch | logStart | LEO | highWatermark | lastStable | durable | crc |
 *
 * Big-endian; topicId is 16 bytes, offsets are int64, all else has 32 bits; zeros are a free slot.
 * Pure: no state, no I/O; who writes what when is control-file.ts's.
 *   I1  the CRC-32C of a copy covers topicId, partition and the copy: its values are never read in
 *       part, nor as another partition's
 *   I2  a sequence is one more than the one before it, modulo 2^32, and its parity is the place of
 *       its copy: the newer copy is never the one that is written over
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import { crc32c } from '../format/crc32c.ts'
import { readInt64, writeInt64 } from '../format/int64.ts'
import { formatTopicId, TOPIC_ID_BYTES } from './topic-id.ts'

/** Every slot has as many bytes. */
export const CONTROL_SLOT_BYTES = 128
/** Where the uint32 is that says which writer published last. */
export const SLOT_GENERATION_AT = 20
/** What a slot starts with: topic id and partition. */
export const SLOT_KEY_BYTES = 20
/** One of the two copies. */
export const SLOT_COPY_BYTES = 52
/** A key and a copy without a gap: what the CRC covers, and the CRC. */
export const SLOT_IMAGE_BYTES: number = SLOT_KEY_BYTES + SLOT_COPY_BYTES

const PARTITION_AT = 16
const COPIES_AT = 24

/** Positions in an image. */
const SEQUENCE_AT = 20
const LAYOUT_EPOCH_AT = 24
const LOG_START_AT = 28
const LOG_END_AT = 36
const HIGH_WATERMARK_AT = 44
const LAST_STABLE_AT = 52
const DURABLE_AT = 60
const CRC_AT = 68

/** What is published of a partition. */
export interface PartitionWatermarks {
  /** Rises before and after the set of files changes; uint32. */
  readonly layoutEpoch: number
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly durableOffset: number
}

/** What was last published of a partition. Owned. */
export interface PublishedPartition extends PartitionWatermarks {
  /** As in metadata.json: base64url. */
  readonly topicId: string
  readonly partition: number
  /** The writer that published it; after the open of another one, not the header's for a while. */
  readonly writerGeneration: number
}

/** What can be read of a slot: its newest good copy. */
export interface ReadSlot {
  /** As `controlSlotKey` gives it. */
  readonly key: string
  readonly sequence: number
  readonly published: PublishedPartition
}

/** What a partition is found by. */
export function controlSlotKey(topicId: string, partition: number): string {
  return `${topicId}-${partition}`
}

/** Writes the key of a partition at `at`: `SLOT_KEY_BYTES`. */
export function writeSlotKey(target: Buffer, at: number, topicId: Buffer, partition: number): void {
  assert(topicId.length === TOPIC_ID_BYTES, 'a topic id is 16 bytes')
  topicId.copy(target, at)
  target.writeInt32BE(partition, at + PARTITION_AT)
}

/** The key at `at`, as `controlSlotKey` gives it. */
export function readSlotKey(source: Buffer, at: number): string {
  const topicId = formatTopicId(source.subarray(at, at + TOPIC_ID_BYTES))
  return controlSlotKey(topicId, source.readInt32BE(at + PARTITION_AT))
}

/** Where in its slot the copy with `sequence` is (I2). */
export function slotCopyAt(sequence: number): number {
  return COPIES_AT + (sequence & 1) * SLOT_COPY_BYTES
}

/** Completes an image that starts with a key by the copy to publish (I1). Allocates nothing. */
export function writeSlotCopy(image: Buffer, sequence: number, state: PartitionWatermarks): void {
  image.writeUInt32BE(sequence, SEQUENCE_AT)
  image.writeUInt32BE(state.layoutEpoch, LAYOUT_EPOCH_AT)
  writeInt64(image, LOG_START_AT, state.logStartOffset)
  writeInt64(image, LOG_END_AT, state.logEndOffset)
  writeInt64(image, HIGH_WATERMARK_AT, state.highWatermark)
  writeInt64(image, LAST_STABLE_AT, state.lastStableOffset)
  writeInt64(image, DURABLE_AT, state.durableOffset)
  image.writeUInt32BE(crc32c(image, 0, CRC_AT), CRC_AT)
}

/** The newest good copy of the slot at `at`; undefined when it has none, as every free slot. */
export function readSlot(bytes: Buffer, at: number): ReadSlot | undefined {
  const even = readCopy(bytes, at, 0)
  const odd = readCopy(bytes, at, 1)
  if (even === undefined || odd === undefined) return even ?? odd
  // They are one apart, modulo 2^32 (I2): the sign of the difference says which one is newer.
  return ((even.sequence - odd.sequence) | 0) > 0 ? even : odd
}

function readCopy(bytes: Buffer, at: number, place: 0 | 1): ReadSlot | undefined {
  const copyAt = at + slotCopyAt(place)
  const sequence = bytes.readUInt32BE(copyAt + SEQUENCE_AT - SLOT_KEY_BYTES)
  const crc = bytes.readUInt32BE(copyAt + CRC_AT - SLOT_KEY_BYTES)
  // All zeros were never published, even under a key for which 0 is the right CRC. Most slots of a
  // small log are free: whoever opens it meets them twice.
  if (sequence === 0 && crc === 0) return undefined
  const image = Buffer.allocUnsafe(SLOT_IMAGE_BYTES)
  bytes.copy(image, 0, at, at + SLOT_KEY_BYTES)
  bytes.copy(image, SLOT_KEY_BYTES, copyAt, copyAt + SLOT_COPY_BYTES)
  if ((sequence & 1) !== place || crc !== crc32c(image, 0, CRC_AT)) return undefined
  try {
    const published = readImage(image, bytes.readUInt32BE(at + SLOT_GENERATION_AT))
    return { key: readSlotKey(image, 0), sequence, published }
  } catch (error) {
    if (error instanceof CorruptBytes) return undefined
    throw error
  }
}

function readImage(image: Buffer, writerGeneration: number): PublishedPartition {
  return {
    topicId: formatTopicId(image.subarray(0, TOPIC_ID_BYTES)),
    partition: image.readInt32BE(PARTITION_AT),
    writerGeneration,
    layoutEpoch: image.readUInt32BE(LAYOUT_EPOCH_AT),
    logStartOffset: readInt64(image, LOG_START_AT),
    logEndOffset: readInt64(image, LOG_END_AT),
    highWatermark: readInt64(image, HIGH_WATERMARK_AT),
    lastStableOffset: readInt64(image, LAST_STABLE_AT),
    durableOffset: readInt64(image, DURABLE_AT),
  }
}
