/**
 * `log.describe()`: settings, sizes, times and compaction of everything, from memory but for the
 * first batch of each partition, which is read once for each start that its log has.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import { attributesOf, batchSizeBytesOf, isControlBatch } from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import { cleanableOf } from '../log/cleaner/cleanable.ts'
import { isCompacted, type AppliedPolicy } from '../log/cleanup-policy.ts'
import type { ReadablePartition, ReadableTopic } from '../log/readable-partition.ts'
import type { Segment } from '../storage/segment.ts'
import type { LogDescription } from './log-reports.ts'

const READ_BYTES = 16_384

type DescribedTopic = LogDescription['topics'][number]
type DescribedPartition = DescribedTopic['partitions'][number]

/** What an open log knows of its housekeeping. */
export interface DescribedLog {
  readonly nowMs: number
  readonly policyOf: (topic: ReadableTopic) => AppliedPolicy
  /** The first offset that was not compacted. */
  readonly firstDirtyOffset: (log: ReadablePartition) => number
}

/** Describes these topics. */
export function describeLog(topics: readonly ReadableTopic[], log: DescribedLog): LogDescription {
  const described = topics.map((topic) => describeTopic(topic, log))
  return { bytes: sumOf(described, 'bytes'), topics: described }
}

function describeTopic(topic: ReadableTopic, log: DescribedLog): DescribedTopic {
  const { name, id, config } = topic
  const policy = log.policyOf(topic)
  const measured = topic.partitions.map((one) => describePartition(one, policy, log))
  const bytes = sumOf(measured, 'bytes')
  const mostBytes = measured.reduce((most, one) => Math.max(most, one.bytes), 0)
  return {
    name,
    id,
    config,
    appliedPolicy: policy,
    offsets: sumOf(measured, 'offsets'),
    bytes,
    segments: sumOf(measured, 'segments'),
    oldestTimestamp: extremeOf(measured, 'oldestTimestamp', Math.min),
    newestTimestamp: extremeOf(measured, 'newestTimestamp', Math.max),
    skew: bytes === 0 ? 1 : (mostBytes * measured.length) / bytes,
    partitions: measured.map((one) => ({ ...one, share: bytes === 0 ? 0 : one.bytes / bytes })),
  }
}

/** Takes in all that another process has appended: before that nobody knows how much it is. */
export function takeInAll(log: ReadablePartition): void {
  log.refresh()
  while (log.extend());
}

function describePartition(
  log: ReadablePartition,
  policy: AppliedPolicy,
  { nowMs, firstDirtyOffset }: DescribedLog,
): Omit<DescribedPartition, 'share'> {
  takeInAll(log)
  let newest = -1
  let bytes = 0
  for (const { nextOffset, largestTimestamp, sizeBytes } of log.segments) {
    bytes += sizeBytes
    if (nextOffset > log.logStartOffset) newest = Math.max(newest, largestTimestamp)
  }
  const { logStartOffset, logEndOffset, durableOffset } = log
  return {
    partition: log.partition,
    logStartOffset,
    logEndOffset,
    durableOffset,
    offsets: logEndOffset - logStartOffset,
    bytes,
    segments: log.segments.count,
    oldestTimestamp: firstTimestamp(log),
    newestTimestamp: newest < 0 || logEndOffset === logStartOffset ? null : newest,
    compaction: isCompacted(policy) ? compactionOf(log, firstDirtyOffset(log), nowMs) : null,
  }
}

function compactionOf(
  log: ReadablePartition,
  dirtyFrom: number,
  nowMs: number,
): DescribedPartition['compaction'] {
  const cleanable = cleanableOf(log, { firstDirtyOffset: dirtyFrom, nowMs })
  const { cleanBytes, dirtyBytes, dirtyRatio, isDue } = cleanable
  return { cleanedUpTo: cleanable.firstDirtyOffset, cleanBytes, dirtyBytes, dirtyRatio, isDue }
}

/** What the first records of partitions had for a time, while they are the first. */
const known = new WeakMap<ReadablePartition, FirstRecord>()

interface FirstRecord {
  readonly logStartOffset: number
  readonly segment: Segment
  readonly timestamp: number
}

/** Null where there is none, or where damage hides it: a description is given all the same. */
function firstTimestamp(log: ReadablePartition): number | null {
  const { logStartOffset } = log
  const segment = log.segments.first
  const found = known.get(log)
  if (found?.logStartOffset === logStartOffset && found.segment === segment) return found.timestamp
  try {
    const timestamp = timestampOfFirstRecord(log)
    if (timestamp !== null) known.set(log, { logStartOffset, segment, timestamp })
    return timestamp
  } catch (error) {
    if (error instanceof CorruptBytes || LogError.is(error, 'CORRUPT')) return null
    throw error
  }
}

function timestampOfFirstRecord(log: ReadablePartition): number | null {
  if (log.logStartOffset === log.logEndOffset) return null
  const cursor = log.cursor(log.logStartOffset, { readBytes: READ_BYTES })
  const reader = new RecordBatchReader()
  for (
    let run = cursor.next(log.highWatermark);
    run !== undefined;
    run = cursor.next(log.highWatermark)
  ) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (isControlBatch(attributesOf(run.buffer, at))) continue
      reader.reset(run.buffer, at, log.config.maxDecompressedBytes)
      while (reader.next()) if (reader.offset >= log.logStartOffset) return reader.timestamp
    }
  }
  return null
}

function sumOf<N extends string>(all: readonly { readonly [P in N]: number }[], name: N): number {
  return all.reduce((sum, one) => sum + one[name], 0)
}

/** Of those that have one. */
function extremeOf<N extends string>(
  all: readonly { readonly [P in N]: number | null }[],
  name: N,
  choose: (a: number, b: number) => number,
): number | null {
  return all.reduce<number | null>((found, one) => {
    const value = one[name]
    return value === null || found === null ? (value ?? found) : choose(found, value)
  }, null)
}
