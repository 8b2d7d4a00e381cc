/**
 * Records whose numbers take one byte or two, as nearly all do: read at one go, without the reader
 * of longer numbers, which costs several times as much. No other test would notice if it were asked
 * for each of them again.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { VarintReader } from '../../src/format/varint.ts'

const BASE_TIMESTAMP = 1_000_000
const BEFORE = 300

interface ShortRecord {
  readonly timestampDelta: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** Counts how often `work` asks the reader of long numbers. */
function longReads(work: () => void): number {
  const { prototype } = VarintReader
  const { readVarint, readVarlong } = prototype
  let count = 0
  prototype.readVarint = function (...call) {
    count += 1
    return readVarint.apply(this, call)
  }
  prototype.readVarlong = function (...call) {
    count += 1
    return readVarlong.apply(this, call)
  }
  try {
    work()
  } finally {
    Object.assign(prototype, { readVarint, readVarlong })
  }
  return count
}

/** A batch of them, not at the start of its buffer, with something else behind it. */
function batchOf(records: readonly ShortRecord[]): Buffer {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(200_000, 0xee), BEFORE)
  builder.add(BASE_TIMESTAMP, null, null, null)
  for (const { timestampDelta, key, value } of records) {
    builder.add(BASE_TIMESTAMP + timestampDelta, key, value, null)
  }
  builder.finish('none')
  return builder.buffer
}

/** Reads them all and compares. */
function readBack(batch: Buffer, records: readonly ShortRecord[]): void {
  const reader = new RecordBatchReader()
  reader.reset(batch, BEFORE, 0)
  reader.next()
  for (const [index, { timestampDelta, key, value }] of records.entries()) {
    expect(reader.next()).toBe(true)
    const { buffer, keyStart, keyLength, valueStart, valueLength } = reader
    expect(reader.offset).toBe(index + 1)
    expect(reader.timestamp).toBe(BASE_TIMESTAMP + timestampDelta)
    expect([keyLength, valueLength]).toEqual([key?.length ?? -1, value?.length ?? -1])
    expect(buffer.subarray(keyStart, keyStart + keyLength)).toEqual(key ?? Buffer.alloc(0))
    expect(buffer.subarray(valueStart, valueStart + valueLength)).toEqual(value ?? Buffer.alloc(0))
    expect(buffer.readInt8(reader.headersEnd - 1)).toBe(0)
    expect([reader.headerCount, reader.headersStart]).toEqual([0, reader.headersEnd])
  }
  expect(reader.next()).toBe(false)
}

const lettersOf = (byteLength: number): Buffer => Buffer.alloc(byteLength, 'abcdefg')
const plain: ShortRecord = { timestampDelta: 0, key: null, value: lettersOf(3) }

describe('a record of short numbers', () => {
  it.each([
    ['a time of -8192', { ...plain, timestampDelta: -8_192 }],
    ['a time of -65', { ...plain, timestampDelta: -65 }],
    ['a time of -64', { ...plain, timestampDelta: -64 }],
    ['a time of -1', { ...plain, timestampDelta: -1 }],
    ['a time of 63', { ...plain, timestampDelta: 63 }],
    ['a time of 64', { ...plain, timestampDelta: 64 }],
    ['a time of 8191', { ...plain, timestampDelta: 8_191 }],
    ['neither key nor value', { ...plain, value: null }],
    ['an empty key and value', { ...plain, key: lettersOf(0), value: lettersOf(0) }],
    ['a key of 63 bytes', { ...plain, key: lettersOf(63) }],
    ['a key of 64 bytes', { ...plain, key: lettersOf(64) }],
    ['a key of 8000 bytes', { ...plain, key: lettersOf(8_000) }],
    ['a value of 57 bytes, which makes its length one byte', { ...plain, value: lettersOf(57) }],
    ['a value of 58 bytes, which makes its length two', { ...plain, value: lettersOf(58) }],
    ['a value of 64 bytes', { ...plain, value: lettersOf(64) }],
    ['a value that makes it 8191 bytes', { ...plain, value: lettersOf(8_184) }],
  ])('is read at one go with %s', (_, record) => {
    const batch = batchOf([record])
    expect(longReads(() => readBack(batch, [record]))).toBe(0)
  })

  it('is read at one go wherever in the batch it is', () => {
    const records = Array.from({ length: 300 }, (_, index) => ({
      timestampDelta: index,
      key: lettersOf(index),
      value: index % 3 === 0 ? null : lettersOf(300 - index),
    }))
    const batch = batchOf(records)
    expect(longReads(() => readBack(batch, records))).toBe(0)
  })

  it('is read the long way where a number takes three bytes', () => {
    for (const record of [
      { ...plain, timestampDelta: 8_192 },
      { ...plain, value: lettersOf(8_192) },
    ]) {
      const batch = batchOf([record])
      expect(longReads(() => readBack(batch, [record]))).toBeGreaterThan(0)
    }
  })
})
