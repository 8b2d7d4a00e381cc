/**
 * A partition of several segments, and a cleaner as simple as can be: what it keeps of them is for
 * the test to say, so that a swap, and what a stop leaves of it, can be told by the offsets alone.
 */
import { emptyBatch } from '../../src/format/empty-batch.ts'
import {
  baseOffsetOf,
  batchSizeBytesOf,
  lastOffsetOf,
  leaderEpochOf,
  nextOffsetOf,
} from '../../src/format/record-batch.ts'
import { summaryOfBatch } from '../../src/log/batch-summary.ts'
import { openLogDirectory } from '../../src/log/directory-open.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import { type CleanedSegment, swapIn } from '../../src/log/segment-swap.ts'
import { readMetadata, writeMetadata } from '../../src/storage/metadata-file.ts'
import type { Procedure } from '../../src/storage/procedure.ts'
import { Segment } from '../../src/storage/segment.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, partitionOf } from './open-log.ts'

const TOPIC = {
  segmentBytes: 1 << 20,
  indexIntervalBytes: 0,
  preallocate: false,
  cleanupPolicy: 'compact',
  fileDeleteDelayMs: 0,
} as const

/** A log with one partition that is about to be compacted. */
export interface CompactedLog {
  readonly log: LogDirectory
  readonly partition: PartitionLog
  readonly removal: SegmentRemoval
}

/** `t-0` with segments of three records each, the last of them active; all of it is durable. */
export function* writeSegments(
  driver: StorageDriver,
  count: number,
  config: Partial<TopicConfig> = {},
  valueBytes: number = 8,
): Procedure<CompactedLog> {
  const clock = new FakeClock()
  const { log } = yield* openLogDirectory({
    driver,
    bootId: 'boot',
    clock,
    randomBytes: (byteLength) => Buffer.alloc(byteLength, 9),
    onPartitionFailed: () => undefined,
    producerIdExpirationMs: -1,
    onRolled: () => undefined,
  })
  yield* log.createTopic('t', { ...TOPIC, ...config })
  const partition = partitionOf(log, 't')
  for (let made = 0; made < count; made++) {
    if (made > 0) partition.roll()
    appendMany(partition, 3, valueBytes)
  }
  yield* log.checkpoint()
  yield* markCompacted(driver)
  return { log, partition, removal: new SegmentRemoval(driver, clock) }
}

/** As housekeeping does before the first swap of a topic. */
function* markCompacted(driver: StorageDriver): Procedure<void> {
  const reading = readMetadata(driver)
  if (reading.kind !== 'found') throw new Error('no metadata')
  const topics = [...reading.metadata.topics].map(([name, topic]) => {
    return [name, { ...topic, compacted: true }] as const
  })
  yield* writeMetadata(driver, { ...reading.metadata, topics: new Map(topics) })
}

/** Writes what `keeps` says of `old` as .cleaned, durably but for its names. */
function* writeCleaned(
  driver: StorageDriver,
  partition: PartitionLog,
  old: readonly Segment[],
  keeps: (offset: number) => boolean,
): Procedure<CleanedSegment> {
  const { directory, config } = partition
  const baseOffset = old[0]?.baseOffset ?? -1
  const end = old.at(-1)?.nextOffset ?? 0
  const segment = Segment.create({ driver, directory, baseOffset, suffix: '.cleaned' }, config)
  const cursor = partition.cursor(baseOffset)
  for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      const [firstOffset, nextOffset] = [baseOffsetOf(run.buffer, at), nextOffsetOf(run.buffer, at)]
      if (firstOffset >= end) break
      if (keeps(lastOffsetOf(run.buffer, at))) {
        segment.append({ ...summaryOfBatch(run.buffer, at), buffer: run.buffer, start: at })
      } else if (nextOffset === end) {
        const range = { firstOffset, nextOffset }
        const batch = emptyBatch(range, leaderEpochOf(run.buffer, at))
        segment.append({ ...summaryOfBatch(batch, 0), buffer: batch, start: 0 })
      }
    }
  }
  segment.seal()
  yield () => segment.flushLog()
  yield () => segment.flushIndexes()
  const { contents } = segment
  segment.close()
  return { baseOffset, contents }
}

/** Cleans the segments number `from` to `to`, not included, into one, and frees their space. */
export function* clean(
  driver: StorageDriver,
  { partition, removal }: CompactedLog,
  [from, to]: readonly [number, number],
  keeps: (offset: number) => boolean,
  freedMs: number = Infinity,
): Procedure<void> {
  const old = [...partition.segments].slice(from, to)
  const cleaned = yield* writeCleaned(driver, partition, old, keeps)
  yield* swapIn({ driver, log: partition, removal }, old, cleaned)
  yield* removal.freeDue(freedMs)
}
