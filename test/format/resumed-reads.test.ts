/**
 * Reads that go on inside of a plain batch: from the start of any record whose place is known, over
 * some by their lengths alone, what follows is what a read from the start of the batch gives.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { assignAppendTime, assignOffsets } from '../../src/format/record-batch.ts'

const BASE_OFFSET = 5_000
const LEADER_EPOCH = 6
/** A length of one byte, of two, of three; what comes last is of one. */
const VALUE_BYTES = [0, 3, 55, 56, 57, 58, 59, 8_183, 8_184, 8_185, 8_186, 20_000, 1, 2]

interface ReadRecord {
  readonly offset: number
  readonly timestamp: number
  readonly value: string
  /** Where it starts. */
  readonly position: number
}

function batchOf(appendTime?: number): Buffer {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(200), 0)
  for (const [index, byteLength] of VALUE_BYTES.entries()) {
    builder.add(1_000 + index, null, String(index).padEnd(byteLength, '.'), null)
  }
  builder.finish('none')
  const batch = Buffer.from(
    builder.buffer.subarray(builder.start, builder.start + builder.sizeBytes),
  )
  assignOffsets(batch, 0, BASE_OFFSET, LEADER_EPOCH)
  if (appendTime !== undefined) assignAppendTime(batch, 0, appendTime)
  return batch
}

function current(reader: RecordBatchReader, position: number): ReadRecord {
  const { offset, timestamp, buffer, valueStart, valueLength } = reader
  const value = buffer.toString('utf8', valueStart, valueStart + valueLength)
  return { offset, timestamp, value, position }
}

function readAll(reader: RecordBatchReader, batch: Buffer): readonly ReadRecord[] {
  const records: ReadRecord[] = []
  reader.reset(batch, 0, 0)
  for (let { position } = reader; reader.next(); position = reader.position) {
    records.push(current(reader, position))
  }
  return records
}

describe('a read that goes on inside of a batch', () => {
  it.each([
    ['as it was written', undefined],
    ['with the time of its append', 9_999],
  ])('gives the same records from every place, %s', (_, appendTime) => {
    const batch = batchOf(appendTime)
    const first = new RecordBatchReader()
    const all = readAll(first, batch)
    expect(all.map(({ offset }) => offset - BASE_OFFSET)).toEqual([...VALUE_BYTES.keys()])
    expect(first.position).toBe(first.payloadEnd)
    first.reset(batch, 0, 0)
    expect(first.isPlain).toBe(true)
    const facts = first.facts()
    expect(facts).toMatchObject({ lastOffset: BASE_OFFSET + VALUE_BYTES.length - 1 })

    const reader = new RecordBatchReader()
    for (const [index, { position }] of all.entries()) {
      for (let skipped = 0; index + skipped < all.length; skipped++) {
        // Only the stretch from there on: nothing before it is looked at.
        const stretch = Buffer.concat([Buffer.alloc(7, 0xee), batch.subarray(position)])
        reader.resume(facts, stretch, 7, stretch.length, index, skipped)
        expect(reader.leaderEpoch).toBe(LEADER_EPOCH)
        expect(reader.recordCount).toBe(all.length)
        expect(reader.isControl).toBe(false)
        expect(reader.facts()).toEqual(facts)
        const next = all[index + skipped]
        const at = reader.position
        expect(at - 7 + position).toBe(next?.position)
        expect(reader.next()).toBe(true)
        expect(current(reader, at - 7 + position)).toEqual(next)
      }
    }
  })

  it('goes on to the end of the stretch, and fails behind it', () => {
    const batch = batchOf()
    const reader = new RecordBatchReader()
    const all = readAll(reader, batch)
    const facts = reader.facts()
    const [third, fifth] = [all[3], all[5]]
    reader.resume(facts, batch, third?.position ?? 0, fifth?.position ?? 0, 3, 0)
    for (const index of [3, 4]) {
      expect(reader.next()).toBe(true)
      expect(reader.offset).toBe(BASE_OFFSET + index)
    }
    expect(() => reader.next()).toThrow(expect.objectContaining({ reason: 'record' }))
    reader.resume(facts, batch, all[12]?.position ?? 0, batch.length, 12, 0)
    expect([reader.next(), reader.next()]).toEqual([true, true])
    expect(() => reader.next()).toThrow(expect.objectContaining({ reason: 'record' }))
  })

  it('fails where what it passes over has no length', () => {
    const batch = batchOf()
    const reader = new RecordBatchReader()
    readAll(reader, batch)
    const facts = reader.facts()
    const noise = Buffer.alloc(40, 0xff)
    expect(() => reader.resume(facts, noise, 0, noise.length, 2, 3)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes' }),
    )
    expect(() => reader.resume(facts, noise, 0, 3, 2, 1)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes' }),
    )
  })

  it('never goes back over a length below zero', () => {
    const reader = new RecordBatchReader()
    readAll(reader, batchOf())
    const facts = reader.facts()
    // -100,000 in three bytes.
    const negative = Buffer.from([0xbf, 0x9a, 0x0c, 0, 0, 0])
    reader.resume(facts, negative, 0, negative.length, 2, 1)
    expect(reader.position).toBe(3)
    expect(() => reader.next()).toThrow(expect.objectContaining({ reason: 'record' }))
  })
})

describe('a batch', () => {
  it('is not plain where an offset is left out, or it is compressed', () => {
    const batch = batchOf()
    const reader = new RecordBatchReader()
    reader.reset(batch, 0, 0)
    expect(reader.isPlain).toBe(true)
    for (const [at, value] of [
      [23, VALUE_BYTES.length],
      [57, VALUE_BYTES.length - 1],
    ] as const) {
      const changed = Buffer.from(batch)
      changed.writeInt32BE(value, at)
      reader.reset(changed, 0, 0)
      expect(reader.isPlain).toBe(false)
    }
    const packed = Buffer.from(batch)
    packed.writeInt16BE(1, 21)
    reader.reset(packed, 0, 0)
    expect(reader.isPlain).toBe(false)
  })
})
