/**
 * Loads the vectors of test/vectors/, which Kafka's own classes and other clients made; the README
 * beside them says how. Types cover what the tests of format/ read.
 */
import { readFileSync } from 'node:fs'

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
