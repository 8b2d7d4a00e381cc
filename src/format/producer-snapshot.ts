/**
 * A .snapshot file: what is known of each producer just before the offset in the file's name.
 *
 *   byte 0         2       6       10
 *        | version | crc   | count | count entries of 46 bytes
 *
 *   byte 0           8       10             14           22            26          34
 *        | producerId | epoch | lastSequence | lastOffset | offsetDelta | timestamp |
 *        34                 38                              46
 *        | coordinatorEpoch | currentTransactionFirstOffset |
 *
 * All big-endian, as Kafka's ProducerStateManager: ids, offsets and the timestamp int64, version
 * (1) and epoch int16, the crc a CRC-32C of all bytes behind it, the others int32. Producers come
 * in any order, and each with its last batch only. Pure: no state, no I/O.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { crc32c } from './crc32c.ts'
import { readInt64, writeInt64 } from './int64.ts'

/** What a snapshot keeps of one producer. */
export interface ProducerSnapshotEntry {
  readonly producerId: number
  readonly producerEpoch: number
  /** Of its last batch; -1 where no batch of it is left. */
  readonly lastSequence: number
  /** Of its last batch; -1 where no batch of it is left. */
  readonly lastOffset: number
  /** Last offset of that batch less its first; 0 where no batch of it is left. */
  readonly offsetDelta: number
  /** Of its last batch or marker, in ms since 1970. */
  readonly timestamp: number
  /** Of its last marker; -1 where it had none. */
  readonly coordinatorEpoch: number
  /** Where its open transaction starts; -1 where none is open. */
  readonly currentTransactionFirstOffset: number
}

const VERSION = 1
const CRC_AT = 2
const COUNT_AT = 6
const HEADER_BYTES = 10
const ENTRY_BYTES = 46
const EPOCH_AT = 8
const LAST_SEQUENCE_AT = 10
const LAST_OFFSET_AT = 14
const OFFSET_DELTA_AT = 22
const TIMESTAMP_AT = 26
const COORDINATOR_EPOCH_AT = 34
const FIRST_OFFSET_AT = 38

/** The bytes of a snapshot file with `entries`, in their order. Owned. */
export function encodeProducerSnapshot(entries: readonly ProducerSnapshotEntry[]): Buffer {
  const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + entries.length * ENTRY_BYTES)
  bytes.writeInt16BE(VERSION, 0)
  bytes.writeInt32BE(entries.length, COUNT_AT)
  for (const [index, entry] of entries.entries()) {
    writeEntry(bytes, HEADER_BYTES + index * ENTRY_BYTES, entry)
  }
  bytes.writeUInt32BE(crc32c(bytes, COUNT_AT, bytes.length), CRC_AT)
  return bytes
}

/**
 * What the bytes of a snapshot file say. Owned.
 *
 * @throws {CorruptBytes} `version`, `crc`, `length` or `number`: an older snapshot, or none, does
 * as well, it takes just more of the log to be read.
 */
export function decodeProducerSnapshot(bytes: Buffer): ProducerSnapshotEntry[] {
  if (bytes.length < HEADER_BYTES) {
    throw new CorruptBytes('length', 'a producer snapshot ends within its header', bytes.length)
  }
  if (bytes.readInt16BE(0) !== VERSION) {
    throw new CorruptBytes('version', 'a producer snapshot of an unknown version', 0)
  }
  if (bytes.readUInt32BE(CRC_AT) !== crc32c(bytes, COUNT_AT, bytes.length)) {
    throw new CorruptBytes('crc', 'a producer snapshot has another checksum', CRC_AT)
  }
  const entryCount = bytes.readInt32BE(COUNT_AT)
  if (bytes.length !== HEADER_BYTES + entryCount * ENTRY_BYTES) {
    throw new CorruptBytes('length', 'a producer snapshot has not as many entries', COUNT_AT)
  }
  const entries: ProducerSnapshotEntry[] = []
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    entries.push(readEntry(bytes, at))
  }
  return entries
}

function writeEntry(bytes: Buffer, at: number, entry: ProducerSnapshotEntry): void {
  writeInt64(bytes, at, entry.producerId)
  bytes.writeInt16BE(entry.producerEpoch, at + EPOCH_AT)
  bytes.writeInt32BE(entry.lastSequence, at + LAST_SEQUENCE_AT)
  writeInt64(bytes, at + LAST_OFFSET_AT, entry.lastOffset)
  bytes.writeInt32BE(entry.offsetDelta, at + OFFSET_DELTA_AT)
  writeInt64(bytes, at + TIMESTAMP_AT, entry.timestamp)
  bytes.writeInt32BE(entry.coordinatorEpoch, at + COORDINATOR_EPOCH_AT)
  writeInt64(bytes, at + FIRST_OFFSET_AT, entry.currentTransactionFirstOffset)
}

function readEntry(bytes: Buffer, at: number): ProducerSnapshotEntry {
  return {
    producerId: readInt64(bytes, at),
    producerEpoch: bytes.readInt16BE(at + EPOCH_AT),
    lastSequence: bytes.readInt32BE(at + LAST_SEQUENCE_AT),
    lastOffset: readInt64(bytes, at + LAST_OFFSET_AT),
    offsetDelta: bytes.readInt32BE(at + OFFSET_DELTA_AT),
    timestamp: readInt64(bytes, at + TIMESTAMP_AT),
    coordinatorEpoch: bytes.readInt32BE(at + COORDINATOR_EPOCH_AT),
    currentTransactionFirstOffset: readInt64(bytes, at + FIRST_OFFSET_AT),
  }
}
