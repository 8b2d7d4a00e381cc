/**
 * Appending the batch of a producer in as many parts as the topic's maxMessageBytes asks for.
 *
 * Nearly always that is one. How large a compressed batch is shows only once it is compressed, and
 * the setting may have been lowered while the batch filled; then it is divided, and divided again,
 * so that only a record too large by itself fails.
 *   I1  parts are in record order and cover the batch without a hole
 *   I2  a part that failed changed nothing in the log; the parts behind it are tried all the same
 *   I3  who writes a part is asked right before its append: sequences follow what was appended
 */
import { LogError } from '../errors/log-error.ts'
import type { Codec } from '../format/compression.ts'
import { MAX_BATCH_BYTES } from '../format/record-batch.ts'
import type { RecordBatchBuilder } from '../format/record-batch-builder.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import { readHeaders } from '../format/record.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { BatchWriter } from './batch-writer.ts'
import type { BuilderPool } from './builder-pool.ts'

/** What became of the records from `startIndex` up to, not including, `endIndex`. */
export interface BatchPart {
  readonly startIndex: number
  readonly endIndex: number
  /** Offset of the first of them. */
  readonly baseOffset: number
  /** −1 where records keep their own timestamps. */
  readonly appendTime: number
  /** Why they were not appended; undefined where they were. */
  readonly error: unknown
}

interface Appending {
  readonly log: PartitionLog
  readonly builders: BuilderPool
  readonly writer: BatchWriter
  readonly parts: BatchPart[]
}

/** Finishes and appends the batch in `builder`, which stays the caller's. Never throws. */
export function appendInParts(
  log: PartitionLog,
  builder: RecordBatchBuilder,
  codec: Codec,
  builders: BuilderPool,
  writer: BatchWriter,
): readonly BatchPart[] {
  const parts: BatchPart[] = []
  appendPart({ log, builders, writer, parts }, builder, codec, 0)
  return parts
}

/** `RECORD_TOO_LARGE` for one record that makes a batch of `batchBytes`. */
export function recordTooLarge(
  log: PartitionLog,
  batchBytes: number,
  setting: 'maxMessageBytes' | 'maxDecompressedBytes',
): LogError<'RECORD_TOO_LARGE'> {
  const { topic, partition, config } = log
  const allowedBytes = config[setting]
  return new LogError(
    'RECORD_TOO_LARGE',
    `${topic}-${partition}: a record makes a batch of ${batchBytes} bytes, larger than the topic's ` +
      `${setting} (${allowedBytes}): make it smaller, or raise the setting`,
    { topic, partition, batchBytes, [setting]: allowedBytes },
  )
}

function appendPart(
  appending: Appending,
  builder: RecordBatchBuilder,
  codec: Codec,
  startIndex: number,
): void {
  const { log, writer, parts } = appending
  const endIndex = startIndex + builder.recordCount
  try {
    builder.finish(codec, writer.producerFor(log))
    if (builder.sizeBytes > log.config.maxMessageBytes) {
      divide(appending, builder, codec, startIndex)
      return
    }
    const { baseOffset, timestamp } = log.append(builder)
    const appendTime = log.config.messageTimestampType === 'LogAppendTime' ? timestamp : -1
    parts.push({ startIndex, endIndex, baseOffset, appendTime, error: undefined })
  } catch (cause) {
    const error = writer.refusal === undefined ? cause : writer.refusal(cause)
    parts.push({ startIndex, endIndex, baseOffset: -1, appendTime: -1, error })
  }
}

/** Appends a finished batch that is too large half by half; a single record without compression. */
function divide(
  appending: Appending,
  builder: RecordBatchBuilder,
  codec: Codec,
  startIndex: number,
): void {
  const { recordCount } = builder
  if (recordCount === 1 && codec === 'none') {
    throw recordTooLarge(appending.log, builder.sizeBytes, 'maxMessageBytes')
  }
  const reader = new RecordBatchReader()
  reader.reset(builder.buffer, builder.start, MAX_BATCH_BYTES)
  if (recordCount === 1) {
    // Bytes that do not compress take a little more room compressed: by itself the record may fit.
    appendNext(appending, reader, 1, 'none', startIndex)
    return
  }
  const half = recordCount >>> 1
  appendNext(appending, reader, half, codec, startIndex)
  appendNext(appending, reader, recordCount - half, codec, startIndex + half)
}

/** Appends the next `recordCount` records of `reader` as a part. */
function appendNext(
  appending: Appending,
  reader: RecordBatchReader,
  recordCount: number,
  codec: Codec,
  startIndex: number,
): void {
  const builder = appending.builders.take()
  for (let count = 0; count < recordCount; count += 1) {
    reader.next()
    const { buffer, timestamp, headerCount, headersStart } = reader
    const headers = headerCount === 0 ? null : readHeaders(buffer, headersStart, headerCount)
    const key = fieldAt(buffer, reader.keyStart, reader.keyLength)
    builder.add(timestamp, key, fieldAt(buffer, reader.valueStart, reader.valueLength), headers)
  }
  appendPart(appending, builder, codec, startIndex)
  appending.builders.give(builder)
}

function fieldAt(buffer: Buffer, start: number, byteLength: number): Buffer | null {
  return byteLength < 0 ? null : buffer.subarray(start, start + byteLength)
}
