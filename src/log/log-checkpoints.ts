/**
 * LogCheckpoints: how far each partition is known to be synced, where each starts, and how far each
 * is compacted, in Kafka's three checkpoint files of the log's directory.
 *
 *   recovery-point-offset-checkpoint   recovery reads nothing below it
 *   log-start-offset-checkpoint        only partitions that do not start at 0
 *   cleaner-offset-checkpoint          only partitions that were compacted
 *
 *   I1  a recovery point passes the end of a segment only when its .log, .index, .timeindex and the
 *       directory are synced: recovery takes what ends below it as it is. Where they are equal the
 *       segment may have been sealed after the checkpoint
 *   I2  one checkpoint is written at a time (the caller sees to that)
 */
import { readWholeFile, replaceFile } from '../storage/checkpoint-file.ts'
import {
  formatOffsetCheckpoint,
  parseOffsetCheckpoint,
  type OffsetCheckpointEntry,
} from '../storage/offset-checkpoint.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { PartitionLog } from './partition-log.ts'

/** Where each partition is synced up to. */
export const RECOVERY_POINTS = 'recovery-point-offset-checkpoint'
/** Where each partition starts. */
export const LOG_STARTS = 'log-start-offset-checkpoint'
/** How far each partition is compacted. */
export const CLEANER_OFFSETS = 'cleaner-offset-checkpoint'

/** Offsets by partition folder, as the checkpoint files have them. */
export interface CheckpointedOffsets {
  readonly recoveryPoints: ReadonlyMap<string, number>
  /** Null where the file is missing or damaged. */
  readonly logStarts: ReadonlyMap<string, number> | null
  /** Those of the two files that are there and say nothing. */
  readonly unusable: readonly string[]
}

/** What both files say; a missing or damaged one says nothing, so that everything is checked. */
export function readCheckpoints(driver: StorageDriver): CheckpointedOffsets {
  const recoveryPoints = readOffsets(driver, RECOVERY_POINTS)
  const logStarts = readOffsets(driver, LOG_STARTS)
  const unusable: string[] = []
  if (recoveryPoints === null) unusable.push(RECOVERY_POINTS)
  if (logStarts === null) unusable.push(LOG_STARTS)
  return {
    recoveryPoints: recoveryPoints ?? new Map(),
    logStarts,
    unusable: unusable.filter((path) => driver.status(path) !== undefined),
  }
}

/** What this process knows to be on stable storage as a checkpoint; null before it wrote it. */
export interface WrittenCheckpoint {
  bytes: Buffer | null
}

/**
 * Writes up to where each partition is synced, unless `written` says just that: what is not synced
 * yet is not waited for (`PartitionLog.syncForCheckpoint`).
 */
export function* writeRecoveryPoints(
  driver: StorageDriver,
  partitions: readonly PartitionLog[],
  written: WrittenCheckpoint,
): Procedure<void> {
  const entries = partitions
    .filter((partition) => partition.end !== 'deleted')
    .map((partition) => entryOf(partition, partition.recoveryPoint))
  yield* replaceChanged(driver, RECOVERY_POINTS, formatOffsetCheckpoint(entries), written)
}

/**
 * Writes where each partition starts, unless `written` says just that; `moved` are starts that
 * count once this is durable. Every start has its line, unlike Kafka's: a first segment that got
 * lost shows by it.
 */
export function* writeLogStarts(
  driver: StorageDriver,
  partitions: readonly PartitionLog[],
  moved: ReadonlyMap<PartitionLog, number>,
  written: WrittenCheckpoint,
): Procedure<void> {
  const entries: OffsetCheckpointEntry[] = []
  for (const partition of partitions) {
    const start = Math.max(partition.logStartOffset, moved.get(partition) ?? 0)
    if (partition.end !== 'deleted' && start > 0) entries.push(entryOf(partition, start))
  }
  yield* replaceChanged(driver, LOG_STARTS, formatOffsetCheckpoint(entries), written)
}

/**
 * Up to where each partition was compacted, by folder; nothing where the file is missing or
 * damaged, so that all is looked at again. It has no checksum, and may be older than its partition:
 * what it says counts between the start of the log and its active segment alone.
 */
export function readCleanerOffsets(driver: StorageDriver): ReadonlyMap<string, number> {
  return readOffsets(driver, CLEANER_OFFSETS) ?? new Map()
}

/**
 * Writes up to where each partition was compacted, unless `written` says just that: those of
 * `offsets` alone, without partitions that are gone.
 */
export function* writeCleanerOffsets(
  driver: StorageDriver,
  partitions: readonly PartitionLog[],
  offsets: Pick<ReadonlyMap<PartitionLog, number>, 'get'>,
  written: WrittenCheckpoint,
): Procedure<void> {
  const entries: OffsetCheckpointEntry[] = []
  for (const partition of partitions) {
    const offset = offsets.get(partition)
    if (offset !== undefined && partition.end !== 'deleted')
      entries.push(entryOf(partition, offset))
  }
  yield* replaceChanged(driver, CLEANER_OFFSETS, formatOffsetCheckpoint(entries), written)
}

/** Two waits for the device less where the same bytes are known to be on stable storage. */
function* replaceChanged(
  driver: StorageDriver,
  path: string,
  bytes: Buffer,
  written: WrittenCheckpoint,
): Procedure<void> {
  if (written.bytes?.equals(bytes) === true && driver.status(path) !== undefined) return
  written.bytes = null // Where this fails, nobody knows which of the two will be read again.
  yield* replaceFile(driver, path, bytes)
  written.bytes = bytes
}

function readOffsets(driver: StorageDriver, path: string): ReadonlyMap<string, number> | null {
  const bytes = readWholeFile(driver, path)
  const entries = bytes === undefined ? undefined : parseOffsetCheckpoint(bytes)
  if (entries === undefined) return null
  return new Map(entries.map((entry) => [`${entry.topic}-${entry.partition}`, entry.offset]))
}

function entryOf(partition: PartitionLog, offset: number): OffsetCheckpointEntry {
  return { topic: partition.topic, partition: partition.partition, offset }
}
