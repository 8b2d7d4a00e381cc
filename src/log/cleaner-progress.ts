/**
 * CleanerProgress: up to where each partition of an open log is compacted, and the file
 * cleaner-offset-checkpoint, which says it to the next process. Too low an offset costs a pass that
 * finds nothing; one that does not lie in what can be compacted counts as the log's start.
 */
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import {
  CLEANER_OFFSETS,
  readCleanerOffsets,
  writeCleanerOffsets,
  type WrittenCheckpoint,
} from './log-checkpoints.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ReadablePartition } from './readable-partition.ts'

/** How far compaction has come. */
export class CleanerProgress {
  readonly #driver: StorageDriver
  /** As they were when the log was opened, by folder. */
  readonly #checkpointed: ReadonlyMap<string, number>
  readonly #offsets = new Map<ReadablePartition, number>()
  readonly #written: WrittenCheckpoint = { bytes: null }

  /** What the checkpoint of `driver` says counts for the partitions that `admit` takes in. */
  constructor(driver: StorageDriver) {
    this.#driver = driver
    this.#checkpointed = readCleanerOffsets(driver)
  }

  /**
   * Takes in partitions that opening found. Of one that ends before its offset the checkpoint says
   * nothing, for good: what comes to be there later was never compacted, and a tombstone among it
   * would go before what it deletes.
   */
  admit(logs: readonly ReadablePartition[]): void {
    for (const log of logs) {
      const offset = this.#checkpointed.get(log.directory)
      const isThere = offset !== undefined && offset <= log.segments.active.baseOffset
      if (isThere) this.#offsets.set(log, offset)
    }
  }

  /** The first offset of `log` that was not compacted. */
  of(log: ReadablePartition): number {
    const offset = this.#offsets.get(log)
    const { logStartOffset, segments } = log
    const isThere = offset !== undefined && offset >= logStartOffset
    return isThere && offset <= segments.active.baseOffset ? offset : logStartOffset
  }

  /** Everything below `offset` was compacted. */
  set(log: PartitionLog, offset: number): void {
    this.#offsets.set(log, offset)
  }

  /** The topic is gone. */
  forget(log: PartitionLog): void {
    this.#offsets.delete(log)
  }

  /**
   * Writes the checkpoint of `partitions`, all there are, where one of them ever had an offset.
   * @throws {LogError} NO_SPACE, IO: the next process finds what was there before, or nothing.
   */
  *write(partitions: readonly PartitionLog[]): Procedure<void> {
    const isNeeded = this.#offsets.size > 0 || this.#driver.status(CLEANER_OFFSETS) !== undefined
    if (this.#driver.volatile || !isNeeded) return
    yield* writeCleanerOffsets(this.#driver, partitions, this.#offsets, this.#written)
  }
}
