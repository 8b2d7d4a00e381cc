/**
 * The .snapshot file: Kafka's bytes both ways, round trips, and that no damage is believed.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { crc32c } from '../../src/format/crc32c.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
} from '../../src/format/producer-snapshot.ts'
import { segmentFiles } from './segment-files.ts'

const int16 = fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 })
const entries = fc.array(
  fc.record({
    producerId: fc.maxSafeInteger(),
    producerEpoch: int16,
    lastSequence: fc.integer(),
    lastOffset: fc.maxSafeInteger(),
    offsetDelta: fc.integer(),
    timestamp: fc.maxSafeInteger(),
    coordinatorEpoch: fc.integer(),
    currentTransactionFirstOffset: fc.maxSafeInteger(),
  }),
  { maxLength: 5 },
)

describe('a .snapshot file of Kafka', () => {
  it.each(segmentFiles('.snapshot'))('lists its producers', (bytes) => {
    const found = decodeProducerSnapshot(bytes).toSorted((a, b) => a.producerId - b.producerId)
    expect(found.map(({ producerId }) => producerId)).toEqual([77, 78, 79, 4_242])
    expect(found[0]).toEqual({
      producerId: 77,
      producerEpoch: 1,
      lastSequence: 0,
      lastOffset: 1_003,
      offsetDelta: 0,
      timestamp: 1_700_000_000_060,
      coordinatorEpoch: 3,
      currentTransactionFirstOffset: -1,
    })
    expect(found[2]).toMatchObject({ coordinatorEpoch: -1, currentTransactionFirstOffset: 1_012 })
  })

  it.each(segmentFiles('.snapshot'))('gives the same bytes when it is written', (bytes) => {
    expect(encodeProducerSnapshot(decodeProducerSnapshot(bytes))).toEqual(bytes)
  })
})

describe('a producer snapshot', () => {
  it('gives back what was written, in that order', () => {
    fc.assert(
      fc.property(entries, (written) => {
        expect(decodeProducerSnapshot(encodeProducerSnapshot(written))).toEqual(written)
      }),
    )
  })

  it('is refused when a bit is flipped or an end is missing, wherever', () => {
    const bytes = segmentFiles('.snapshot')[0] ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(at) ^ 0x10, at)
      expect(() => decodeProducerSnapshot(flipped)).toThrow(CorruptBytes)
      expect(() => decodeProducerSnapshot(bytes.subarray(0, at))).toThrow(CorruptBytes)
    }
  })

  it.each([-1, 1, 0x7fff_ffff])('that counts %i entries without any is refused', (count) => {
    const bytes = encodeProducerSnapshot([])
    bytes.writeInt32BE(count, 6)
    bytes.writeUInt32BE(crc32c(bytes, 6, bytes.length), 2)
    expect(() => decodeProducerSnapshot(bytes)).toThrow(
      expect.objectContaining({ reason: 'length' }),
    )
  })

  it('of another version is refused as such', () => {
    const bytes = encodeProducerSnapshot([])
    bytes.writeInt16BE(2, 0)
    expect(() => decodeProducerSnapshot(bytes)).toThrow(
      expect.objectContaining({ reason: 'version' }),
    )
  })
})
