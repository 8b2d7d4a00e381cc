/** Reading batches: everything that Kafka and its clients wrote, and failing where Kafka fails. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import {
  assignAppendTime,
  batchSizeBytesOf,
  checkBatch,
  LOG_OVERHEAD_BYTES,
  writeBatchHeader,
} from '../../src/format/record-batch.ts'
import { isCodecAvailable } from '../../src/format/compression.ts'
import { readFieldLength, skipHeaders } from '../../src/format/record.ts'
import { VarintReader, writeVarint } from '../../src/format/varint.ts'
import { fromHex, listedRecords, loadBatchVectors, loadVectors, readRecords } from './vectors.ts'

const readable = loadBatchVectors().filter(({ batch }) =>
  isCodecAvailable(batch.compression, 'decompress'),
)

/** A batch around `payload`: three offsets, `recordCount` records. */
function batchAround(payload: Buffer, recordCount: number, codecBits = 0): Buffer {
  const batch = Buffer.concat([Buffer.alloc(61), payload])
  writeBatchHeader(batch, 0, {
    batchBytes: batch.length,
    attributes: codecBits,
    lastOffsetDelta: 2,
    baseTimestamp: 1_000,
    maxTimestamp: 1_000,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount,
  })
  return batch
}

/** The body of a record with null key and value: attributes, two deltas, and what follows them. */
function recordOf(...body: readonly number[]): Buffer {
  return Buffer.from([body.length << 1, ...body])
}

/** No headers, mostly; none in two bytes, one, and fewer than none. */
const HEADERS_ENDS = [[0], [0], [0], [0x80, 0], [2, 2, 0x61, 0], [1]]

/** `value` as a varint, or in one byte more than it takes. */
function varintOf(value: number, isLong: boolean): Buffer {
  const buffer = Buffer.alloc(6)
  const end = writeVarint(buffer, 0, value)
  if (!isLong) return buffer.subarray(0, end)
  buffer[end - 1] = (buffer[end - 1] ?? 0) | 0x80
  return buffer.subarray(0, end + 1)
}

function fieldOf(byteLength: number): Buffer {
  return Buffer.concat([varintOf(byteLength, false), Buffer.alloc(byteLength, 0x61)])
}

/** Where the records of a batch are, and last 'broken' where one is. */
function placesIn(batch: Buffer, recordCount: number): unknown[] {
  const places: unknown[] = []
  const reader = new RecordBatchReader()
  reader.reset(batch, 0, 0)
  try {
    for (let read = 0; read < recordCount && reader.next(); read++) {
      const { offset, timestamp, keyStart, keyLength, valueStart, valueLength } = reader
      const { fieldsStart, headersStart, headersEnd, headerCount } = reader
      const fields = [fieldsStart, keyStart, keyLength, valueStart, valueLength]
      places.push([offset, timestamp, ...fields, headersStart, headersEnd, headerCount])
    }
  } catch (error) {
    if (!(error instanceof CorruptBytes)) throw error
    places.push('broken')
  }
  return places
}

/** As `placesIn`, field by field as record.ts has them, each compared with its end. */
function checkedPlacesIn(batch: Buffer, recordCount: number): unknown[] {
  const places: unknown[] = []
  const varints = new VarintReader()
  let lastDelta = -1
  varints.position = 61
  try {
    for (let read = 0; read < recordCount; read++) {
      const bodyBytes = varints.readVarint(batch, batch.length)
      const end = varints.position + bodyBytes
      if (bodyBytes <= 0 || end > batch.length) throw new CorruptBytes('record', '', 0)
      varints.position += 1
      const timestamp = 1_000 + varints.readVarlong(batch, end)
      const delta = varints.readVarint(batch, end)
      const fieldsStart = varints.position
      const keyLength = readFieldLength(varints, batch, end)
      const keyStart = varints.position
      varints.position += Math.max(0, keyLength)
      const valueLength = readFieldLength(varints, batch, end)
      const valueStart = varints.position
      varints.position += Math.max(0, valueLength)
      const headerCount = varints.readVarint(batch, end)
      const headersStart = varints.position
      if (headerCount > 0) skipHeaders(varints, batch, end, headerCount)
      const isLast = read === recordCount - 1
      const isPlaced = delta > lastDelta && delta <= 2
      const isWrong = headerCount < 0 || varints.position !== end || !isPlaced
      if (isWrong || (isLast && end !== batch.length)) throw new CorruptBytes('record', '', 0)
      lastDelta = delta
      const fields = [fieldsStart, keyStart, keyLength, valueStart, valueLength]
      places.push([delta, timestamp, ...fields, headersStart, end, headerCount])
    }
  } catch (error) {
    if (!(error instanceof CorruptBytes)) throw error
    places.push('broken')
  }
  return places
}

const refusal = (reason: string): unknown =>
  expect.objectContaining({ name: 'CorruptBytes', reason })

describe('a batch written elsewhere', () => {
  it.each(readable)('$name reads as Kafka reads it', ({ hex, batch }) => {
    const bytes = Buffer.concat([Buffer.alloc(5, 0xee), fromHex(hex), Buffer.alloc(5, 0xee)])
    expect(readRecords(bytes, 5)).toEqual(listedRecords(batch))
  })

  it.each(readable)('$name tells what it is before its first record', ({ hex, batch }) => {
    const reader = new RecordBatchReader()
    reader.reset(fromHex(hex), 0, 1 << 20)
    expect(reader).toMatchObject({
      isControl: batch.isControl,
      attributes: batch.attributes,
      leaderEpoch: batch.partitionLeaderEpoch,
      recordCount: batch.count,
    })
  })

  it('reads from a log that Kafka compacted, before and after', () => {
    interface Compaction {
      readonly retainedOffsets: readonly number[]
      readonly inputHex: string
      readonly outputHex: string
    }
    const { vectors } = loadVectors<{ readonly vectors: readonly Compaction[] }>('compaction.json')
    for (const { inputHex, outputHex, retainedOffsets } of vectors) {
      const input = readRecords(fromHex(inputHex), 0)
      const output = outputHex === '' ? [] : readRecords(fromHex(outputHex), 0)
      expect(output).toEqual(input.filter(({ offset }) => retainedOffsets.includes(offset)))
    }
  })

  it('reads batch after batch from a segment, with one reader', () => {
    const segment = loadVectors<{
      readonly appends: readonly { readonly lastOffset: string; readonly maxTimestamp: string }[]
      readonly files: Readonly<Record<string, string>>
    }>('segment.json')
    const log = fromHex(segment.files['00000000000000001000.log'] ?? '')
    const reader = new RecordBatchReader()
    const offsets: number[] = []
    const timestamps: number[] = []
    for (let at = 0; at < log.length; at += batchSizeBytesOf(log, at)) {
      expect(checkBatch(log, at, log.length)).toBe('ok')
      for (const record of readRecords(log, at, reader)) {
        offsets.push(record.offset)
        timestamps.push(record.timestamp)
      }
    }
    expect(offsets).toEqual(Array.from({ length: 13 }, (_, index) => 1_000 + index))
    const largest = segment.appends.map(({ maxTimestamp }) => Number(maxTimestamp))
    expect(Math.max(...timestamps)).toBe(Math.max(...largest))
  })
})

describe('a batch that Kafka tells apart from a valid one', () => {
  interface InvalidBatch {
    readonly name: string
    readonly hex: string
    readonly kafka: string
  }
  const { vectors } = loadVectors<{ readonly vectors: readonly InvalidBatch[] }>(
    'invalid-batches.json',
  )

  /** What refuses the bytes: the check of the batch, or the error of reading its records. */
  function verdictOn(bytes: Buffer): string {
    const check = checkBatch(bytes, 0, bytes.length)
    if (check !== 'ok') return `check: ${check}`
    try {
      readRecords(bytes, 0)
      return 'ok'
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error
      return `read: ${error.reason}`
    }
  }

  /** By what Kafka says. A negative count is found with the header, before Kafka finds it. */
  const counterparts: Readonly<Record<string, readonly string[]>> = {
    ok: ['ok'],
    'no complete batch (torn tail)': ['check: incomplete', 'check: zeros'],
    CorruptRecordException: ['check: length', 'check: magic', 'check: crc', 'check: zeros'],
    InvalidRecordException: ['read: record', 'check: header'],
    IllegalArgumentException: ['read: attributes'],
    KafkaException: ['read: compression'],
  }

  it.each(vectors)('$name is $kafka there and the same here', ({ hex, kafka }) => {
    expect(counterparts[kafka]).toContain(verdictOn(fromHex(hex)))
  })

  it('with a negative record count is refused by the reader too', () => {
    const { hex } = vectors.find(({ name }) => name === 'count_negative') ?? { hex: '' }
    expect(() => readRecords(fromHex(hex), 0)).toThrow(refusal('record'))
  })
})

describe('the records of a batch', () => {
  it('are read up to the one that is broken, which fails however often it is asked for', () => {
    const payload = Buffer.concat([recordOf(0, 0, 0, 1, 1, 0), recordOf(0, 0, 2, 1, 1, 1)])
    const reader = new RecordBatchReader()
    reader.reset(batchAround(payload, 2), 0, 0)
    expect(reader.next()).toBe(true)
    expect(() => reader.next()).toThrow(refusal('record'))
    expect(() => reader.next()).toThrow(refusal('record'))
  })

  it.each([
    ['read at one go', [0]],
    ['read step by step', [2, 0, 2, 0x61]],
  ])('are never handed out with an offset above the last of the batch, %s', (_, headers) => {
    const record = recordOf(0, 0, 6, 1, 1, ...headers)
    const reader = new RecordBatchReader()
    reader.reset(batchAround(Buffer.concat([record, record]), 2), 0, 0)
    expect(() => reader.next()).toThrow(refusal('record'))
  })

  it.each([
    ['an offset twice', [recordOf(0, 0, 2, 1, 1, 0), recordOf(0, 0, 2, 1, 1, 0)]],
    ['an offset below the one before', [recordOf(0, 0, 4, 1, 1, 0), recordOf(0, 0, 2, 1, 1, 0)]],
    ['a negative offset delta', [recordOf(0, 0, 1, 1, 1, 0)]],
    ['an offset above the last of the batch', [recordOf(0, 0, 6, 1, 1, 0)]],
    ['a length of zero', [Buffer.from([0])]],
    ['a negative length', [Buffer.from([1, 0, 0, 0, 1, 1, 0])]],
    [
      'a length beyond the payload',
      [Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0])],
    ],
    ['a key longer than the record', [recordOf(0, 0, 0, 4, 0x61), recordOf(0, 0, 2, 1, 1, 0)]],
    ['a value longer than the record', [recordOf(0, 0, 0, 1, 8, 0x61, 0)]],
    ['fewer headers than it says', [recordOf(0, 0, 0, 1, 1, 4, 0, 0)]],
    ['more headers than any record holds', [recordOf(0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f)]],
    ['a header whose name is null', [recordOf(0, 0, 0, 1, 1, 2, 1, 0)]],
    ['a header whose name is too long', [recordOf(0, 0, 0, 1, 1, 2, 8, 0x61)]],
    ['a header whose value is too long', [recordOf(0, 0, 0, 1, 1, 2, 0, 8, 0x61)]],
    ['bytes behind its headers', [recordOf(0, 0, 0, 1, 1, 2, 0, 0, 0)]],
  ])('are refused with %s', (_, records) => {
    const batch = batchAround(Buffer.concat(records), records.length)
    expect(() => readRecords(batch, 0)).toThrow(refusal('record'))
  })

  it('take every negative length of a key, value or header value for null, as Kafka does', () => {
    const batch = batchAround(recordOf(0, 0, 0, 5, 3, 2, 0, 7), 1)
    expect(readRecords(batch, 0)).toEqual([
      { offset: 0, timestamp: 1_000, key: null, value: null, headers: [['', null]] },
    ])
  })

  it('are none where the count is zero, whatever the payload is', () => {
    expect(readRecords(batchAround(Buffer.from([1, 2, 3]), 0, 5), 0)).toEqual([])
  })

  it('have the append time as timestamp once the log has set it', () => {
    const batch = batchAround(recordOf(0, 8, 0, 1, 1, 0), 1)
    expect(readRecords(batch, 0)[0]?.timestamp).toBe(1_004)
    assignAppendTime(batch, 0, 2_000)
    expect(readRecords(batch, 0)[0]?.timestamp).toBe(2_000)
  })

  it('are refused with a timestamp beyond 2^53 - 1', () => {
    const batch = batchAround(recordOf(0, ...fromHex('feffffffffffff1f'), 0, 1, 1, 0), 1)
    expect(() => readRecords(batch, 0)).toThrow(refusal('number'))
  })

  it('of a codec that does not exist fail only when the first is asked for', () => {
    const reader = new RecordBatchReader()
    reader.reset(batchAround(recordOf(0, 0, 0, 1, 1, 0), 1, 5), 0, 0)
    expect(() => reader.next()).toThrow(refusal('attributes'))
  })

  it('are not decompressed beyond the bound', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(500), 0)
    builder.add(0, null, Buffer.alloc(10_000), null)
    builder.finish('gzip')
    const reader = new RecordBatchReader()
    reader.reset(builder.buffer, builder.start, 10_000)
    expect(() => reader.next()).toThrow(refusal('limit'))
    reader.reset(builder.buffer, builder.start, 10_100)
    expect(reader.next()).toBe(true)
    expect(reader.valueLength).toBe(10_000)
  })

  it('of an earlier batch never follow when a later one is refused', () => {
    const reader = new RecordBatchReader()
    reader.reset(batchAround(recordOf(0, 0, 0, 1, 1, 0), 1), 0, 0)
    const cut = batchAround(recordOf(0, 0, 0, 1, 1, 0), 1).subarray(0, 64)
    expect(() => reader.reset(cut, 0, 0)).toThrow(refusal('length'))
    expect(reader.next()).toBe(false)
  })

  it('are the same ones, or broken at the same one, when each field is read with every check', () => {
    // Lengths and deltas around where a number takes a byte more, in odd encodings too.
    const number = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 }) },
      fc.constantFrom(-1, -64, 63, 64, 65, 127, 128, 8_190, 8_191, 8_192),
    )
    const encoded = fc
      .tuple(number, fc.integer({ min: 0, max: 9 }))
      .map(([value, oddness]) => varintOf(value, oddness === 0))
    const field = fc.oneof(
      fc.constant(Buffer.from([1])),
      fc.constantFrom(0, 1, 5, 63, 64, 70, 8_000).map((byteLength) => fieldOf(byteLength)),
      encoded,
    )
    const headers = fc.constantFrom(...HEADERS_ENDS.map((bytes) => Buffer.from(bytes)))
    const record = fc
      .tuple(encoded, encoded, field, field, headers, fc.integer({ min: -2, max: 30 }))
      .map(([timestamp, offset, key, value, tail, wrongBytes]) => {
        const body = Buffer.concat([Buffer.from([0]), timestamp, offset, key, value, tail])
        const claimed = body.length + (wrongBytes < 3 ? wrongBytes : 0)
        return Buffer.concat([varintOf(claimed, wrongBytes === 4), body])
      })
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), (records) => {
        const batch = batchAround(Buffer.concat(records), records.length)
        expect(placesIn(batch, records.length)).toEqual(checkedPlacesIn(batch, records.length))
      }),
      { numRuns: 1_000 },
    )
  })

  it('are read within the batch alone, and fail with CorruptBytes or not at all', () => {
    const valid = fromHex(readable.find(({ name }) => name === 'headers')?.hex ?? '').subarray(61)
    const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 })
    const payloads = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      edits.map((changes) => {
        const payload = Buffer.from(valid)
        for (const [at, byte] of changes) payload[at] = byte
        return payload
      }),
    )
    // What lies around the batch differs between two runs: a reader that looked would differ too.
    const outcome = (batch: Buffer, padding: number): unknown => {
      const around = Buffer.alloc(20, padding)
      try {
        return readRecords(Buffer.concat([around, batch, around]), 20)
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptBytes)
        return String(error)
      }
    }
    fc.assert(
      fc.property(payloads, fc.integer({ min: 0, max: 3 }), (payload, recordCount) => {
        const batch = batchAround(payload, recordCount)
        expect(batch.length).toBe(LOG_OVERHEAD_BYTES + 49 + payload.length)
        expect(outcome(batch, 0x00)).toEqual(outcome(batch, 0xff))
      }),
      { numRuns: 500 },
    )
  })
})
