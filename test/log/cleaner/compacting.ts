/**
 * Compacted partitions for tests: keyed records by hand, a pass of the cleaner with its swaps, and
 * what is there afterwards.
 */
import type { Codec } from '../../../src/format/compression.ts'
import type { TransactionOutcome } from '../../../src/format/control-record.ts'
import {
  attributesOf,
  batchSizeBytesOf,
  isControlBatch,
  isTransactionalBatch,
  producerIdOf,
} from '../../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../../src/format/record-batch-reader.ts'
import { readHeaders } from '../../../src/format/record.ts'
import {
  cleanPartition,
  type CleanResult,
  type CleanSettings,
} from '../../../src/log/cleaner/cleaner.ts'
import type { AppendedBatch } from '../../../src/log/encoded-batch.ts'
import type { TopicConfig } from '../../../src/log/log-config.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { SegmentRemoval } from '../../../src/log/segment-removal.ts'
import { swapIn } from '../../../src/log/segment-swap.ts'
import { type Procedure, runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { openLog, partitionOf } from '../open-log.ts'

const MAX_BYTES = 1 << 26

/** A record to append; its key and value are text. */
export interface KeyedRecord {
  readonly key: string | null
  readonly value: string | null
  readonly timestamp?: number
  readonly headers?: readonly (string | null)[]
}

/** Who appends, and how. */
export interface AppendOptions {
  readonly codec?: Codec
  /** -1: nobody. */
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly transactional?: boolean
}

/** A record as it was read. */
export interface SeenRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (string | null)[]
}

/** An open log with one compacted topic, `t`. */
export interface CompactedLog {
  readonly driver: StorageDriver
  readonly clock: FakeClock
  readonly log: LogDirectory
  readonly partition: PartitionLog
}

/** A new log; segments of a few batches. */
export async function compactedLog(
  config: TopicConfig = {},
  driver: StorageDriver = new FaultDriver(),
): Promise<CompactedLog> {
  const clock = new FakeClock(1_700_000_000_000)
  const { log } = await openLog(driver, { clock })
  const settings = { segmentBytes: 1_024, indexIntervalBytes: 256, preallocate: false }
  await runProcedure(log.createTopic('t', { cleanupPolicy: 'compact', ...settings, ...config }))
  return { driver, clock, log, partition: partitionOf(log, 't') }
}

/** Appends `records` as one batch. */
export function append(
  partition: PartitionLog,
  records: readonly KeyedRecord[],
  options: AppendOptions = {},
): AppendedBatch {
  const { codec = 'none', producerId = -1, producerEpoch = 0, transactional = false } = options
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(64), 0)
  for (const { key, value, timestamp = 1_000, headers } of records) {
    builder.add(timestamp, key, value, headers ?? null)
  }
  if (producerId < 0) builder.finish(codec)
  else {
    const baseSequence = partition.nextSequence(producerId, producerEpoch)
    builder.finish(codec, { producerId, producerEpoch, baseSequence, transactional })
  }
  return partition.append(builder)
}

/** Appends a batch of one record for each of `pairs`. */
export function putAll(
  partition: PartitionLog,
  pairs: readonly (readonly [string, string | null])[],
): void {
  for (const [key, value] of pairs) append(partition, [{ key, value }])
}

/** Appends the marker that ends what the producer has open, and returns its offset. */
export function end(
  partition: PartitionLog,
  producerId: number,
  outcome: TransactionOutcome,
  producerEpoch: number = 0,
): number {
  return partition.appendMarker({ producerId, producerEpoch, outcome, coordinatorEpoch: 0 })
}

/** Settings of a pass over all that is there, in one go. */
export function settingsOf(
  { driver, clock, log, partition }: CompactedLog,
  given: Partial<CleanSettings> = {},
): CleanSettings {
  const removal = new SegmentRemoval(driver, clock)
  const topic = log.topic('t')
  return {
    driver,
    firstDirtyOffset: 0,
    force: true,
    bufferBytes: 1 << 20,
    nowMs: clock.now(),
    throttle: () => undefined,
    isStopped: () => false,
    *swap(old, cleaned): Procedure<void> {
      if (topic !== undefined) yield* log.markCompacted(topic)
      yield* swapIn({ driver, log: partition, removal }, old, cleaned)
    },
    ...given,
  }
}

/** Compacts the partition. */
export async function compact(
  compacted: CompactedLog,
  given: Partial<CleanSettings> = {},
): Promise<CleanResult> {
  return await runProcedure(cleanPartition(compacted.partition, settingsOf(compacted, given)))
}

/** What is there, from the files alone. */
export function recordsIn(partition: PartitionLog, readsCommitted: boolean = false): SeenRecord[] {
  partition.tail.clear()
  const limit = readsCommitted ? partition.lastStableOffset : partition.logEndOffset
  const cursor = partition.cursor(partition.logStartOffset)
  const reader = new RecordBatchReader()
  const records: SeenRecord[] = []
  for (let run = cursor.next(limit); run !== undefined; run = cursor.next(limit)) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      const attributes = attributesOf(run.buffer, at)
      if (isControlBatch(attributes)) continue
      reader.reset(run.buffer, at, MAX_BYTES)
      const isHidden =
        readsCommitted &&
        isTransactionalBatch(attributes) &&
        partition.isAborted(producerIdOf(run.buffer, at), reader.baseOffset)
      if (isHidden) continue
      while (reader.next()) {
        if (reader.offset >= partition.logStartOffset) records.push(seenBy(reader))
      }
    }
  }
  return records
}

function seenBy(reader: RecordBatchReader): SeenRecord {
  const { buffer, offset, timestamp, keyStart, keyLength, valueStart, valueLength } = reader
  const text = (start: number, length: number): string | null =>
    length < 0 ? null : buffer.toString('utf8', start, start + length)
  const headers = readHeaders(buffer, reader.headersStart, reader.headerCount)
  return {
    offset,
    timestamp,
    key: text(keyStart, keyLength),
    value: text(valueStart, valueLength),
    headers: headers.map((part) => (part === null ? null : String(part))),
  }
}

/** What each key has: of those deleted nothing. */
export function latest(records: readonly SeenRecord[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const { key, value } of records) {
    if (key === null) continue
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  return values
}
