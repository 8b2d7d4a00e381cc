/** Building batches: Kafka's bytes where they are uncompressed, its records where they are not. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../src/format/compression.ts'
import { type FlatHeaders, RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import {
  assignAppendTime,
  assignOffsets,
  attributesOf,
  baseTimestampOf,
  batchSizeBytesOf,
  checkBatch,
  isControlBatch,
  maxTimestampOf,
  sealBatch,
  writeBatchHeader,
} from '../../src/format/record-batch.ts'
import { recordBytes, unitCount, writeRecord } from '../../src/format/record.ts'
import {
  type BatchVector,
  fromHex,
  listedRecords,
  loadBatchVectors,
  type PlainRecord,
  readRecords,
} from './vectors.ts'

type Field = string | Uint8Array | null

interface Input {
  readonly timestamp: number
  readonly key: Field
  readonly value: Field
  readonly headers: FlatHeaders | null
}

const PRODUCER_ID_AT = 43

/** The inputs of a vector's records; the timestamps as sent, also where append time hides them. */
function inputsOf(batch: BatchVector, form: 'bytes' | 'text'): readonly Input[] {
  const toField = (hex: string | null): Field => {
    if (hex === null) return null
    const bytes = fromHex(hex)
    const text = bytes.toString()
    return form === 'text' && Buffer.from(text).equals(bytes) ? text : bytes
  }
  return listedRecords(batch).map((record, index) => ({
    timestamp: Number(batch.baseTimestamp) + Number(batch.records[index]?.timestampDelta),
    key: toField(record.key),
    value: toField(record.value),
    headers: record.headers.flatMap(([name, value]) => [name, toField(value)]),
  }))
}

function addAll(builder: RecordBatchBuilder, inputs: readonly Input[]): void {
  for (const { timestamp, key, value, headers } of inputs)
    builder.add(timestamp, key, value, headers)
}

/** The bytes of the batch that `builder` holds. */
function bytesOf(builder: RecordBatchBuilder): Buffer {
  return builder.buffer.subarray(builder.start, builder.start + builder.sizeBytes)
}

/** What a log does to a finished batch, so that it has the bytes the vector has. */
function store(batch: Buffer, vector: BatchVector): void {
  assignOffsets(batch, 0, Number(vector.baseOffset), vector.partitionLeaderEpoch)
  if (vector.timestampType === 'LogAppendTime')
    assignAppendTime(batch, 0, Number(vector.maxTimestamp))
  if (isUnsafe(vector.producerId)) batch.writeBigInt64BE(BigInt(vector.producerId), PRODUCER_ID_AT)
  sealBatch(batch, 0)
}

/** One vector has a producer id of 2^53 + 1, which is written around our refusal to round it. */
function isUnsafe(producerId: string): boolean {
  return !Number.isSafeInteger(Number(producerId))
}

function producerOf(batch: BatchVector): Parameters<RecordBatchBuilder['finish']>[1] {
  return {
    producerId: isUnsafe(batch.producerId) ? -1 : Number(batch.producerId),
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    transactional: batch.isTransactional,
    control: batch.isControl,
  }
}

const vectors = loadBatchVectors()
const isAsAppended = ({ batch }: { readonly batch: BatchVector }): boolean =>
  batch.count === batch.lastOffsetDelta + 1
const appended = vectors.filter(isAsAppended)
const plainAppended = appended.filter(({ batch }) => batch.compression === 'none')
const plainCompacted = vectors.filter(
  (vector) => !isAsAppended(vector) && vector.batch.compression === 'none',
)

describe('a batch that producers and Kafka wrote', () => {
  it.each(plainAppended)('$name is built with the same bytes', ({ hex, batch }) => {
    for (const form of ['bytes', 'text'] as const) {
      const builder = new RecordBatchBuilder()
      builder.begin(Buffer.alloc(100), 40)
      addAll(builder, inputsOf(batch, form))
      builder.finish('none', producerOf(batch))
      const built = bytesOf(builder)
      store(built, batch)
      expect(built.toString('hex')).toBe(hex)
    }
  })

  it.each(plainCompacted)('$name, with gaps, is written with the same bytes', ({ hex, batch }) => {
    const inputs = inputsOf(batch, 'text')
    const built = Buffer.alloc(hex.length / 2)
    let position = 61
    inputs.forEach(({ timestamp, key, value, headers }, index) => {
      const units = unitCount(key) + unitCount(value)
      const timestampDelta = timestamp - Number(batch.baseTimestamp)
      const offsetDelta = batch.records[index]?.offsetDelta ?? -1
      const start = position
      position = writeRecord(
        built,
        position,
        units,
        timestampDelta,
        offsetDelta,
        key,
        value,
        headers,
      )
      expect(position - start).toBe(recordBytes(timestampDelta, offsetDelta, key, value, headers))
    })
    writeBatchHeader(built, 0, {
      batchBytes: position,
      attributes: batch.attributes,
      lastOffsetDelta: batch.lastOffsetDelta,
      baseTimestamp: Number(batch.baseTimestamp),
      maxTimestamp: Number(batch.maxTimestamp),
      producerId: Number(batch.producerId),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: batch.count,
    })
    store(built, batch)
    expect(built.toString('hex')).toBe(hex)
  })

  it.each(appended.filter(({ batch }) => isCodecAvailable(batch.compression, 'compress')))(
    '$name reads back the same after it is built with its codec',
    ({ batch }) => {
      const builder = new RecordBatchBuilder()
      builder.begin(Buffer.alloc(1_000), 3)
      addAll(builder, inputsOf(batch, 'text'))
      builder.finish(batch.compression, producerOf(batch))
      const built = Buffer.from(bytesOf(builder))
      store(built, batch)
      expect(checkBatch(built, 0, built.length)).toBe('ok')
      expect(attributesOf(built, 0)).toBe(batch.attributes)
      expect(readRecords(built, 0)).toEqual(listedRecords(batch))
    },
  )
})

/** Text of every kind: ASCII short and long, wide, lone surrogates, lengths around the widths. */
const texts = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.constantFrom('', '\ud800', 'a\udc00b', 'é'.repeat(32), 'a'.repeat(63), 'a'.repeat(64)),
  fc
    .tuple(fc.constantFrom('x', 'ß', '語', '😀', '\udfff'), fc.nat(70))
    .map(([c, n]) => c.repeat(n)),
  fc.constantFrom(8_180, 8_191, 8_192, 9_000).map((length) => 'y'.repeat(length)),
)
const fields: fc.Arbitrary<Field> = fc.oneof(
  fc.constant(null),
  texts,
  fc.uint8Array({ maxLength: 70 }),
  fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
)
const headerLists: fc.Arbitrary<FlatHeaders | null> = fc.option(
  fc.array(fc.tuple(texts, fields), { maxLength: 3 }).map((pairs) => pairs.flat()),
)
const inputLists: fc.Arbitrary<readonly Input[]> = fc.array(
  fc.record({
    timestamp: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.integer({ min: -1, max: 2 ** 52 }),
    ),
    key: fields,
    value: fields,
    headers: headerLists,
  }),
  { minLength: 1, maxLength: 6 },
)

/** What reading has to give for `inputs`. */
function expected(inputs: readonly Input[]): readonly PlainRecord[] {
  const hex = (field: Field): string | null =>
    // bytes are copied, text is encoded
    field === null ? null : Buffer.from(field as string).toString('hex')
  return inputs.map(({ timestamp, key, value, headers }, offset) => {
    const pairs: [string, string | null][] = []
    const flat = headers ?? []
    for (let i = 0; i < flat.length; i += 2) {
      pairs.push([fromHex(hex(flat[i] ?? null) ?? '').toString(), hex(flat[i + 1] ?? null)])
    }
    return { offset, timestamp, key: hex(key), value: hex(value), headers: pairs }
  })
}

describe('building a batch', () => {
  it('gives back every record, of strings and bytes alike, with every codec', () => {
    const builder = new RecordBatchBuilder()
    const codecs = COMPRESSION_CODECS.filter((codec) => isCodecAvailable(codec, 'compress'))
    fc.assert(
      fc.property(inputLists, fc.constantFrom(...codecs), (inputs, codec) => {
        builder.begin(Buffer.alloc(300), 0)
        addAll(builder, inputs)
        builder.finish(codec)
        sealBatch(builder.buffer, builder.start)
        const end = builder.start + builder.sizeBytes
        expect(batchSizeBytesOf(builder.buffer, builder.start)).toBe(builder.sizeBytes)
        expect(checkBatch(builder.buffer, builder.start, end)).toBe('ok')
        expect(readRecords(builder.buffer, builder.start)).toEqual(expected(inputs))
        const timestamps = inputs.map(({ timestamp }) => timestamp)
        expect(baseTimestampOf(builder.buffer, builder.start)).toBe(timestamps[0])
        expect(maxTimestampOf(builder.buffer, builder.start)).toBe(Math.max(...timestamps))
      }),
    )
  })

  it('knows its size before each record is added', () => {
    const builder = new RecordBatchBuilder()
    fc.assert(
      fc.property(inputLists, (inputs) => {
        builder.begin(Buffer.alloc(1_000), 0)
        for (const { timestamp, key, value, headers } of inputs) {
          const sizeBytes = builder.sizeAfter(timestamp, key, value, headers)
          builder.add(timestamp, key, value, headers)
          expect(builder.sizeBytes).toBe(sizeBytes)
        }
        builder.finish('none')
        expect(builder.recordCount).toBe(inputs.length)
      }),
    )
  })

  it('gives the same bytes in place, in a buffer it fits exactly, and moved', () => {
    const builder = new RecordBatchBuilder()
    fc.assert(
      fc.property(inputLists, fc.nat(99), (inputs, start) => {
        const roomy = Buffer.alloc(100_000 + start, 0xee)
        builder.begin(roomy, start)
        addAll(builder, inputs)
        builder.finish('none')
        const bytes = Buffer.from(bytesOf(builder))
        expect(builder.buffer).toBe(roomy)
        expect(roomy.subarray(0, start).every((byte) => byte === 0xee)).toBe(true)

        const exact = Buffer.alloc(start + bytes.length)
        builder.begin(exact, start)
        addAll(builder, inputs)
        builder.finish('none')
        expect(builder.buffer).toBe(exact)
        expect(bytesOf(builder).equals(bytes)).toBe(true)

        const small = Buffer.alloc(start + bytes.length - 1)
        builder.begin(small, start)
        addAll(builder, inputs)
        builder.finish('none')
        expect(builder.buffer).not.toBe(small)
        expect(bytesOf(builder).equals(bytes)).toBe(true)
      }),
    )
  })

  it('goes on in memory of its own when it is moved out, and stays where it is finished', () => {
    const first = Buffer.alloc(1_000)
    const builder = new RecordBatchBuilder()
    builder.begin(first, 100)
    builder.add(7, 'a', 'first', null)
    builder.moveOut()
    first.fill(0xee)
    builder.add(9, 'b', 'second', null)
    builder.finish('none')
    const { buffer, start, sizeBytes } = builder
    expect(new Set(first)).toEqual(new Set([0xee]))
    builder.moveOut()
    expect([builder.buffer, builder.start, builder.sizeBytes]).toEqual([buffer, start, sizeBytes])
    sealBatch(buffer, start)
    expect(readRecords(buffer, start).map(({ value }) => value)).toEqual(
      ['first', 'second'].map((text) => Buffer.from(text).toString('hex')),
    )
  })

  it('moves a compressed batch only when it no longer fits in place', () => {
    const incompressible = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * i * 31) >> 3))
    const builder = new RecordBatchBuilder()
    const room = Buffer.alloc(1_000)
    builder.begin(room, 10)
    builder.add(0, null, incompressible, null)
    builder.finish('gzip')
    expect([builder.buffer, builder.start]).toEqual([room, 10])
    const tight = Buffer.alloc(10 + builder.sizeBytes - 1)
    builder.begin(tight, 10)
    builder.add(0, null, incompressible, null)
    builder.finish('gzip')
    expect(builder.buffer).not.toBe(tight)
    expect(readRecords(builder.buffer, builder.start)[0]?.value).toBe(
      incompressible.toString('hex'),
    )
  })

  it('starts from nothing each time, and leaves finished batches alone', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(0), 0)
    builder.add(5, 'key', 'value', null)
    builder.finish('none')
    const first = builder.buffer
    const copy = Buffer.from(first)
    builder.begin(Buffer.alloc(200), 0)
    expect(builder).toMatchObject({
      recordCount: 0,
      sizeBytes: 61,
      baseTimestamp: -1,
      maxTimestamp: -1,
    })
    builder.add(9, null, 'other', null)
    expect(builder).toMatchObject({ recordCount: 1, baseTimestamp: 9, maxTimestamp: 9 })
    builder.finish('none')
    expect(first.equals(copy)).toBe(true)
    expect(readRecords(builder.buffer, 0)).toHaveLength(1)
  })

  it('makes the same of a record, whether it comes in one piece or in four', () => {
    const built = (encode: (builder: RecordBatchBuilder) => void): Buffer => {
      const builder = new RecordBatchBuilder()
      builder.begin(Buffer.alloc(100), 0)
      encode(builder)
      builder.finish('none')
      return builder.buffer.subarray(builder.start, builder.start + builder.sizeBytes)
    }
    const records = Array.from({ length: 70 }, (_, index) => ({
      timestamp: 1_000_000_000_000 + (index % 3 === 0 ? -index : index),
      key: index % 2 === 0 ? 'key' : null,
      value: Buffer.alloc(index, index),
      headers: index % 5 === 0 ? ['name', 'value'] : null,
    }))
    const inPieces = built((builder) => addAll(builder, records))
    const whole = built((builder) => {
      for (const record of records) builder.addRecord(record)
    })
    expect(whole.equals(inPieces)).toBe(true)
    const times = readRecords(whole, 0).map(({ timestamp }) => timestamp)
    expect(times).toEqual(records.map((record) => record.timestamp))
  })

  it('keeps nothing of its inputs', () => {
    const value = Buffer.from('before')
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(200), 0)
    builder.add(0, null, value, null)
    value.fill('x')
    builder.finish('none')
    expect(readRecords(builder.buffer, 0)[0]?.value).toBe(Buffer.from('before').toString('hex'))
  })

  it('marks a control batch', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(200), 0)
    builder.add(0, Buffer.from('00000001', 'hex'), Buffer.from('000000000003', 'hex'), null)
    const marker = {
      producerId: 7,
      producerEpoch: 1,
      baseSequence: -1,
      transactional: true,
      control: true,
    }
    builder.finish('none', marker)
    expect(attributesOf(builder.buffer, 0)).toBe(0x30)
    expect(isControlBatch(attributesOf(builder.buffer, 0))).toBe(true)
  })

  it('asserts what only a bug can do, and goes on from the state before it', () => {
    const builder = new RecordBatchBuilder()
    expect(() => builder.add(0, null, null, null)).toThrow(InvariantError)
    builder.begin(Buffer.alloc(300), 0)
    expect(() => builder.finish('none')).toThrow(InvariantError)
    expect(() => builder.add(0, null, null, ['name'])).toThrow(InvariantError)
    expect(() => builder.add(0, null, null, [null, 'value'])).toThrow(InvariantError)
    builder.add(-1, 'a', null, null)
    expect(() => builder.add(Number.MAX_SAFE_INTEGER, null, null, null)).toThrow(InvariantError)
    expect(() => builder.add(0.5, null, null, null)).toThrow(InvariantError)
    builder.add(2, 'b', null, null)
    builder.finish('none')
    expect(() => builder.add(0, null, null, null)).toThrow(InvariantError)
    expect(() => builder.finish('none')).toThrow(InvariantError)
    expect(readRecords(builder.buffer, 0).map(({ timestamp }) => timestamp)).toEqual([-1, 2])
  })
})
