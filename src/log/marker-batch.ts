/**
 * The batch of one marker: how a transaction ended in a partition (control-record.ts). Encodes and
 * reads it whole; what a marker ends is producer-states.ts' to know.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import {
  type ControlType,
  controlTypeOf,
  coordinatorEpochOf,
  encodeMarkerKey,
  encodeMarkerValue,
} from '../format/control-record.ts'
import { RecordBatchBuilder } from '../format/record-batch-builder.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { EncodedBatch, TransactionMarker } from './encoded-batch.ts'

/** Size of the batch of a marker, whatever it says. */
export const MARKER_BATCH_BYTES = 78
/** No marker, of whatever version, is larger uncompressed. */
const MAX_CONTROL_BYTES = 1_024
const NO_SEQUENCE = -1
/** Of the last marker: whoever appends one is done with it before the next is encoded. */
const builder = new RecordBatchBuilder()

/** Encodes `marker` into `room`, which is the caller's. Borrowed until the next call. */
export function encodeMarkerBatch(
  room: { readonly buffer: Buffer; readonly start: number },
  marker: TransactionMarker,
  timestamp: number,
): EncodedBatch {
  const { producerId, producerEpoch, outcome, coordinatorEpoch } = marker
  builder.begin(room.buffer, room.start)
  builder.add(timestamp, encodeMarkerKey(outcome), encodeMarkerValue(coordinatorEpoch), null)
  const baseSequence = NO_SEQUENCE
  const producer = { producerId, producerEpoch, baseSequence, transactional: true, control: true }
  builder.finish('none', producer)
  return builder
}

/** Reads control batches, one after the other. */
export class MarkerReader {
  readonly #reader = new RecordBatchReader()
  /** Of the last marker read; -1 where it does not tell. */
  coordinatorEpoch: number = -1

  /**
   * What the control batch at `at` says. 'other' also for one that compaction has emptied, and for
   * one that nobody can read: it was written like that, and is no marker.
   */
  read(buffer: Buffer, at: number): ControlType {
    const reader = this.#reader
    this.coordinatorEpoch = -1
    try {
      reader.reset(buffer, at, MAX_CONTROL_BYTES)
      if (!reader.next()) return 'other'
      const type = controlTypeOf(reader.buffer, reader.keyStart, reader.keyLength)
      if (type === 'other') return type
      const { valueStart, valueLength } = reader
      this.coordinatorEpoch = coordinatorEpochOf(reader.buffer, valueStart, valueLength)
      return type
    } catch (error) {
      if (error instanceof CorruptBytes) return 'other'
      throw error
    }
  }
}
