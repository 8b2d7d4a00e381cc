/**
 * Loads the vectors of test/vectors/, which Kafka's own classes and other clients made; the README
 * beside them says how. Types cover what the tests of format/ read.
 */
import { readFileSync } from 'node:fs'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { readHeaders } from '../../src/format/record.ts'

const MAX_DECOMPRESSED_BYTES = 1 << 20

/** A file of test/vectors/, parsed. The caller's type argument states what the README says. */
export function loadVectors<T>(name: string): T {
  const text = readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
  return JSON.parse(text) as T // the files never change; a wrong shape fails the test that reads it
}

/** Bytes of a hex string. */
export function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

/** One record as the vectors list it: hex bytes, decimal int64. */
export interface RecordVector {
  readonly offset: string
  readonly timestamp: string
  readonly sequence: number
  readonly key: string | null
  /** Absent where the value is given by `valueLength` and a rule. */
  readonly value?: string | null
  readonly valueLength?: number
  readonly headers: readonly (readonly [string, string | null])[]
  readonly timestampDelta: string
  readonly offsetDelta: number
}

/** One batch as the vectors list it. */
export interface BatchVector {
  readonly baseOffset: string
  readonly batchLength: number
  readonly partitionLeaderEpoch: number
  readonly magic: number
  readonly crc: number
  readonly attributes: number
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly deleteHorizonMs: string | null
  readonly lastOffsetDelta: number
  readonly lastOffset: string
  readonly baseTimestamp: string
  readonly maxTimestamp: string
  readonly producerId: string
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly count: number
  readonly records: readonly RecordVector[]
}

/** A batch's bytes and what they mean. */
export interface NamedBatchVector {
  readonly name: string
  readonly hex: string
  readonly batch: BatchVector
}

/** All batches that Kafka and other producers wrote. */
export function loadBatchVectors(): readonly NamedBatchVector[] {
  interface File {
    readonly vectors: readonly NamedBatchVector[]
  }
  return [
    ...loadVectors<File>('record-batches.json').vectors,
    ...loadVectors<File>('record-batches-clients.json').vectors,
  ]
}

/** A record as plain values: what one read gives and what a vector lists, to be compared. */
export interface PlainRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

/** The records a vector lists. Names of headers are given as text, everything else as hex. */
export function listedRecords(batch: BatchVector): readonly PlainRecord[] {
  return batch.records.map((record) => ({
    offset: Number(record.offset),
    timestamp: Number(record.timestamp),
    key: record.key,
    value: listedValue(record),
    headers: record.headers.map(([name, value]) => [fromHex(name).toString(), value] as const),
  }))
}

/** All records of the batch at `at`, read to the end. */
export function readRecords(
  buffer: Buffer,
  at: number,
  reader: RecordBatchReader = new RecordBatchReader(),
): readonly PlainRecord[] {
  const records: PlainRecord[] = []
  reader.reset(buffer, at, MAX_DECOMPRESSED_BYTES)
  while (reader.next()) records.push(currentRecord(reader))
  return records
}

/** The record that `reader` is at, copied. */
function currentRecord(reader: RecordBatchReader): PlainRecord {
  const { buffer, keyStart, keyLength, valueStart, valueLength } = reader
  const hexAt = (start: number, length: number): string | null =>
    length < 0 ? null : buffer.toString('hex', start, start + length)
  const flat = readHeaders(buffer, reader.headersStart, reader.headerCount)
  const headers: [string, string | null][] = []
  for (let i = 0; i < flat.length; i += 2) {
    const value = flat[i + 1] ?? null
    headers.push([String(flat[i]), value === null ? null : Buffer.from(value).toString('hex')])
  }
  return {
    offset: reader.offset,
    timestamp: reader.timestamp,
    key: hexAt(keyStart, keyLength),
    value: hexAt(valueStart, valueLength),
    headers,
  }
}

/**
 * Long values are listed by a rule: two batches have one of 70,000 bytes, clients repeat a text.
 */
function listedValue(record: RecordVector): string | null {
  if (record.value !== undefined) return record.value
  if (record.valueLength === 1_240) {
    return Buffer.from('streambed-compressible-payload-'.repeat(40)).toString('hex')
  }
  const letters = Buffer.alloc(record.valueLength ?? 0)
  for (let i = 0; i < letters.length; i++) letters[i] = 0x61 + (Math.floor(i / 7) % 26)
  return letters.toString('hex')
}
