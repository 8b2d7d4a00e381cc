/**
 * The one record of a control batch (KIP-98): that a transaction ended, and how.
 *
 *   key    version int16, 0 | type int16: 0 abort, 1 commit, others are not about transactions
 *   value  version int16, 0 | coordinatorEpoch int32
 *
 * Big-endian. Of newer versions the fields known here are read and what follows is ignored, as
 * Kafka does; types that are not known are to be skipped. The batch around it is record-batch.ts's.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'

/** How a transaction ended. */
export type TransactionOutcome = 'abort' | 'commit'

/** What a control record says: how a transaction ended, or something that no reader here needs. */
export type ControlType = TransactionOutcome | 'other'

const VERSION = 0
const ABORT = 0
const COMMIT = 1
const KEY_BYTES = 4
const VALUE_BYTES = 6
const BODY_AT = 2

/** The key of the marker of a transaction that ended so. Owned. */
export function encodeMarkerKey(outcome: TransactionOutcome): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  key.writeInt16BE(VERSION, 0)
  key.writeInt16BE(outcome === 'commit' ? COMMIT : ABORT, BODY_AT)
  return key
}

/** The value of a marker that the coordinator wrote in its epoch `coordinatorEpoch`. Owned. */
export function encodeMarkerValue(coordinatorEpoch: number): Buffer {
  const value = Buffer.allocUnsafe(VALUE_BYTES)
  value.writeInt16BE(VERSION, 0)
  value.writeInt32BE(coordinatorEpoch, BODY_AT)
  return value
}

/**
 * What the control record says whose key is the `keyLength` bytes at `keyStart`; -1 is null.
 *
 * @throws {CorruptBytes} `record` when that is no key of a control record.
 */
export function controlTypeOf(buffer: Buffer, keyStart: number, keyLength: number): ControlType {
  if (keyLength < KEY_BYTES || buffer.readInt16BE(keyStart) < VERSION) {
    throw new CorruptBytes('record', 'a control record has no such key', keyStart)
  }
  const type = buffer.readInt16BE(keyStart + BODY_AT)
  if (type === ABORT) return 'abort'
  return type === COMMIT ? 'commit' : 'other'
}

/**
 * The coordinator's epoch in a marker whose value is the `valueLength` bytes at `valueStart`.
 *
 * @throws {CorruptBytes} `record` when that is no value of a marker.
 */
export function coordinatorEpochOf(
  buffer: Buffer,
  valueStart: number,
  valueLength: number,
): number {
  if (valueLength < VALUE_BYTES || buffer.readInt16BE(valueStart) < VERSION) {
    throw new CorruptBytes('record', 'a marker has no such value', valueStart)
  }
  return buffer.readInt32BE(valueStart + BODY_AT)
}
