/** The batch header: fields, checks, and what a log assigns on append. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  assignAppendTime,
  assignOffsets,
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchSizeBytesOf,
  checkBatch,
  checkBatchHeader,
  crcOf,
  hasDeleteHorizon,
  isControlBatch,
  isLogAppendTime,
  isTransactionalBatch,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  LOG_OVERHEAD_BYTES,
  magicOf,
  maxTimestampOf,
  nextOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  sealBatch,
  writeBatchHeader,
} from '../../src/format/record-batch.ts'
import { type BatchVector, fromHex, loadBatchVectors, loadVectors } from './vectors.ts'

const PRODUCER_ID_AT = 43

const batches = loadBatchVectors()
const valid = fromHex(batches[0]?.hex ?? '')

/** One of the vectors has a producer id of 2^53 + 1, which we refuse to round. */
function hasUnsafeProducerId(batch: BatchVector): boolean {
  return !Number.isSafeInteger(Number(batch.producerId))
}

/** A copy of a valid batch with `bytes` written over it at `at`. */
function patched(at: number, ...bytes: readonly number[]): Buffer {
  const copy = Buffer.from(valid)
  copy.set(bytes, at)
  return copy
}

describe('the header of a record batch', () => {
  it.each(batches)(
    'of $name reads as Kafka reads it, wherever the batch starts',
    ({ hex, batch }) => {
      const bytes = Buffer.concat([Buffer.alloc(7, 0xee), fromHex(hex), Buffer.alloc(3, 0xee)])
      expect(checkBatch(bytes, 7, bytes.length)).toBe('ok')
      const attributes = attributesOf(bytes, 7)
      expect({
        baseOffset: String(baseOffsetOf(bytes, 7)),
        batchLength: batchSizeBytesOf(bytes, 7) - LOG_OVERHEAD_BYTES,
        partitionLeaderEpoch: leaderEpochOf(bytes, 7),
        magic: magicOf(bytes, 7),
        crc: crcOf(bytes, 7),
        attributes,
        lastOffsetDelta: lastOffsetDeltaOf(bytes, 7),
        lastOffset: String(lastOffsetOf(bytes, 7)),
        baseTimestamp: String(baseTimestampOf(bytes, 7)),
        maxTimestamp: String(maxTimestampOf(bytes, 7)),
        producerEpoch: producerEpochOf(bytes, 7),
        baseSequence: baseSequenceOf(bytes, 7),
        count: recordCountOf(bytes, 7),
        isTransactional: isTransactionalBatch(attributes),
        isControl: isControlBatch(attributes),
        timestampType: isLogAppendTime(attributes) ? 'LogAppendTime' : 'CreateTime',
      }).toEqual(
        expect.objectContaining({
          baseOffset: batch.baseOffset,
          batchLength: batch.batchLength,
          partitionLeaderEpoch: batch.partitionLeaderEpoch,
          magic: batch.magic,
          crc: batch.crc,
          attributes: batch.attributes,
          lastOffsetDelta: batch.lastOffsetDelta,
          lastOffset: batch.lastOffset,
          baseTimestamp: batch.baseTimestamp,
          maxTimestamp: batch.maxTimestamp,
          producerEpoch: batch.producerEpoch,
          baseSequence: batch.baseSequence,
          count: batch.count,
          isTransactional: batch.isTransactional,
          isControl: batch.isControl,
          timestampType: batch.timestampType,
        }),
      )
      if (hasUnsafeProducerId(batch)) {
        expect(() => producerIdOf(bytes, 7)).toThrow(expect.objectContaining({ reason: 'number' }))
      } else {
        expect(producerIdOf(bytes, 7)).toBe(Number(batch.producerId))
      }
      expect(nextOffsetOf(bytes, 7)).toBe(Number(batch.lastOffset) + 1)
      expect(hasDeleteHorizon(attributes)).toBe(batch.deleteHorizonMs !== null)
    },
  )

  it.each(batches)('of $name is written with the same bytes', ({ hex, batch }) => {
    const stored = fromHex(hex)
    const written = Buffer.from(stored).fill(0xee, 0, BATCH_HEADER_BYTES)
    writeBatchHeader(written, 0, {
      batchBytes: stored.length,
      attributes: batch.attributes,
      lastOffsetDelta: batch.lastOffsetDelta,
      baseTimestamp: Number(batch.baseTimestamp),
      maxTimestamp: Number(batch.maxTimestamp),
      producerId: hasUnsafeProducerId(batch) ? -1 : Number(batch.producerId),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: batch.count,
    })
    expect([baseOffsetOf(written, 0), leaderEpochOf(written, 0), crcOf(written, 0)]).toEqual([
      0, -1, 0,
    ])
    if (hasUnsafeProducerId(batch))
      written.writeBigInt64BE(BigInt(batch.producerId), PRODUCER_ID_AT)
    assignOffsets(written, 0, Number(batch.baseOffset), batch.partitionLeaderEpoch)
    sealBatch(written, 0)
    expect(written).toEqual(stored)
  })

  it('is not written for more than 2^31 - 1 bytes', () => {
    const header = {
      batchBytes: 2 ** 31,
      attributes: 0,
      lastOffsetDelta: 0,
      baseTimestamp: 0,
      maxTimestamp: 0,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordCount: 1,
    }
    expect(() => writeBatchHeader(Buffer.alloc(61), 0, header)).toThrow(InvariantError)
  })
})

describe('appending a batch', () => {
  interface AppendVector {
    readonly name: string
    readonly assignedBaseOffset: number
    readonly assignedLastOffset: number
    readonly partitionLeaderEpoch: number
    readonly logAppendTime: string | null
    readonly producedHex: string
    readonly storedHex: string
  }
  const { vectors } = loadVectors<{ readonly vectors: readonly AppendVector[] }>(
    'append-transform.json',
  )

  it.each(vectors)('changes the bytes that Kafka changes: $name', (vector) => {
    const bytes = fromHex(vector.producedHex)
    assignOffsets(bytes, 0, vector.assignedBaseOffset, vector.partitionLeaderEpoch)
    if (vector.logAppendTime !== null) {
      assignAppendTime(bytes, 0, Number(vector.logAppendTime))
      sealBatch(bytes, 0)
    }
    expect(bytes.toString('hex')).toBe(vector.storedHex)
    expect(lastOffsetOf(bytes, 0)).toBe(vector.assignedLastOffset)
  })

  it('never needs a new CRC for offsets and epoch', () => {
    const bytes = Buffer.from(valid)
    assignOffsets(bytes, 0, 2 ** 40, 77)
    expect(checkBatch(bytes, 0, bytes.length)).toBe('ok')
  })
})

describe('the check of a batch', () => {
  it.each([
    ['a length below that of a header', patched(8, 0, 0, 0, 48), 'length'],
    ['a negative length', patched(8, 0xff, 0xff, 0xff, 0xff), 'length'],
    ['a size beyond 2^31 - 1', patched(8, 0x7f, 0xff, 0xff, 0xff), 'length'],
    ['a length of more bytes than there are', patched(8, 0, 0, 1, 0), 'incomplete'],
    ['an unknown magic', patched(16, 3), 'magic'],
    ['a negative base offset', patched(0, 0x80), 'header'],
    ['a base offset of 2^53', patched(0, 0, 0x20), 'header'],
    [
      'a last offset of 2^53 - 1',
      patched(0, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      'header',
    ],
    ['a negative last offset delta', patched(23, 0x80), 'header'],
    ['a negative record count', patched(57, 0x80), 'header'],
  ])('finds %s from the header alone', (_, bytes, expected) => {
    expect(checkBatchHeader(bytes, 0, bytes.length)).toBe(expected)
    expect(checkBatch(bytes, 0, bytes.length)).toBe(expected)
  })

  it('calls a cut batch incomplete at every length', () => {
    for (let end = 0; end < valid.length; end++) {
      // The first bytes of this batch are zeros: cut there it looks like preallocated space.
      const expected = end > 0 && end <= 11 ? 'zeros' : 'incomplete'
      expect(checkBatch(valid, 0, end)).toBe(expected)
    }
  })

  it('tells preallocated space, however little of it is left', () => {
    const zeros = Buffer.alloc(100)
    for (const end of [1, 11, 12, 17, 60, 61, 100]) expect(checkBatch(zeros, 0, end)).toBe('zeros')
    zeros[60] = 1
    expect(checkBatch(zeros, 0, 60)).toBe('zeros')
    expect(checkBatch(zeros, 0, 61)).toBe('length')
  })

  it('finds every flipped bit but those of base offset and epoch, which no CRC covers', () => {
    fc.assert(
      fc.property(fc.nat(valid.length * 8 - 1), (bit) => {
        const bytes = Buffer.from(valid)
        const at = bit >> 3
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bit & 7)), at)
        const isCovered = (at >= 8 && at < 12) || at >= 16
        const check = checkBatch(bytes, 0, bytes.length)
        if (isCovered) expect(check).not.toBe('ok')
        else expect(check).toBe(at < 2 && bit % 64 !== 8 ? check : 'ok')
      }),
      { numRuns: 500 },
    )
  })

  it('looks at no byte outside its range and never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.boolean(), (random, headerLike) => {
        const bytes = headerLike
          ? Buffer.concat([valid.subarray(0, 17), random])
          : Buffer.from(random)
        const low = Buffer.concat([Buffer.alloc(9), bytes, Buffer.alloc(70)])
        const high = Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(70, 0xff)])
        expect(checkBatch(low, 9, 9 + bytes.length)).toBe(checkBatch(high, 9, 9 + bytes.length))
      }),
    )
  })
})
