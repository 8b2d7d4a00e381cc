/**
 * PartitionLog: one partition as a log. Appends, rolls, says what is readable and what is durable.
 *
 * Owns the segments, the tail, the leader epoch and every watermark. Synchronous: it runs to the
 * end without waiting, so these hold from the first line of a call to its last:
 *   I1  logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset
 *   I2  a batch is in the kernel before its offsets are visible: what a reader saw survives a kill
 *   I3  durableOffset <= logEndOffset, and follows the order of commit-barrier.ts
 *   I4  a sequence is used up, and a transaction open or over, once its batch is written
 */
import { assert } from '../errors/invariant.ts'
import { AbortedTransactions } from './aborted-transactions.ts'
import { ActiveSegment } from './active-segment.ts'
import type { AppendedBatch, EncodedBatch, TransactionMarker } from './encoded-batch.ts'
import { LayoutEpoch } from './layout-epoch.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { LogCursor } from './log-cursor.ts'
import { type CursorOptions, nothingNew } from './log-source.ts'
import { encodeMarkerBatch } from './marker-batch.ts'
import { PartitionDurability } from './partition-durability.ts'
import { batchTooLarge, endedError, readOnlySince } from './partition-errors.ts'
import type { PartitionContext, PartitionState } from './partition-state.ts'
import type { OriginalBatch } from './producer-state.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerStates } from './producer-states.ts'
import type { ReadablePartition } from './readable-partition.ts'
import type { Segment } from '../storage/segment.ts'
import type { SegmentList } from './segment-list.ts'
import { Tail } from './tail.ts'
import { UndecidedCommits } from './undecided-commits.ts'

export type { PartitionContext, PartitionState } from './partition-state.ts'

/** The log of one partition. */
export class PartitionLog implements ReadablePartition {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly segments: SegmentList
  readonly epochs: LeaderEpochs
  readonly tail: Tail
  /** Whoever changes the set of files does so within one of its changes. */
  readonly layout: LayoutEpoch
  /** Made here, and nobody else's since. */
  readonly isOwn: boolean
  /** Whoever writes a log cuts nothing off it. */
  readonly cuts: readonly number[] = []
  #isGapless: boolean
  #rewriteCount = 0
  /** What is known of producers; only this log notes anything. */
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
  readonly #context: PartitionContext
  readonly #durability: PartitionDurability
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
  #end: 'closed' | 'deleted' | undefined

  constructor(context: PartitionContext, state: PartitionState) {
    this.#context = context
    this.topic = state.topic
    this.partition = state.partition
    this.topicId = state.topicId
    this.directory = state.directory
    this.segments = state.segments
    this.epochs = state.epochs
    this.isOwn = state.isOwn
    this.#isGapless = state.isGapless
    this.tail = new Tail(context.tailBudget)
    this.layout = new LayoutEpoch(() => context.layoutChanged(this))
    this.#config = state.config
    this.#leaderEpoch = Math.max(state.epochs.latest, 0)
    this.#logStartOffset = state.logStartOffset
    this.#logEndOffset = state.segments.active.nextOffset
    const found = { ...state, durableOffset: Math.min(state.durableOffset, this.#logEndOffset) }
    this.producers = state.producers
    this.snapshots = state.snapshots
    this.#durability = new PartitionDurability(context, this, found, () => this.#notify())
    const { driver, clock } = context
    const { directory, segments } = state
    this.#active = new ActiveSegment({
      driver,
      clock,
      directory,
      leaderEpoch: this.#leaderEpoch,
      segments,
      tail: this.tail,
      unsynced: this.#durability.unsynced,
      rolled: () => {
        this.snapshots.take('roll', this)
        context.rolled(this)
      },
      layout: this.layout,
    })
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
    return this.#durability.durableOffset
  }
  /** No offset was ever left out: a gap is damage. */
  get isGapless(): boolean {
    return this.#isGapless
  }
  /** Rises where segments were replaced: what was remembered of their bytes is void. */
  get rewriteCount(): number {
    return this.#rewriteCount
  }
  /** A sync failed: nothing is appended any more (I4). */
  get isReadOnly(): boolean {
    return this.#durability.failure !== undefined
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
    const baseOffset = this.#logEndOffset
    const placed = this.#active.append(this.#config, batch, baseOffset)
    const { lastOffset, maxTimestamp: timestamp } = placed
    this.#logEndOffset = lastOffset + 1
    if (isNumbered) this.producers.appended(batch, { baseOffset, lastOffset, timestamp })
    this.#afterAppend(batch)
    // Given to nobody else here: where the caller takes it apart, it is never made.
    return { baseOffset, lastOffset, timestamp, leaderEpoch: this.#leaderEpoch, isDuplicate: false }
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
    const isReserved = marker.isReserved === true
    this.#active.appendMarker(this.#config, batch, offset, { aborted, isReserved })
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
    if (this.end !== undefined) throw endedError(this) // A reader may still have batches at hand.
    this.#aborted ??= new AbortedTransactions(this)
    return this.#aborted.covers(producerId, baseOffset)
  }

  /** Nobody else writes it: nothing is to be found out, neither here nor by the two below. */
  refresh(): void {}
  readonly extend: () => boolean = nothingNew
  readonly lookAgain: () => boolean = nothingNew

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
    return this.#durability.makeDurable(offset)
  }
  /** Recovery reads nothing below it: everything there is synced, indexes included. */
  get recoveryPoint(): number {
    return this.#durability.recoveryPoint
  }

  /**
   * Syncs everything appended so far with its indexes and moves the recovery point up to there.
   * @throws {LogError} IO when a sync fails; the recovery point stays.
   */
  syncForCheckpoint(): Promise<void> {
    return this.#durability.syncForCheckpoint()
  }
  /** True while so much is unsynced that whoever can wait should. */
  get isOverloaded(): boolean {
    return this.#durability.isOverloaded
  }
  /** Resolves once less is unsynced, here or in the log. @throws {LogError} As `makeDurable`. */
  roomToAppend(): Promise<void> {
    return this.#durability.room()
  }
  /** Bytes appended that no sync has covered. */
  get unsyncedBytes(): number {
    return this.#durability.unsyncedBytes
  }

  /** Moves the start of the log up; the caller has made it durable. */
  advanceLogStart(offset: number): void {
    assert(offset <= this.highWatermark, 'the log starts at or below its end')
    this.#logStartOffset = Math.max(this.#logStartOffset, offset)
    this.#checkWatermarks()
    this.#notify()
  }

  /**
   * Brings every file to its final shape and syncs it, for a clean close.
   * @throws {LogError} IO when a sync failed, now or before, or a transaction is still open.
   */
  settle(): Promise<void> {
    return this.#durability.settle()
  }

  /** Ends the partition for readers and writers; files are the caller's to close or delete. */
  finish(end: 'closed' | 'deleted'): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#durability.close()
    this.tail.clear()
    this.#notify()
    this.#listeners.clear()
  }

  /**
   * Ends the active segment, where it holds a batch, and starts the next at the log's end.
   * @throws {LogError} NO_SPACE, IO, READ_ONLY, CLOSED: the next append tries again.
   */
  roll(): void {
    this.#assertAppendable()
    this.#active.roll(this.#config, this.#logEndOffset)
  }

  /**
   * Takes the `count` oldest segments off the log, which starts behind them, durably. Returns them,
   * open still: files are the caller's to close and delete.
   */
  dropSegments(count: number): readonly Segment[] {
    const first = this.segments.at(count)
    assert(first.baseOffset <= this.#logStartOffset, 'nothing is dropped that can be read')
    const dropped = this.layout.change(() => this.segments.dropOldest(count))
    for (const segment of dropped) this.#durability.unsynced.dropped(segment)
    this.epochs.truncateBefore(first.baseOffset)
    this.#notify()
    return dropped
  }

  /**
   * Puts `fresh` in the place of `old`, sealed segments that follow one on the other: what cleaning
   * left of them, on stable storage and open under its final names. Those of `old` are open still.
   */
  replaceSegments(old: readonly Segment[], fresh: readonly Segment[]): void {
    this.markCompacted()
    this.layout.change(() => this.segments.replace(old, fresh))
    for (const segment of old) this.#durability.unsynced.dropped(segment)
    this.tail.forgetBelow(old.at(-1)?.nextOffset ?? 0)
    this.#rewriteCount += 1
    this.#aborted = undefined
    this.#notify()
  }
  /** Offsets may be left out from now on. */
  markCompacted(): void {
    this.#isGapless = false
  }
  /** Releases every file. */
  closeFiles(): void {
    for (const segment of this.segments) segment.close()
  }
  /** Bytes of all .log files, without what is preallocated. */
  get logBytes(): number {
    return this.segments.sizeBytes
  }

  #assertAppendable(): void {
    if (this.#end !== undefined) throw endedError(this)
    const { failure } = this.#durability
    if (failure !== undefined) throw readOnlySince(this, failure)
  }

  #duplicate(original: OriginalBatch): AppendedBatch {
    const leaderEpoch = this.epochs.at(original.baseOffset)
    return { ...original, leaderEpoch, isDuplicate: true }
  }

  #afterAppend(batch: EncodedBatch): void {
    this.#durability.appended(batch.sizeBytes, batch.recordCount)
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
