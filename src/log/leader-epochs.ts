/**
 * LeaderEpochs: which writer wrote which offsets, as Kafka's leader-epoch-checkpoint.
 *
 * The epoch rises by one at every writer open that was not clean; it is stamped into each batch.
 * After a power cut offsets may be used again, but only in a newer epoch, so a position kept from
 * before can be told from one that means the same record.
 *   I1  epochs and start offsets ascend strictly
 *   I2  an epoch is in the file, synced, before the first batch of that epoch is appended
 */
import { assert } from '../errors/invariant.ts'
import { readWholeFile, replaceFile } from '../storage/checkpoint-file.ts'
import {
  formatEpochCheckpoint,
  parseEpochCheckpoint,
  type EpochCheckpointEntry,
} from '../storage/epoch-checkpoint.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'

/** The file's name in a partition's folder. */
export const LEADER_EPOCH_FILE = 'leader-epoch-checkpoint'

/** The epochs of one partition. */
export class LeaderEpochs {
  readonly #driver: StorageDriver
  readonly #path: string
  /** The file was there, and said nothing. */
  readonly wasUnusable: boolean
  #entries: readonly EpochCheckpointEntry[]
  /** The file has entries that lie before the log. */
  #hasOld = false

  private constructor(
    driver: StorageDriver,
    path: string,
    entries: readonly EpochCheckpointEntry[] | undefined,
    wasUnusable: boolean,
  ) {
    this.#driver = driver
    this.#path = path
    this.#entries = entries ?? []
    this.wasUnusable = wasUnusable
  }

  /** What the file of the partition in `directory` says; none where it is missing or damaged. */
  static load(driver: StorageDriver, directory: string): LeaderEpochs {
    const path = `${directory}/${LEADER_EPOCH_FILE}`
    const bytes = readWholeFile(driver, path)
    const entries = bytes === undefined ? undefined : parseEpochCheckpoint(bytes)
    return new LeaderEpochs(driver, path, entries, bytes !== undefined && entries === undefined)
  }

  /** Those of a partition that has none yet, whatever its file says. */
  static none(driver: StorageDriver, directory: string): LeaderEpochs {
    return new LeaderEpochs(driver, `${directory}/${LEADER_EPOCH_FILE}`, undefined, false)
  }

  /** The newest epoch; -1 before the first. */
  get latest(): number {
    return this.#entries.at(-1)?.leaderEpoch ?? -1
  }

  /**
   * Starts an epoch, in memory; `save` makes it count. Epochs that hold no record are forgotten
   * (I1).
   */
  assign(leaderEpoch: number, startOffset: number): void {
    if (leaderEpoch === this.latest) return
    assert(leaderEpoch > this.latest, 'I1: epochs ascend')
    const kept = this.#entries.filter((entry) => entry.startOffset < startOffset)
    this.#entries = [...kept, { leaderEpoch, startOffset }]
  }

  /** The epoch that the record at `offset` was written in; -1 where none reaches so far back. */
  at(offset: number): number {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.leaderEpoch ?? -1
  }

  /**
   * Where the records of `leaderEpoch`, and of those before it, end: where the next epoch starts,
   * or the end of the log, `logEndOffset`, of the newest one and of one that is not known (-1).
   */
  endOf(leaderEpoch: number, logEndOffset: number): number {
    if (leaderEpoch < 0) return logEndOffset
    const next = this.#entries.find((entry) => entry.leaderEpoch > leaderEpoch)
    return Math.min(next?.startOffset ?? logEndOffset, logEndOffset)
  }

  /** Where the first epoch behind `leaderEpoch` starts; undefined where there is none. */
  startBehind(leaderEpoch: number): number | undefined {
    return this.#entries.find((entry) => entry.leaderEpoch > leaderEpoch)?.startOffset
  }

  /** Forgets the epochs that start at or behind `offset`, which is where the log was cut. */
  truncateTo(offset: number): void {
    this.#entries = this.#entries.filter((entry) => entry.startOffset < offset)
  }

  /**
   * Forgets what lies before `offset`, which is where the log begins. The epoch of the record there
   * starts with it from now on.
   */
  truncateBefore(offset: number): void {
    const epoch = this.at(offset)
    if (epoch < 0 || this.#entries[0]?.startOffset === offset) return
    const later = this.#entries.filter((entry) => entry.startOffset > offset)
    const entries = [{ leaderEpoch: epoch, startOffset: offset }, ...later]
    if (entries.length < this.#entries.length) this.#hasOld = true
    this.#entries = entries
  }

  /** The file says more than is known of the log: `save` ends that, and nothing needs it. */
  get hasOld(): boolean {
    return this.#hasOld
  }

  /** What the file has to say now. */
  get bytes(): Buffer {
    return formatEpochCheckpoint(this.#entries)
  }

  /** Replaces the file, durably. */
  *save(): Procedure<void> {
    this.#hasOld = false
    yield* replaceFile(this.#driver, this.#path, this.bytes)
  }
}
