/**
 * An empty batch: a header that holds a range of offsets and no record. Kafka's cleaner leaves such
 * batches where every record of one is gone, so every reader of the format passes over it.
 */
import { assert } from '../errors/invariant.ts'
import {
  assignOffsets,
  BATCH_HEADER_BYTES,
  batchAttributes,
  sealBatch,
  writeBatchHeader,
} from './record-batch.ts'

/** Offsets that one empty batch may hold: their number is an int32 less one. */
export const MAX_EMPTY_BATCH_OFFSETS = 0x7fff_ffff

/** The offsets that an empty batch stands for. */
export interface OffsetRange {
  readonly firstOffset: number
  /** One past the last. */
  readonly nextOffset: number
}

/** The bytes of an empty batch. Owned. */
export function emptyBatch({ firstOffset, nextOffset }: OffsetRange, leaderEpoch: number): Buffer {
  const count = nextOffset - firstOffset
  assert(
    count > 0 && count <= MAX_EMPTY_BATCH_OFFSETS,
    'an empty batch holds 1 to 2^31 - 1 offsets',
  )
  const batch = Buffer.alloc(BATCH_HEADER_BYTES)
  writeBatchHeader(batch, 0, {
    batchBytes: BATCH_HEADER_BYTES,
    attributes: batchAttributes(0, false, false),
    lastOffsetDelta: count - 1,
    baseTimestamp: -1,
    maxTimestamp: -1,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 0,
  })
  assignOffsets(batch, 0, firstOffset, leaderEpoch)
  sealBatch(batch, 0)
  return batch
}
