/**
 * PartitionDurability: what of one partition is on stable storage, and how more of it gets there.
 *
 * Owns the durable prefix, the recovery point and the failure that a sync ended in; what a sync
 * has to cover is unsynced-files.ts' to say, when one begins commit-barrier.ts'.
 *   I1  the recovery point passes an offset only when everything below it is synced, indexes and
 *       snapshots included
 *   I2  after a failed sync nothing is appended until the log was opened anew
 */
import type { LogError } from '../errors/log-error.ts'
import { DurablePrefix, type Syncable, type SyncRound } from './commit-barrier.ts'
import { endedError, syncFailed, transactionLeftOpen } from './partition-errors.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionContext } from './partition-state.ts'
import { UnsyncedFiles } from './unsynced-files.ts'

/** See the file's header. */
export class PartitionDurability implements Syncable {
  readonly unsynced: UnsyncedFiles
  readonly #context: PartitionContext
  readonly #log: PartitionLog
  readonly #notify: () => void
  readonly #prefix: DurablePrefix
  #recoveryPoint: number
  #failure: LogError | undefined

  /** Of `log`, which is durable up to `durableOffset`; `notify` tells its readers of more. */
  constructor(
    context: PartitionContext,
    log: PartitionLog,
    durableOffset: number,
    notify: () => void,
  ) {
    this.#context = context
    this.#log = log
    this.#notify = notify
    this.unsynced = new UnsyncedFiles(context.driver, log.directory)
    this.#recoveryPoint = durableOffset
    this.#prefix = new DurablePrefix(context.barrier, this, durableOffset)
  }

  get logEndOffset(): number {
    return this.#log.logEndOffset
  }
  /** The topic's flushMs; -1 for none. */
  get flushMs(): number {
    return this.#log.config.flushMs
  }
  /** First offset that a power cut could lose; on volatile storage the log's end. */
  get durableOffset(): number {
    return this.#context.driver.volatile ? this.#log.logEndOffset : this.#prefix.durableOffset
  }
  /** Recovery reads nothing below it: everything there is synced, indexes included. */
  get recoveryPoint(): number {
    return this.#recoveryPoint
  }
  /** What the last sync failed with, for good. */
  get failure(): LogError | undefined {
    return this.#failure
  }
  /** True while so much is unsynced that whoever can wait should. */
  get isOverloaded(): boolean {
    return this.#prefix.isOverloaded
  }
  /** Bytes appended that no sync has covered. */
  get unsyncedBytes(): number {
    return this.#prefix.unsyncedBytes
  }

  /** Resolves once less is unsynced, here or in the log. @throws {LogError} As `reach`. */
  room(): Promise<void> {
    return this.#prefix.room()
  }

  /** A batch was appended. Hot. */
  appended(sizeBytes: number, recordCount: number): void {
    if (this.#context.driver.volatile) return
    this.#prefix.appended(sizeBytes)
    const unsyncedRecords = this.unsynced.appended(recordCount)
    const { flushMessages } = this.#log.config
    if (flushMessages > 0 && unsyncedRecords >= flushMessages) this.#prefix.syncSoon()
  }

  /**
   * Resolves when everything below `offset` is on stable storage.
   * @throws {LogError} IO with `details.outcome: 'unknown'` when a sync failed.
   */
  makeDurable(offset: number): Promise<void> {
    return this.#context.driver.volatile ? Promise.resolve() : this.#prefix.reach(offset)
  }

  /**
   * Syncs everything appended so far with its indexes and moves the recovery point up to there.
   * @throws {LogError} IO when a sync fails; the recovery point stays.
   */
  async syncForCheckpoint(): Promise<void> {
    const log = this.#log
    const { logEndOffset: offset, snapshots } = log
    snapshots.take('checkpoint', log)
    await this.makeDurable(offset)
    await this.unsynced.flushIndexes(log.segments, () => log.end !== undefined)
    await snapshots.write(offset, log)
    if (log.end === undefined) this.#recoveryPoint = Math.max(this.#recoveryPoint, offset)
  }

  /**
   * Brings every file to its final shape and syncs it, for a clean close.
   * @throws {LogError} IO when a sync failed, now or before, or a transaction is still open.
   */
  async settle(): Promise<void> {
    const log = this.#log
    await this.makeDurable(log.logEndOffset)
    if (this.#failure !== undefined) throw this.#failure
    const { active } = log.segments
    active.completeIndexes()
    active.trim()
    await active.flushLog()
    await this.unsynced.flushIndexes(log.segments, () => log.end !== undefined)
    log.snapshots.take('close', log)
    const areNamesSynced = await log.snapshots.write(log.logEndOffset, log)
    if (!areNamesSynced) await this.#context.driver.flushDirectory(log.directory)
    this.#recoveryPoint = log.logEndOffset
    if (log.producers.firstUnstableOffset < Infinity) throw transactionLeftOpen(log)
  }

  /** The partition has ended: whoever waits is told. */
  close(): void {
    this.#prefix.close(endedError(this.#log))
  }

  /** What a sync has to cover now, in order. */
  beginRound(): SyncRound {
    const steps = this.unsynced.takeSteps(this.#log.segments.active)
    return { targetOffset: this.#log.logEndOffset, steps }
  }

  /** More of the log is durable. */
  roundDone(): void {
    if (this.#log.end === undefined) this.#notify()
  }

  /** Turns read-only for good (I2); returns what to tell those who wait. */
  roundFailed(cause: unknown): LogError {
    const error = syncFailed(this.#log, cause)
    this.#failure = error
    this.#context.failed(this.#log, error)
    this.#notify()
    return error
  }
}
