/**
 * What the targets of batches share: reading a batch to its end under every rule that a reader may
 * rely on, and writing what was read once more.
 */
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { RetainedBatch } from '../../src/format/retained-batch.ts'
import { codecOfAttributes, isCodecAvailable } from '../../src/format/compression.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  baseOffsetOf,
  checkBatch,
  lastOffsetOf,
  sealBatch,
} from '../../src/format/record-batch.ts'
import { type FlatHeaders, readHeaders } from '../../src/format/record.ts'
import { promise, promiseEqual, unlessCorrupt } from '../fuzz-target.ts'

/** What a batch of the targets may unpack to: `maxDecompressedBytes`. */
export const MAX_UNPACKED_BYTES = 65_536

const LENGTH_AT = 8
const MAGIC_AT = 16

/** A record, copied. */
export interface CopiedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: FlatHeaders
}

/** A copy of `bytes` as one batch: with the length that it has, its magic, and its CRC right. */
export function asWholeBatch(bytes: Buffer): Buffer {
  const batch = Buffer.from(bytes)
  batch.writeInt32BE(batch.length - LENGTH_AT - 4, LENGTH_AT)
  batch.writeInt8(BATCH_MAGIC, MAGIC_AT)
  sealBatch(batch, 0)
  return batch
}

/**
 * All records of a batch that passed its check; undefined where one of them cannot be decoded. Who
 * gets to the end gets as many as the header says, each inside of the batch's offsets.
 */
export function readToEnd(batch: Buffer): readonly CopiedRecord[] | undefined {
  const reader = new RecordBatchReader()
  const records: CopiedRecord[] = []
  const isRead = unlessCorrupt(() => {
    reader.reset(batch, 0, MAX_UNPACKED_BYTES)
    while (reader.next()) records.push(copyOf(reader))
    return true
  })
  if (isRead === undefined) return undefined
  promise(records.length === reader.recordCount, 'as many records as the header says')
  promise(!reader.next(), 'no record follows the last one')
  const baseOffset = baseOffsetOf(batch, 0)
  let last = baseOffset - 1
  for (const { offset, timestamp } of records) {
    promise(offset > last && offset <= lastOffsetOf(batch, 0), 'offsets ascend inside the batch')
    promise(Number.isSafeInteger(timestamp), 'a timestamp is a safe integer')
    last = offset
  }
  return records
}

/** Writes records anew and reads them: nothing but offsets may differ. */
export function promiseRewritten(records: readonly CopiedRecord[]): void {
  const base = records[0]?.timestamp ?? 0
  const isWritable = records.every(({ timestamp }) => Number.isSafeInteger(timestamp - base))
  if (records.length === 0 || !isWritable) return
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(64), 0)
  for (const { timestamp, key, value, headers } of records) {
    builder.add(timestamp, key, value, headers)
  }
  builder.finish('none')
  const end = builder.start + builder.sizeBytes
  const batch = asWholeBatch(builder.buffer.subarray(builder.start, end))
  promiseEqual(readToEnd(batch)?.map(meaningOf), records.map(meaningOf), 'written and read again')
}

/**
 * What compaction leaves of a batch, without a horizon and with one: whoever keeps every other
 * record reads these again, and no others.
 */
export function promiseRetained(batch: Buffer, records: readonly CopiedRecord[]): void {
  const kept = records.filter((_, index) => index % 2 === 0)
  if (kept.length === 0) return
  const codec = codecOfAttributes(attributesOf(batch, 0))
  if (!isCodecAvailable(codec, 'compress')) return
  for (const deleteHorizonMs of [-1, 1_700_000_000_000]) {
    const reader = new RecordBatchReader()
    const retained = new RetainedBatch()
    reader.reset(batch, 0, MAX_UNPACKED_BYTES)
    retained.begin(batch, 0)
    let start = codec === 'none' ? BATCH_HEADER_BYTES : 0
    for (let index = 0; reader.next(); index++) {
      if (index % 2 === 0) retained.keep(start, reader.position, reader.timestamp)
      start = reader.position
    }
    const room = { buffer: Buffer.alloc(0), reserve: (bytes: number) => room.grow(bytes), grow }
    const form = { codec, deleteHorizonMs }
    const sizeBytes = unlessCorrupt(() => retained.writeTo(room, reader.buffer, form))
    if (sizeBytes === undefined) continue
    promise(checkBatch(room.buffer, 0, sizeBytes) === 'ok', 'what is left is a whole batch')
    const left = readToEnd(room.buffer.subarray(0, sizeBytes))
    promiseEqual(left?.map(meaningOf), kept.map(meaningOf), 'what is kept is as it was')
    promiseEqual(left?.map(offsetOf), kept.map(offsetOf), 'and where it was')
  }
}

function grow(this: { buffer: Buffer }, byteLength: number): number {
  this.buffer = Buffer.alloc(byteLength)
  return 0
}

function offsetOf({ offset }: CopiedRecord): number {
  return offset
}

function copyOf(reader: RecordBatchReader): CopiedRecord {
  const { buffer, offset, timestamp, headersStart, headerCount } = reader
  const bytesAt = (start: number, length: number): Buffer | null => {
    promise(length < 0 || start + length <= reader.headersStart, 'fields lie before the headers')
    return length < 0 ? null : Buffer.from(buffer.subarray(start, start + length))
  }
  promise(reader.headersEnd <= buffer.length, 'a record lies inside its bytes')
  return {
    offset,
    timestamp,
    key: bytesAt(reader.keyStart, reader.keyLength),
    value: bytesAt(reader.valueStart, reader.valueLength),
    headers: readHeaders(buffer, headersStart, headerCount),
  }
}

function meaningOf({ timestamp, key, value, headers }: CopiedRecord): readonly unknown[] {
  const shown = headers.map((part) => (part instanceof Uint8Array ? [...part] : part))
  return [timestamp, key?.toString('hex') ?? null, value?.toString('hex') ?? null, shown]
}
