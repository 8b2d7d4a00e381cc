/**
 * PartitionDurability: what of one partition is on stable storage, and how more of it gets there.
 *
 * Owns the durable prefix, the recovery point and the failure that a sync ended in; what a sync
 * has to cover is unsynced-files.ts' to say, when one begins commit-barrier.ts'.
 *   I1  the recovery point passes an offset only when everything below it is synced, indexes and
 *       snapshots included
 *   I2  after a failed sync nothing is appended until the log was opened anew
 *   I3  what a clean close leaves alone is in its final shape, and on stable storage: it was found
 *       so, or made so, and nothing has changed since (docs/decisions/117)
 */
import { LogError } from '../errors/log-error.ts'
import { DurablePrefix, type Syncable, type SyncRound } from './commit-barrier.ts'
import { endedError, syncFailed, transactionLeftOpen } from './partition-errors.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionContext, PartitionState } from './partition-state.ts'
import type { Segment } from '../storage/segment.ts'
import { UnsyncedFiles } from './unsynced-files.ts'

/** See the file's header. */
export class PartitionDurability implements Syncable {
  readonly unsynced: UnsyncedFiles
  readonly #context: PartitionContext
  readonly #log: PartitionLog
  readonly #notify: () => void
  readonly #prefix: DurablePrefix
  /** See `PartitionState`. */
  readonly #wasSettled: boolean
  /** What the last round that is over has synced, at least: a segment, and how much of it. */
  #synced: SyncedLog
  #beingSynced: SyncedLog
  #recoveryPoint: number
  #failure: LogError | undefined

  /** Of `log`, as it was `found`; `notify` tells its readers of more that is durable. */
  constructor(
    context: PartitionContext,
    log: PartitionLog,
    found: Pick<PartitionState, 'durableOffset' | 'isSettled'>,
    notify: () => void,
  ) {
    const { durableOffset } = found
    this.#context = context
    this.#log = log
    this.#notify = notify
    this.unsynced = new UnsyncedFiles(context.driver, log.directory)
    this.#wasSettled = found.isSettled
    this.#synced = endOf(log.segments.active)
    this.#beingSynced = this.#synced
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
    const { active } = log.segments
    // Before the round, which then covers the size as well.
    if (this.#failure === undefined && !this.#isAsFound) trimEarly(active)
    await this.makeDurable(log.logEndOffset)
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#isAsFound || active.areIndexesUnflushed) active.completeIndexes()
    if (!this.#isAsFound) active.trim()
    if (!this.#isLogSynced) {
      for (const step of this.unsynced.takeSteps(active)) await step()
    }
    await this.unsynced.flushIndexes(log.segments, () => log.end !== undefined)
    log.snapshots.take('close', log)
    const areNamesSynced = await log.snapshots.write(log.logEndOffset, log)
    if (!areNamesSynced && this.#areNamesUnsynced)
      await this.#context.driver.flushDirectory(log.directory)
    this.#recoveryPoint = log.logEndOffset
    if (log.producers.firstUnstableOffset < Infinity) throw transactionLeftOpen(log)
  }

  /** Nothing was written since it was found settled, and no file came or went (I3). */
  get #isAsFound(): boolean {
    const { segments } = this.#log
    return this.#wasSettled && !this.#areNamesUnsynced && segments.active.changeCount === 0
  }

  /** A sync began when every .log was as it is now, or they were found so (I3). */
  get #isLogSynced(): boolean {
    const { active } = this.#log.segments
    const isCovered = this.#synced.segment === active && this.#synced.upTo === active.changeCount
    const wasSynced = this.#wasSettled || active.changeCount > 0
    return isCovered && wasSynced && !this.unsynced.hasSteps
  }

  /** Files of the folder came or went, as far as is known: one that was found is not changed. */
  get #areNamesUnsynced(): boolean {
    return !this.#wasSettled || this.#log.layout.epoch > 0
  }

  /** The partition has ended: whoever waits is told. */
  close(): void {
    this.#prefix.close(endedError(this.#log))
  }

  /** What a sync has to cover now, in order. */
  beginRound(): SyncRound {
    const { active } = this.#log.segments
    const steps = this.unsynced.takeSteps(active)
    this.#beingSynced = endOf(active)
    return { targetOffset: this.#log.logEndOffset, steps }
  }

  /** More of the log is durable. */
  roundDone(): void {
    this.#synced = this.#beingSynced
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

/** How much of a segment's .log. */
interface SyncedLog {
  readonly segment: Segment
  /** `Segment.changeCount` */
  readonly upTo: number
}

/** What cannot be cut must be synced all the same: that it fails is told behind the round. */
function trimEarly(active: Segment): void {
  try {
    active.trim()
  } catch (error) {
    if (!LogError.is(error)) throw error
  }
}

function endOf(segment: Segment): SyncedLog {
  return { segment, upTo: segment.changeCount }
}
