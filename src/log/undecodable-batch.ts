/**
 * What is told of a batch with a sound CRC that cannot be decoded, and where it lies: whoever
 * decodes knows bytes, not files.
 */
import type { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  BATCH_HEADER_BYTES,
  batchSizeBytesOf,
  checkBatchHeader,
  lastOffsetOf,
} from '../format/record-batch.ts'
import type { Segment } from '../storage/segment.ts'
import { isSafeHeader } from './batch-walk.ts'
import type { ReadablePartition } from './readable-partition.ts'

/** The error for the batch of `offset`: CORRUPT, or UNSUPPORTED_FORMAT without its codec. */
export function undecodable(
  log: ReadablePartition,
  offset: number,
  cause: CorruptBytes,
): LogError<'CORRUPT' | 'UNSUPPORTED_FORMAT'> {
  const { topic, partition } = log
  const message = `${topic}-${partition}: the batch at offset ${offset} cannot be decoded: ${cause.message}`
  if (cause.reason === 'codec-missing') {
    return new LogError('UNSUPPORTED_FORMAT', message, { topic, partition, offset }, { cause })
  }
  const segment = log.segments.floor(offset)
  const place = { file: segment.logPath, position: positionOf(segment, offset) }
  return new LogError('CORRUPT', message, { topic, partition, ...place, offset }, { cause })
}

/** Where the batch that holds `offset` starts in its segment, by a walk from the index entry. */
function positionOf(segment: Segment, offset: number): number {
  const { offsetIndex, sizeBytes } = segment
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  let position = offsetIndex.positionOfSlot(offsetIndex.slotForOffset(offset - 1))
  while (position < sizeBytes) {
    const read = segment.read(header, 0, BATCH_HEADER_BYTES, position)
    const check = checkBatchHeader(header, 0, read)
    if (read < BATCH_HEADER_BYTES || (check !== 'ok' && check !== 'incomplete')) return position
    // Damage that lies before it may be passed over: a base offset that no number holds, say.
    if (isSafeHeader(header, 0) && lastOffsetOf(header, 0) >= offset) return position
    position += batchSizeBytesOf(header, 0)
  }
  return position
}
