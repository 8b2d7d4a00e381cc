/**
 * Batches of producers for tests: finished as a producer's would be, and as they lie in a file.
 */
import { assignOffsets, sealBatch } from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import type { EncodedBatch, TransactionMarker } from '../../src/log/encoded-batch.ts'
import { encodeMarkerBatch, MARKER_BATCH_BYTES } from '../../src/log/marker-batch.ts'

/** What a test says of a batch; the rest is the same in all of them. */
export interface NumberedBatch {
  readonly producerId: number
  readonly epoch?: number
  readonly sequence: number
  readonly count?: number
  readonly transactional?: boolean
  readonly timestamp?: number
  readonly value?: string
}

/** A batch of that producer, ready to be appended. */
export function numberedBatch(batch: NumberedBatch): EncodedBatch {
  const { producerId, epoch = 0, sequence, count = 1, transactional = false } = batch
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(0), 0)
  for (let record = 0; record < count; record += 1) {
    builder.add(batch.timestamp ?? 1_000, null, batch.value ?? `${sequence}+${record}`, null)
  }
  const producer = { producerId, producerEpoch: epoch, baseSequence: sequence, transactional }
  builder.finish('none', producer)
  return builder
}

/** The batch as it lies in a file, from `baseOffset` on. */
export function stored(batch: EncodedBatch, baseOffset: number): Buffer {
  const bytes = Buffer.from(batch.buffer.subarray(batch.start, batch.start + batch.sizeBytes))
  assignOffsets(bytes, 0, baseOffset, 0)
  sealBatch(bytes, 0)
  return bytes
}

/** A marker as it lies in a file, at `offset`. */
export function storedMarker(marker: TransactionMarker, offset: number, timestamp: number): Buffer {
  const room = { buffer: Buffer.alloc(MARKER_BATCH_BYTES), start: 0 }
  return stored(encodeMarkerBatch(room, marker, timestamp), offset)
}
