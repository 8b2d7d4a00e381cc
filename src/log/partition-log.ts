/**
 * PartitionLog: one partition as a log. Appends, rolls, says what is readable and what is durable.
 *
 * Owns the segments, the tail, the leader epoch and every watermark. Synchronous: it runs to the
 * end without waiting, so these hold from the first line of a call to its last:
 *   I1  logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset
 *   I2  a batch is in the kernel before its offsets are visible: what a reader saw survives a kill
 *   I3  durableOffset <= logEndOffset, and follows the order of commit-barrier.ts
 *   I4  after a failed sync nothing is appended until the log was opened anew
 *   I5  a sequence is used up, and a transaction open or over, once its batch is written
 */
import { assert } from '../errors/invariant.ts'
import type { LogError } from '../errors/log-error.ts'
import { AbortedTransactions } from './aborted-transactions.ts'
import { ActiveSegment } from './active-segment.ts'
import { DurablePrefix, type Syncable, type SyncRound } from './commit-barrier.ts'
import type { AppendedBatch, EncodedBatch, TransactionMarker } from './encoded-batch.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { LogCursor, type CursorOptions, type LogSource } from './log-cursor.ts'
import { encodeMarkerBatch } from './marker-batch.ts'
import {
  batchTooLarge,
  endedError,
  readOnlySince,
  syncFailed,
  transactionLeftOpen,
} from './partition-errors.ts'
import type { PartitionContext, PartitionState } from './partition-state.ts'
import type { OriginalBatch } from './producer-state.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerStates } from './producer-states.ts'
import type { SegmentList } from './segment-list.ts'
import { Tail } from './tail.ts'
import { UndecidedCommits } from './undecided-commits.ts'
import { UnsyncedFiles } from './unsynced-files.ts'

export type { PartitionContext, PartitionState } from './partition-state.ts'

/** The log of one partition. */
export class PartitionLog implements Syncable, LogSource {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly segments: SegmentList
  readonly epochs: LeaderEpochs
  readonly tail: Tail
  readonly isGapless: boolean
  /** What is known of producers; only this log notes anything. */
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
  readonly #context: PartitionContext
  readonly #durable: DurablePrefix
  readonly #listeners = new Set<() => void>()
  #config: ResolvedTopicConfig
  readonly #leaderEpoch: number
  /** Commits that a power cut could undo. */
  readonly undecided: UndecidedCommits = new UndecidedCommits(() => this.#notify())
  #logStartOffset: number
  #logEndOffset: number
  readonly #active: ActiveSegment
  /** Made when somebody asks: most partitions never have a transaction. */
  #aborted: AbortedTransactions | undefined
  readonly #unsynced: UnsyncedFiles
  #recoveryPoint: number
  #failure: LogError | undefined
  #end: 'closed' | 'deleted' | undefined

  constructor(context: PartitionContext, state: PartitionState) {
    this.#context = context
    this.topic = state.topic
    this.partition = state.partition
    this.topicId = state.topicId
    this.directory = state.directory
    this.segments = state.segments
    this.epochs = state.epochs
    this.isGapless = state.isGapless
    this.tail = new Tail(context.tailBudget)
    this.#config = state.config
    this.#leaderEpoch = Math.max(state.epochs.latest, 0)
    this.#logStartOffset = state.logStartOffset
    this.#logEndOffset = state.segments.active.nextOffset
    const durableOffset = Math.min(state.durableOffset, this.#logEndOffset)
    this.#recoveryPoint = durableOffset
    this.producers = state.producers
    this.snapshots = state.snapshots
    this.#unsynced = new UnsyncedFiles(context.driver, state.directory)
    const { driver, clock } = context
    const { directory, segments } = state
    this.#active = new ActiveSegment({
      driver,
      clock,
      directory,
      segments,
      tail: this.tail,
      unsynced: this.#unsynced,
      rolled: () => {
        this.snapshots.take('roll', this)
        context.rolled(this)
      },
    })
    this.#durable = new DurablePrefix(context.barrier, this, durableOffset)
    this.#checkWatermarks()
  }

  /** Complete settings of the topic. */
  get config(): ResolvedTopicConfig {
    return this.#config
  }
  /** Stamped into every batch appended. */
  get leaderEpoch(): number {
    return this.#leaderEpoch
  }
  /** First offset still readable. */
  get logStartOffset(): number {
    return this.#logStartOffset
  }
  /** First offset that consumers cannot read yet; with one replica, the log's end. */
  get highWatermark(): number {
    return this.#logEndOffset
  }
  /** First offset that read_committed readers cannot read yet. */
  get lastStableOffset(): number {
    // As Kafka: the log may start behind the first record of an open transaction.
    const firstUnstable = Math.max(this.producers.firstUnstableOffset, this.#logStartOffset)
    return Math.min(firstUnstable, this.#logEndOffset)
  }
  /** The offset the next record gets. */
  get logEndOffset(): number {
    return this.#logEndOffset
  }
  /** First offset that a power cut could lose; on volatile storage the log's end. */
  get durableOffset(): number {
    return this.#context.driver.volatile ? this.#logEndOffset : this.#durable.durableOffset
  }
  /** Rises before and after the set of files changes. */
  get layoutEpoch(): number {
    return this.#active.layoutEpoch
  }
  /** The topic's flushMs; -1 for none. */
  get flushMs(): number {
    return this.#config.flushMs
  }
  /** How the partition ended, where it has. */
  get end(): 'closed' | 'deleted' | undefined {
    return this.#end
  }

  /** Settings that were changed while the log is open; the next segment takes all of them. */
  applyConfig(config: ResolvedTopicConfig): void {
    this.#config = config
  }

  /**
   * Appends one finished batch: assigns its offsets, epoch and, where the topic says so, its time,
   * seals it with its CRC and writes it. In the page cache when it returns. One of the last five
   * batches of its producer is not written again (`isDuplicate`).
   * @throws {LogError} RECORD_TOO_LARGE, NO_SPACE, IO, READ_ONLY, FENCED, OUT_OF_ORDER_SEQUENCE,
   *   INVALID_ARGUMENT: nothing was appended, and no sequence is used up; with
   *   `details.outcome: 'unknown'` the batch may be found all the same when the log is opened anew.
   */
  append(batch: EncodedBatch): AppendedBatch {
    this.#assertAppendable()
    const { producer } = batch
    assert(producer.control !== true, 'markers are appended by appendMarker')
    const isNumbered = producer.producerId >= 0
    if (isNumbered) {
      const original = this.producers.check(batch)
      if (original !== undefined) return this.#duplicate(original)
    }
    if (batch.sizeBytes > this.#config.maxMessageBytes) throw batchTooLarge(this, batch.sizeBytes)
    const appendTime = this.#config.messageTimestampType === 'LogAppendTime'
    const timestamp = appendTime ? this.#context.clock.now() : batch.maxTimestamp
    const baseOffset = this.#logEndOffset
    const lastOffset = baseOffset + batch.recordCount - 1
    const leaderEpoch = this.#leaderEpoch
    const place = { baseOffset, lastOffset, timestamp, leaderEpoch, isDuplicate: false }
    this.#active.append(this.#config, batch, place)
    this.#logEndOffset = lastOffset + 1
    if (isNumbered) this.producers.appended(batch, place)
    this.#afterAppend(batch)
    return place
  }

  /**
   * Appends the marker that ends a transaction here, and returns its offset. Never rolls; of an
   * abort readers hear before the marker is there, and of the marker before its records are stable.
   * Where the producer has no transaction open, the marker ends nothing.
   * @throws {LogError} NO_SPACE, IO, READ_ONLY, FENCED: nothing was appended, the transaction is
   *   still open; with `details.outcome: 'unknown'` the marker may be found all the same when the
   *   log is opened anew.
   */
  appendMarker(marker: TransactionMarker): number {
    this.#assertAppendable()
    this.producers.checkMarker(marker)
    const timestamp = this.#context.clock.now()
    const batch = encodeMarkerBatch(this.tail.reserve(), marker, timestamp)
    const offset = this.#logEndOffset
    const { producerId, outcome } = marker
    const aborted = outcome === 'abort' ? this.producers.abortedBy(producerId, offset) : undefined
    const leaderEpoch = this.#leaderEpoch
    const place = { baseOffset: offset, lastOffset: offset, timestamp, leaderEpoch }
    const isReserved = marker.isReserved === true
    this.#active.appendMarker(this.#config, batch, place, { aborted, isReserved })
    this.#logEndOffset = offset + 1
    if (aborted !== undefined) this.#aborted?.added(aborted)
    this.producers.ended(marker, offset, timestamp)
    this.#checkWatermarks()
    this.#afterAppend(batch)
    return offset
  }

  /**
   * Keeps room for one marker behind whatever is appended from now on.
   * @throws {LogError} NO_SPACE or IO where there is none; READ_ONLY, CLOSED.
   */
  reserveMarker(): void {
    this.#assertAppendable()
    this.#active.reserveMarker(this.#config, this.#logEndOffset)
  }

  /** The marker was written, or nobody will write one. */
  releaseMarker(): void {
    this.#active.releaseMarker()
  }

  /**
   * The sequence that the producer's next record here has.
   * @throws {LogError} As `append`, where nothing can be appended any more.
   */
  nextSequence(producerId: number, producerEpoch: number): number {
    this.#assertAppendable() // Of a deleted topic nothing can be looked up.
    return this.producers.nextSequence(producerId, producerEpoch)
  }

  /**
   * Whether the producer's transactional batch at `baseOffset`, below the last stable offset, was
   * aborted. Hot.
   * @throws {LogError} IO where the files that tell cannot be read.
   */
  isAborted(producerId: number, baseOffset: number): boolean {
    this.#aborted ??= new AbortedTransactions(this)
    return this.#aborted.covers(producerId, baseOffset)
  }

  /** A reader of whole batches from `offset` on. */
  cursor(offset: number, options?: CursorOptions): LogCursor {
    return new LogCursor(this, offset, options)
  }

  /** Calls `listener` after each append, each finished sync, and when the partition ends. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Resolves when everything below `offset` is on stable storage.
   * @throws {LogError} IO with `details.outcome: 'unknown'` when a sync failed.
   */
  makeDurable(offset: number): Promise<void> {
    assert(offset <= this.#logEndOffset, 'only what was appended can become durable')
    return this.#context.driver.volatile ? Promise.resolve() : this.#durable.reach(offset)
  }

  /** Recovery reads nothing below it: everything there is synced, indexes included. */
  get recoveryPoint(): number {
    return this.#recoveryPoint
  }

  /**
   * Syncs everything appended so far with its indexes and moves the recovery point up to there.
   * @throws {LogError} IO when a sync fails; the recovery point stays.
   */
  async syncForCheckpoint(): Promise<void> {
    const offset = this.#logEndOffset
    this.snapshots.take('checkpoint', this)
    await this.makeDurable(offset)
    await this.#unsynced.flushIndexes(this.segments, () => this.#end !== undefined)
    await this.snapshots.write(offset, this)
    if (this.#end === undefined) this.#recoveryPoint = Math.max(this.#recoveryPoint, offset)
  }

  /** True while so much is unsynced that whoever can wait should. */
  get isOverloaded(): boolean {
    return this.#durable.isOverloaded
  }
  /** Resolves once less is unsynced, here or in the log. @throws {LogError} As `makeDurable`. */
  roomToAppend(): Promise<void> {
    return this.#durable.room()
  }
  /** Bytes appended that no sync has covered. */
  get unsyncedBytes(): number {
    return this.#durable.unsyncedBytes
  }

  /** Moves the start of the log up; the caller has made it durable. */
  advanceLogStart(offset: number): void {
    assert(offset <= this.highWatermark, 'the log starts at or below its end')
    this.#logStartOffset = Math.max(this.#logStartOffset, offset)
    this.#checkWatermarks()
    this.#notify()
  }

  /** What a sync has to cover now, in order (I3). */
  beginRound(): SyncRound {
    const steps = this.#unsynced.takeSteps(this.segments.active)
    return { targetOffset: this.#logEndOffset, steps }
  }

  /** More of the log is durable. */
  roundDone(): void {
    if (this.#end === undefined) this.#notify()
  }

  /** Turns read-only for good (I4); returns what to tell those who wait. */
  roundFailed(cause: unknown): LogError {
    const error = syncFailed(this, cause)
    this.#failure = error
    this.#context.failed(this, error)
    this.#notify()
    return error
  }

  /**
   * Brings every file to its final shape and syncs it, for a clean close.
   * @throws {LogError} IO when a sync failed, now or before, or a transaction is still open.
   */
  async settle(): Promise<void> {
    await this.makeDurable(this.#logEndOffset)
    if (this.#failure !== undefined) throw this.#failure
    const { active } = this.segments
    active.completeIndexes()
    active.trim()
    await active.flushLog()
    await this.#unsynced.flushIndexes(this.segments, () => this.#end !== undefined)
    this.snapshots.take('close', this)
    const areNamesSynced = await this.snapshots.write(this.#logEndOffset, this)
    if (!areNamesSynced) await this.#context.driver.flushDirectory(this.directory)
    this.#recoveryPoint = this.#logEndOffset
    if (this.producers.firstUnstableOffset < Infinity) throw transactionLeftOpen(this)
  }

  /** Ends the partition for readers and writers; files are the caller's to close or delete. */
  finish(end: 'closed' | 'deleted'): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#durable.close(endedError(this))
    this.tail.clear()
    this.#notify()
    this.#listeners.clear()
  }

  /** Releases every file. */
  closeFiles(): void {
    for (const segment of this.segments) segment.close()
  }

  /** Bytes of all .log files, without what is preallocated. */
  get logBytes(): number {
    let bytes = 0
    for (const segment of this.segments) bytes += segment.sizeBytes
    return bytes
  }

  #assertAppendable(): void {
    if (this.#end !== undefined) throw endedError(this)
    if (this.#failure !== undefined) throw readOnlySince(this, this.#failure)
  }

  #duplicate(original: OriginalBatch): AppendedBatch {
    const leaderEpoch = this.epochs.at(original.baseOffset)
    return { ...original, leaderEpoch, isDuplicate: true }
  }

  #afterAppend(batch: EncodedBatch): void {
    if (!this.#context.driver.volatile) {
      this.#durable.appended(batch.sizeBytes)
      const unsyncedRecords = this.#unsynced.appended(batch.recordCount)
      const { flushMessages } = this.#config
      if (flushMessages > 0 && unsyncedRecords >= flushMessages) this.#durable.syncSoon()
    }
    this.#notify()
  }

  #notify(): void {
    this.#context.changed(this)
    for (const listener of this.#listeners) listener()
  }

  #checkWatermarks(): void {
    assert(this.#logStartOffset <= this.lastStableOffset, 'I1: the log starts where it is stable')
    assert(this.lastStableOffset <= this.highWatermark, 'I1: what is stable is readable')
    assert(this.highWatermark <= this.#logEndOffset, 'I1: what is readable was appended')
  }
}
