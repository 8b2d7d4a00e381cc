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

/** What is known to be on stable storage as a checkpoint; null where that is not known. */
export interface WrittenCheckpoint {
  bytes: Buffer | null
}

/** The two checkpoints that recovery goes by, as far as they are known to be written. */
export class LogCheckpoints {
  readonly #driver: StorageDriver
  readonly #points: WrittenCheckpoint = { bytes: null }
  readonly #starts: WrittenCheckpoint = { bytes: null }

  constructor(driver: StorageDriver) {
    this.#driver = driver
  }

  /** Both files say of `partitions` what is so now, and are on stable storage. */
  areCurrent(partitions: readonly PartitionLog[]): void {
    this.#points.bytes = recoveryPointsOf(partitions)
    this.#starts.bytes = logStartsOf(partitions, new Map())
  }

  /**
   * Writes up to where each partition is synced, unless that is known to be written: what is not
   * synced yet is not waited for (`PartitionLog.syncForCheckpoint`).
   */
  *writeRecoveryPoints(partitions: readonly PartitionLog[]): Procedure<void> {
    const bytes = recoveryPointsOf(partitions)
    yield* replaceChanged(this.#driver, RECOVERY_POINTS, bytes, this.#points)
  }

  /**
   * Writes where each partition starts, unless that is known to be written; `moved` are starts that
   * count once this is durable. Every start has its line, unlike Kafka's: a first segment that got
   * lost shows by it.
   */
  *writeLogStarts(
    partitions: readonly PartitionLog[],
    moved: ReadonlyMap<PartitionLog, number> = new Map(),
  ): Procedure<void> {
    const bytes = logStartsOf(partitions, moved)
    yield* replaceChanged(this.#driver, LOG_STARTS, bytes, this.#starts)
  }
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

function recoveryPointsOf(partitions: readonly PartitionLog[]): Buffer {
  const entries = partitions
    .filter((partition) => partition.end !== 'deleted')
    .map((partition) => entryOf(partition, partition.recoveryPoint))
  return formatOffsetCheckpoint(entries)
}

function logStartsOf(
  partitions: readonly PartitionLog[],
  moved: ReadonlyMap<PartitionLog, number>,
): Buffer {
  const entries: OffsetCheckpointEntry[] = []
  for (const partition of partitions) {
    const start = Math.max(partition.logStartOffset, moved.get(partition) ?? 0)
    if (partition.end !== 'deleted' && start > 0) entries.push(entryOf(partition, start))
  }
  return formatOffsetCheckpoint(entries)
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
