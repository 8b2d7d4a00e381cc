/**
 * Logs for tests, without the client: opening one over any driver, appending records by hand, and
 * reading them back the slow way that everything else is compared with.
 */
import { randomBytes } from 'node:crypto'
import type { Codec } from '../../src/format/compression.ts'
import { batchSizeBytesOf } from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import type { Clock } from '../../src/log/clock.ts'
import { openLogDirectory, type OpenReport } from '../../src/log/directory-open.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { AppendedBatch } from '../../src/log/encoded-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { ReadablePartition } from '../../src/log/readable-partition.ts'
import type { BatchRun } from '../../src/log/tail.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'

const MAX_DECOMPRESSED_BYTES = 1 << 26

/** A log that a test opened. */
export interface OpenLog {
  readonly log: LogDirectory
  readonly report: OpenReport
}

/** A record to append. */
export interface NewRecord {
  readonly timestamp: number
  readonly value: string
}

/** A record as it was read. */
export interface ReadRecord extends NewRecord {
  readonly offset: number
  readonly leaderEpoch: number
}

/** Opens what `driver` holds; a machine of one boot unless told. */
export async function openLog(
  driver: StorageDriver,
  machine: {
    readonly bootId?: string
    readonly clock?: Clock
    readonly producerIdExpirationMs?: number
  } = {},
): Promise<OpenLog> {
  return await runProcedure(
    openLogDirectory({
      driver,
      bootId: machine.bootId ?? 'boot',
      clock: machine.clock ?? new FakeClock(),
      randomBytes: (byteLength) => randomBytes(byteLength),
      onPartitionFailed: () => undefined,
      producerIdExpirationMs: machine.producerIdExpirationMs ?? -1,
      onRolled: () => undefined,
    }),
  )
}

/** One partition of a topic that exists. */
export function partitionOf(log: LogDirectory, topic: string, partition: number = 0): PartitionLog {
  const found = log.topic(topic)?.partitions[partition]
  if (found === undefined) throw new Error(`no ${topic}-${partition}`)
  return found
}

/** Appends `records` as one batch. */
export function appendBatch(
  log: PartitionLog,
  records: readonly NewRecord[],
  codec: Codec = 'none',
): AppendedBatch {
  const builder = new RecordBatchBuilder()
  const { buffer, start } = log.tail.reserve()
  builder.begin(buffer, start)
  for (const { timestamp, value } of records) builder.add(timestamp, null, value, null)
  builder.finish(codec)
  return log.append(builder)
}

/** Appends a batch for each of `count` records, with values that tell their offsets. */
export function appendMany(log: PartitionLog, count: number, valueBytes: number = 8): void {
  for (let done = 0; done < count; done++) {
    const offset = log.logEndOffset
    appendBatch(log, [{ timestamp: 1_000 + offset, value: valueAt(offset, valueBytes) }])
  }
}

/** What `appendMany` writes at `offset`. */
export function valueAt(offset: number, valueBytes: number = 8): string {
  return String(offset).padEnd(valueBytes, '.')
}

/** Every record from `from` to the end of the log, or to `to`. */
export function readRecords(
  log: ReadablePartition,
  from?: number,
  to?: number,
): readonly ReadRecord[] {
  const start = from ?? log.logStartOffset
  const end = to ?? log.highWatermark
  const records: ReadRecord[] = []
  const cursor = log.cursor(start)
  for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
    for (const record of recordsOf(run)) {
      if (record.offset >= start && record.offset < end) records.push(record)
    }
  }
  return records
}

/** The records of whole batches. */
export function recordsOf(run: BatchRun): readonly ReadRecord[] {
  const records: ReadRecord[] = []
  const reader = new RecordBatchReader()
  for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
    reader.reset(run.buffer, at, MAX_DECOMPRESSED_BYTES)
    while (reader.next()) {
      const { offset, timestamp, leaderEpoch, buffer, valueStart, valueLength } = reader
      const value = buffer.toString('utf8', valueStart, valueStart + valueLength)
      records.push({ offset, timestamp, leaderEpoch, value })
    }
  }
  return records
}

/** As `readRecords`, from the files alone. */
export function readFromFiles(
  log: ReadablePartition,
  from?: number,
  to?: number,
): readonly ReadRecord[] {
  log.tail.clear()
  return readRecords(log, from, to)
}

/** The offsets of `records`. */
export function offsetsOf(records: readonly ReadRecord[]): readonly number[] {
  return records.map(({ offset }) => offset)
}

/** The offsets from `first` up to, not including, `end`. */
export function range(first: number, end: number): readonly number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index)
}
