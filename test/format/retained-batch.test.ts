/** What compaction leaves of a batch: Kafka's bytes, and the records that were kept. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Codec, codecOfAttributes, isCodecAvailable } from '../../src/format/compression.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import {
  assignAppendTime,
  assignOffsets,
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  checkBatch,
  hasDeleteHorizon,
  isTransactionalBatch,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  producerIdOf,
  recordCountOf,
  sealBatch,
  writeEmptyBatch,
} from '../../src/format/record-batch.ts'
import { type BatchRoom, RetainedBatch } from '../../src/format/retained-batch.ts'
import { fromHex, loadVectors, type PlainRecord, readRecords } from './vectors.ts'

const MAX_BYTES = 1 << 20

/** Room behind some bytes of others, as a cleaner has it. */
class Room implements BatchRoom {
  buffer = Buffer.alloc(16, 0xee)
  at = 0
  end = 0

  reserve(byteLength: number): number {
    if (this.buffer.length < this.end + byteLength) {
      this.buffer = Buffer.concat([this.buffer, Buffer.alloc(this.end + byteLength, 0xee)])
    }
    this.at = this.end
    return this.at
  }

  taken(byteLength: number): Buffer {
    return Buffer.from(this.buffer.subarray(this.at, this.at + byteLength))
  }
}

/** How a test filters a batch. */
interface Filter {
  readonly kept: (offset: number) => boolean
  readonly codec?: Codec
  readonly deleteHorizonMs?: number
}

/** What is left of `batch`, where something is. */
function filtered(batch: Buffer, filter: Filter, retained = new RetainedBatch()): Buffer {
  const reader = new RecordBatchReader()
  reader.reset(batch, 0, MAX_BYTES)
  retained.begin(batch, 0)
  const codec = codecOfAttributes(attributesOf(batch, 0))
  let start = codec === 'none' ? BATCH_HEADER_BYTES : 0
  while (reader.next()) {
    if (filter.kept(reader.offset)) retained.keep(start, reader.headersEnd, reader.timestamp)
    start = reader.headersEnd
  }
  const room = new Room()
  room.end = 7
  const deleteHorizonMs = filter.deleteHorizonMs ?? -1
  const form = { codec: filter.codec ?? codec, deleteHorizonMs }
  return room.taken(retained.writeTo(room, reader.buffer, form))
}

function emptied(batch: Buffer): Buffer {
  const target = Buffer.alloc(BATCH_HEADER_BYTES + 3, 0xee)
  writeEmptyBatch(batch, 0, target, 3)
  return target.subarray(3)
}

interface CompactionVector {
  readonly name: string
  readonly inputHex: string
  readonly outputHex: string
  readonly retainedOffsets: readonly number[]
  readonly currentTimeMs: string
  readonly deleteRetentionMs: string
  readonly batchRetention: 'DELETE_EMPTY' | 'RETAIN_EMPTY'
  readonly containsMarkerForEmptyTxn: boolean
}

/** What the cleaner does with a batch, said in the words of the vectors. */
function asKafka(vector: CompactionVector): string {
  const input = fromHex(vector.inputHex)
  const records = readRecords(input, 0)
  const offsets = new Set(vector.retainedOffsets)
  const kept = records.filter(({ offset }) => offsets.has(offset))
  if (kept.length === 0) {
    return vector.batchRetention === 'RETAIN_EMPTY' ? emptied(input).toString('hex') : ''
  }
  const hasTombstone = kept.some(({ value }) => value === null)
  const hasHorizon = hasDeleteHorizon(attributesOf(input, 0))
  const isDue = (hasTombstone || vector.containsMarkerForEmptyTxn) && !hasHorizon
  if (kept.length === records.length && !isDue) return vector.inputHex
  const deleteHorizonMs = isDue
    ? Number(vector.currentTimeMs) + Number(vector.deleteRetentionMs)
    : -1
  return filtered(input, { kept: (offset) => offsets.has(offset), deleteHorizonMs }).toString('hex')
}

const { vectors } = loadVectors<{ readonly vectors: readonly CompactionVector[] }>(
  'compaction.json',
)

describe('the batches that a Kafka cleaner wrote', () => {
  for (const vector of vectors.filter(({ name }) => name !== 'compressed_partial')) {
    it(`are written here byte for byte: ${vector.name}`, () => {
      expect(asKafka(vector)).toBe(vector.outputHex)
    })
  }

  const compressed = vectors.find(({ name }) => name === 'compressed_partial')
  it.runIf(isCodecAvailable('lz4', 'compress'))('read the same where they are compressed', () => {
    const ours = fromHex(asKafka(compressed as CompactionVector)) // it is in the file
    const theirs = fromHex(compressed?.outputHex ?? '')
    expect(checkBatch(ours, 0, ours.length)).toBe('ok')
    expect(readRecords(ours, 0)).toStrictEqual(readRecords(theirs, 0))
    expect(ours.subarray(21, BATCH_HEADER_BYTES)).toStrictEqual(
      theirs.subarray(21, BATCH_HEADER_BYTES),
    )
  })
})

/** A batch as it may lie in a log. */
interface Shape {
  readonly records: readonly {
    readonly timestamp: number
    readonly key: string | null
    readonly value: Uint8Array | null
    readonly headers: readonly string[]
  }[]
  readonly codec: Codec
  readonly appendTime: number | null
  readonly transactional: boolean
}

const CODECS: readonly Codec[] = (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).filter(
  (codec) => isCodecAvailable(codec, 'compress'),
)
const timestamps = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_200 }),
  fc.integer({ min: -1, max: 2 }),
  fc.maxSafeInteger(),
)
const shapes: fc.Arbitrary<Shape> = fc.record({
  records: fc.array(
    fc.record({
      timestamp: timestamps,
      key: fc.option(fc.string({ maxLength: 70 })),
      value: fc.option(fc.uint8Array({ maxLength: 130 })),
      headers: fc.array(fc.string({ maxLength: 3 }), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  codec: fc.constantFrom(...CODECS),
  appendTime: fc.option(fc.integer({ min: 0, max: 2 ** 41 })),
  transactional: fc.boolean(),
})

/** The batch, or undefined where its timestamps lie too far apart for any batch. */
function batchOf(shape: Shape): Buffer | undefined {
  const base = shape.records[0]?.timestamp ?? 0
  if (!shape.records.every(({ timestamp }) => Number.isSafeInteger(timestamp - base))) {
    return undefined
  }
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(64), 0)
  for (const { timestamp, key, value, headers } of shape.records) {
    const flat = headers.flatMap((name) => [name, name === '' ? null : `v${name}`])
    builder.add(timestamp, key, value, flat)
  }
  const producer = { producerId: 7, producerEpoch: 1, baseSequence: 3 }
  builder.finish(shape.codec, { ...producer, transactional: shape.transactional })
  const { buffer, start, sizeBytes } = builder
  const batch = Buffer.from(buffer.subarray(start, start + sizeBytes))
  assignOffsets(batch, 0, 4_000, 5)
  if (shape.appendTime !== null) assignAppendTime(batch, 0, shape.appendTime)
  sealBatch(batch, 0)
  return batch
}

describe('a batch of which some records are kept', () => {
  it('has these records and nothing else, of whatever codec, times and fields', () => {
    const retained = new RetainedBatch()
    const keeps = fc.array(fc.boolean(), { minLength: 12, maxLength: 12 })
    const horizons = fc.option(fc.integer({ min: 0, max: 2 ** 42 }))
    fc.assert(
      fc.property(
        shapes,
        keeps,
        horizons,
        fc.constantFrom(...CODECS),
        (shape, keep, horizon, codec) => {
          const batch = batchOf(shape)
          if (batch === undefined) return
          const wanted = readRecords(batch, 0).filter((_, index) => keep[index])
          if (wanted.length === 0) return
          const kept = (offset: number): boolean => keep[offset - 4_000] === true
          const form = { kept, codec, deleteHorizonMs: horizon ?? -1 }
          const written = filtered(batch, form, retained)
          expect(checkBatch(written, 0, written.length)).toBe('ok')
          expect(readRecords(written, 0)).toStrictEqual(wanted)
          expectHeader(written, batch, wanted)
          expect(codecOfAttributes(attributesOf(written, 0))).toBe(codec)
          // Once more, with fewer: what has a horizon keeps it.
          const last = wanted.at(-1)?.offset
          const again = filtered(written, { kept: (offset) => offset === last }, retained)
          expect(readRecords(again, 0)).toStrictEqual(wanted.slice(-1))
          const had = hasDeleteHorizon(attributesOf(written, 0))
          expect(hasDeleteHorizon(attributesOf(again, 0))).toBe(had)
          if (had) expect(baseTimestampOf(again, 0)).toBe(baseTimestampOf(written, 0))
        },
      ),
    )
  })

  it('gets its horizon, from which its records count', () => {
    const batch = batchOf(SIMPLE) as Buffer // its times are next to each other
    const written = filtered(batch, { kept: () => true, deleteHorizonMs: 5_000 })
    expect(hasDeleteHorizon(attributesOf(written, 0))).toBe(true)
    expect(baseTimestampOf(written, 0)).toBe(5_000)
    expect(readRecords(written, 0)).toStrictEqual(readRecords(batch, 0))
  })

  it('gets no horizon that its records are too far from', () => {
    const far = { ...SIMPLE, records: SIMPLE.records.map((one) => ({ ...one, timestamp: -MAX })) }
    const batch = batchOf(far) as Buffer // all of one time
    const written = filtered(batch, { kept: () => true, deleteHorizonMs: 5_000 })
    expect(hasDeleteHorizon(attributesOf(written, 0))).toBe(false)
    expect(readRecords(written, 0)).toStrictEqual(readRecords(batch, 0))
  })

  it('counts from where it did when its first record is too far from the others', () => {
    const times = [0, -MAX, MAX]
    const records = times.map((timestamp) => ({ timestamp, key: 'k', value: null, headers: [] }))
    const batch = batchOf({ ...SIMPLE, records }) as Buffer // both are as far as can be from 0
    const written = filtered(batch, { kept: (offset) => offset > 4_000 })
    expect(baseTimestampOf(written, 0)).toBe(0)
    expect(readRecords(written, 0)).toStrictEqual(readRecords(batch, 0).slice(1))
  })
})

const MAX = Number.MAX_SAFE_INTEGER
const SIMPLE: Shape = {
  records: [1_000, 1_001, 1_002].map((timestamp) => ({
    timestamp,
    key: `k${timestamp}`,
    value: Buffer.from('v'),
    headers: [],
  })),
  codec: 'none',
  appendTime: null,
  transactional: true,
}

function expectHeader(written: Buffer, batch: Buffer, wanted: readonly PlainRecord[]): void {
  expect(baseOffsetOf(written, 0)).toBe(baseOffsetOf(batch, 0))
  expect(lastOffsetOf(written, 0)).toBe(lastOffsetOf(batch, 0))
  expect(leaderEpochOf(written, 0)).toBe(5)
  expect(producerIdOf(written, 0)).toBe(7)
  expect(recordCountOf(written, 0)).toBe(wanted.length)
  expect(isTransactionalBatch(attributesOf(written, 0))).toBe(
    isTransactionalBatch(attributesOf(batch, 0)),
  )
  const largest = Math.max(-1, ...wanted.map(({ timestamp }) => timestamp))
  expect(maxTimestampOf(written, 0)).toBe(largest)
}

describe('a batch that stays without its records', () => {
  it('keeps offsets, producer, time and flags, and has no codec and no horizon', () => {
    const codec = CODECS.at(-1) ?? 'none'
    const batch = batchOf({ ...SIMPLE, codec }) as Buffer // its times are next to each other
    const horizon = filtered(batch, { kept: () => true, deleteHorizonMs: 5_000 })
    const empty = emptied(horizon)
    expect(empty.length).toBe(BATCH_HEADER_BYTES)
    expect(checkBatch(empty, 0, empty.length)).toBe('ok')
    expect(readRecords(empty, 0)).toStrictEqual([])
    expect(lastOffsetOf(empty, 0)).toBe(4_002)
    expect(producerIdOf(empty, 0)).toBe(7)
    expect(maxTimestampOf(empty, 0)).toBe(1_002)
    expect(baseTimestampOf(empty, 0)).toBe(-1)
    expect(attributesOf(empty, 0)).toBe(0x10)
  })

  it('is the same when it is emptied again', () => {
    const once = emptied(batchOf(SIMPLE) as Buffer) // its times are next to each other
    expect(emptied(once)).toStrictEqual(once)
  })
})
