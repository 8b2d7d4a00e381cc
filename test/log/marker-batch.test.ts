/**
 * The batch of a marker, against the ones that Kafka's own classes wrote.
 */
import { describe, expect, test } from 'vitest'
import { assignOffsets, sealBatch } from '../../src/format/record-batch.ts'
import { encodeMarkerBatch, MARKER_BATCH_BYTES, MarkerReader } from '../../src/log/marker-batch.ts'
import vectors from '../vectors/record-batches.json' with { type: 'json' }

/** The bytes of a vector. */
function kafkas(name: string): Buffer {
  const found = vectors.vectors.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return Buffer.from(found.hex, 'hex')
}

describe('the batch of a marker', () => {
  const markers = [
    {
      name: 'control_commit',
      offset: 302,
      timestamp: 1_700_000_000_010,
      marker: { producerId: 77, producerEpoch: 9, outcome: 'commit', coordinatorEpoch: 12 },
    },
    {
      name: 'control_abort',
      offset: 303,
      timestamp: 1_700_000_000_011,
      marker: { producerId: 78, producerEpoch: 1, outcome: 'abort', coordinatorEpoch: 0 },
    },
  ] as const

  for (const { name, offset, timestamp, marker } of markers) {
    test(`is Kafka's, byte for byte, and is read as what it says: ${marker.outcome}`, () => {
      const buffer = Buffer.alloc(MARKER_BATCH_BYTES + 5, 0xff)
      const batch = encodeMarkerBatch({ buffer, start: 5 }, marker, timestamp)
      expect(batch).toMatchObject({ buffer, start: 5, sizeBytes: MARKER_BATCH_BYTES })
      assignOffsets(buffer, 5, offset, 6)
      sealBatch(buffer, 5)
      expect(buffer.subarray(5).toString('hex')).toBe(kafkas(name).toString('hex'))
      const reader = new MarkerReader()
      expect(reader.read(buffer, 5)).toBe(marker.outcome)
      expect(reader.coordinatorEpoch).toBe(marker.coordinatorEpoch)
    })
  }

  test('says nothing once compaction has emptied it', () => {
    const reader = new MarkerReader()
    expect(reader.read(kafkas('control_commit'), 0)).toBe('commit')
    expect(reader.read(kafkas('empty_control_batch'), 0)).toBe('other')
    expect(reader.coordinatorEpoch).toBe(-1)
  })

  test('says nothing where its record is none that a marker has', () => {
    const reader = new MarkerReader()
    const whole = kafkas('control_commit')
    for (let at = 61; at < whole.length; at += 1) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
        const bytes = Buffer.from(whole)
        bytes[at] = byte
        expect(['commit', 'abort', 'other']).toContain(reader.read(bytes, 0))
      }
    }
  })
})
