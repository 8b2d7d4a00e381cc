/**
 * LogCheckpoints: how far each partition is known to be synced, and where each starts, in Kafka's
 * two checkpoint files of the log's directory.
 *
 *   recovery-point-offset-checkpoint   recovery reads nothing below it
 *   log-start-offset-checkpoint        only partitions that do not start at 0
 *
 *   I1  a recovery point passes the end of a segment only when its .log, .index, .timeindex and the
 *       directory are synced: recovery takes what lies below it as it is
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
}

/** What both files say; a missing or damaged one says nothing, so that everything is checked. */
export function readCheckpoints(driver: StorageDriver): CheckpointedOffsets {
  return {
    recoveryPoints: readOffsets(driver, RECOVERY_POINTS) ?? new Map(),
    logStarts: readOffsets(driver, LOG_STARTS),
  }
}

/**
 * Syncs what is not synced yet and moves the recovery points up. A partition that failed keeps its
 * old one.
 */
export function* writeRecoveryPoints(
  driver: StorageDriver,
  partitions: readonly PartitionLog[],
): Procedure<void> {
  const live = partitions.filter((partition) => partition.end !== 'deleted')
  yield () => Promise.allSettled(live.map((partition) => partition.syncForCheckpoint()))
  const entries = live
    .filter((partition) => partition.end !== 'deleted')
    .map((partition) => entryOf(partition, partition.recoveryPoint))
  yield* replaceFile(driver, RECOVERY_POINTS, formatOffsetCheckpoint(entries))
}

/** What this process knows to be on stable storage as the log starts; null before it wrote them. */
export interface WrittenStarts {
  bytes: Buffer | null
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
  written: WrittenStarts,
): Procedure<void> {
  const entries: OffsetCheckpointEntry[] = []
  for (const partition of partitions) {
    const start = Math.max(partition.logStartOffset, moved.get(partition) ?? 0)
    if (partition.end !== 'deleted' && start > 0) entries.push(entryOf(partition, start))
  }
  const bytes = formatOffsetCheckpoint(entries)
  if (written.bytes?.equals(bytes) === true && driver.status(LOG_STARTS) !== undefined) return
  written.bytes = null // Where this fails, nobody knows which of the two will be read again.
  yield* replaceFile(driver, LOG_STARTS, bytes)
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
