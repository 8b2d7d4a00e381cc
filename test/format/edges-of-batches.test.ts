/**
 * The edges of batches and records: the last byte that is enough, the first that is not, and what
 * readers and builders say before they have seen anything. Found by changing the code in ways that
 * no other test noticed.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import {
  assignOffsets,
  attributesOf,
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  checkBatch,
  checkBatchHeader,
  isControlBatch,
  LOG_OVERHEAD_BYTES,
  MAX_BATCH_BYTES,
  sealBatch,
  writeBatchHeader,
} from '../../src/format/record-batch.ts'
import { readHeaders } from '../../src/format/record.ts'

const MAGIC_AT = 16
const LENGTH_AT = 8
const RECORD_COUNT_AT = 57
const refusal = (reason: string): unknown =>
  expect.objectContaining({ name: 'CorruptBytes', reason })

/** A sealed batch of `values`, behind `before` bytes of something else. */
function batchOf(values: readonly string[], before = 0): Buffer {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(4_096, 0xee), before)
  for (const value of values) builder.add(1_000, null, value, null)
  builder.finish('none')
  sealBatch(builder.buffer, builder.start)
  return builder.buffer.subarray(0, builder.start + builder.sizeBytes)
}

describe('the check of a header', () => {
  it('calls a batch incomplete that is cut, wherever it starts', () => {
    const bytes = batchOf(['a', 'b'], 500)
    expect(checkBatch(bytes, 500, bytes.length)).toBe('ok')
    expect(checkBatch(bytes, 500, bytes.length - 1)).toBe('incomplete')
  })

  it('tells another magic by the first 17 bytes, and nothing by fewer', () => {
    const bytes = batchOf(['a'])
    bytes.writeInt8(1, MAGIC_AT)
    expect(checkBatchHeader(bytes, 0, MAGIC_AT + 1)).toBe('magic')
    expect(checkBatchHeader(bytes, 0, MAGIC_AT)).toBe('incomplete')
  })

  it('allows the largest batch there is, and no larger one', () => {
    const bytes = batchOf(['a'])
    bytes.writeInt32BE(MAX_BATCH_BYTES - LOG_OVERHEAD_BYTES, LENGTH_AT)
    expect(checkBatchHeader(bytes, 0, bytes.length)).toBe('incomplete')
    bytes.writeInt32BE(MAX_BATCH_BYTES - LOG_OVERHEAD_BYTES + 1, LENGTH_AT)
    expect(checkBatchHeader(bytes, 0, bytes.length)).toBe('length')
  })

  it.each([
    [Number.MAX_SAFE_INTEGER - 1, 'ok'],
    [0x1f_ffff * 2 ** 32, 'ok'],
    [Number.MAX_SAFE_INTEGER, 'header'],
  ] as const)('of a batch at offset %i is %s', (baseOffset, check) => {
    const bytes = batchOf(['a'])
    assignOffsets(bytes, 0, baseOffset, 0)
    expect(checkBatchHeader(bytes, 0, bytes.length)).toBe(check)
    expect(baseOffsetOf(bytes, 0)).toBe(baseOffset)
  })
})

describe('a written header', () => {
  it.each([
    [-1, -1, -1],
    [-1, -1, 7],
    [-1, 7, -1],
    [7, -1, -1],
    [7, 8, 9],
  ])('has producer %i, epoch %i and sequence %i where it should', (id, epoch, sequence) => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES, 0xee)
    writeBatchHeader(bytes, 0, {
      batchBytes: BATCH_HEADER_BYTES,
      attributes: 0,
      lastOffsetDelta: 0,
      baseTimestamp: 0,
      maxTimestamp: 0,
      producerId: id,
      producerEpoch: epoch,
      baseSequence: sequence,
      recordCount: 0,
    })
    expect(Number(bytes.readBigInt64BE(43))).toBe(id)
    expect(bytes.readInt16BE(51)).toBe(epoch)
    expect(bytes.readInt32BE(53)).toBe(sequence)
  })
})

describe('a reader', () => {
  it('is before any record until it is turned to a batch', () => {
    const reader = new RecordBatchReader()
    expect(reader).toMatchObject({
      isControl: false,
      leaderEpoch: -1,
      offset: -1,
      timestamp: -1,
      keyLength: -1,
      valueLength: -1,
    })
    expect(reader.next()).toBe(false)
  })

  it('refuses a batch that is shorter than its header, or ends behind its bytes', () => {
    const bytes = batchOf(['a'], 200)
    const reader = new RecordBatchReader()
    for (const batchBytes of [BATCH_HEADER_BYTES - 1, bytes.length - 200 + 1, bytes.length]) {
      bytes.writeInt32BE(batchBytes - LOG_OVERHEAD_BYTES, 200 + LENGTH_AT)
      expect(() => reader.reset(bytes, 200, 0)).toThrow(refusal('length'))
      expect(reader.next()).toBe(false)
    }
  })

  it('refuses a negative record count before any record', () => {
    const bytes = batchOf(['a'])
    bytes.writeInt32BE(-1, RECORD_COUNT_AT)
    expect(() => new RecordBatchReader().reset(bytes, 0, 0)).toThrow(refusal('record'))
  })
})

describe('a builder', () => {
  it('has no timestamps before the first record, and before any batch', () => {
    const builder = new RecordBatchBuilder()
    expect([builder.baseTimestamp, builder.maxTimestamp]).toEqual([-1, -1])
  })

  it('makes no control batch unless it is told to', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(200), 0)
    builder.add(0, null, null, null)
    builder.finish('none', {
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
      transactional: true,
    })
    expect(isControlBatch(attributesOf(builder.buffer, builder.start))).toBe(false)
  })

  it.each([1, 40, 63, 64])('knows the size of a record with %i headers', (count) => {
    const headers = Array.from({ length: 2 * count }, (_, index) => String(index))
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(4_096), 0)
    const expected = builder.sizeAfter(0, 'key', 'value', headers)
    builder.add(0, 'key', 'value', headers)
    expect(builder.sizeBytes).toBe(expected)
  })
})

describe('headers that nobody has checked', () => {
  it.each([
    ['a name that is null', [1, 1]],
    ['a name that is too long', [8, 0x61]],
    ['a value that is too long', [2, 0x61, 8, 0x61]],
  ])('are refused with %s', (_, bytes) => {
    expect(() => readHeaders(Buffer.from(bytes), 0, 1)).toThrow(refusal('record'))
  })
})
