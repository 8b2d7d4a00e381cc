/**
 * CoordinatedTransaction: one transaction, from its first batch to its end.
 *
 * Owns which partitions it is in and how far it has come; what outlives it is the business of its
 * transactional id (transactional-id.ts). A commit goes in this order, and a crash between any two
 * of its lines leaves all of it or nothing:
 *   1  positions of groups are checked and appended, in one go
 *   2  room for every marker is set aside; everything it wrote is on stable storage, what its
 *      positions were committed of too, and the markers of the decision of the same id before it
 *   3  the decision is appended to `__transaction_state`, in one batch with those of others whose
 *      data is on stable storage since the same sync, and is on stable storage
 *   4  markers are appended to every partition, positions move, `commit` resolves
 *
 *   I1  up to 3 anybody may abort it; from the moment the decision is handed to `write` nobody
 *   I2  a decision that cannot be appended, with nothing of it left behind, aborts; one that may be
 *       there without being durable is unknown, and nobody touches the transaction any more
 *   I3  a decision stands even where a marker cannot be written: that is tried again, and the last
 *       stable offset of its partition waits
 *   I4  in one partition, without positions, the commit marker behind the data is the decision
 *   I5  an abort writes its markers in one go and needs no record: without a decision it is aborted
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import type { TransactionOutcome } from '../format/control-record.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'
import type { TransactionTopic } from '../format/transaction-state.ts'
import type { Clock } from './clock.ts'
import type { CommittedOffsets } from './committed-offsets.ts'
import type { PartitionLog } from './partition-log.ts'
import type { StagedOffsets, TransactionOffsets, UpTo } from './staged-offsets.ts'
import {
  outcomeUnknown,
  timedOut,
  transactionAborted,
  transactionOver,
} from './transaction-errors.ts'
import type { NewTransactionState, TransactionLog } from './transaction-log.ts'
import { durable, type TransactionalId } from './transactional-id.ts'
import type { UnwrittenMarkers } from './unwritten-markers.ts'

/** How far a transaction has come. */
export type TransactionPhase =
  | 'open'
  | 'committing'
  | 'committed'
  | 'aborting'
  | 'aborted'
  | 'unknown'

/** Told how a transaction ended: committed, aborted or unknown, and why where it was not asked. */
export type EndedListener = (state: TransactionPhase, reason?: LogError) => void

/** What a transaction runs on. */
export interface TransactionHost {
  readonly clock: Clock
  readonly log: TransactionLog
  readonly markers: UnwrittenMarkers
  readonly offsets: CommittedOffsets
  /** Makes the topic of positions, or of transactions, where it is missing. */
  prepareOffsets(): Promise<void>
  prepareTransactions(): Promise<void>
  /** It is over. */
  over(transaction: CoordinatedTransaction): void
  /** Whether the log of decisions has one more, nobody knows. */
  undecided(error: LogError): void
  /** @throws {LogError} READ_ONLY after such a decision. */
  checkDecidable(): void
}

/** One transaction. */
export class CoordinatedTransaction {
  readonly producerId: number
  readonly producerEpoch: number
  readonly id: TransactionalId
  readonly #host: TransactionHost
  readonly #timeoutMs: number
  readonly #startedMs: number
  readonly #timer: unknown
  readonly #logs = new Set<PartitionLog>()
  #reserved: ReadonlySet<PartitionLog> = new Set()
  readonly #offsets: TransactionOffsets[] = []
  #staged: StagedOffsets | undefined
  #state: TransactionPhase = 'open'
  /** The decision was handed to `write` (I1). */
  #isHandedOver = false
  /** It is a record of `__transaction_state`, not a marker (I4). */
  #isRecorded = false
  #reason: LogError | undefined
  #committing: Promise<void> | undefined
  readonly #listeners: EndedListener[] = []

  constructor(host: TransactionHost, id: TransactionalId, timeoutMs: number) {
    this.#host = host
    this.id = id
    this.producerId = id.producerId
    this.producerEpoch = id.producerEpoch
    this.#timeoutMs = timeoutMs
    this.#startedMs = host.clock.now()
    this.#timer = host.clock.setTimeout(() => this.#abort(timedOut(id.name, timeoutMs)), timeoutMs)
  }

  /** How far it has come. */
  get state(): TransactionPhase {
    return this.#state
  }

  /**
   * What the next batch in `log` is finished with; from now on the transaction is in `log` too. It
   * may append a marker that was due: nothing is being encoded in `log.tail` meanwhile.
   * @throws {LogError} TRANSACTION_ABORTED, CLOSED once it is over; what a marker in `log` that the
   *   transaction before could not write fails with again.
   */
  producerFor(log: PartitionLog): BatchProducer {
    this.#checkOpen()
    return this.#nextIn(log)
  }

  /** Positions that move with the commit. @throws {LogError} As `producerFor`. */
  addOffsets(offsets: TransactionOffsets): void {
    this.#checkOpen()
    this.#offsets.push(offsets)
  }

  /**
   * Commits: durable in all its partitions when it resolves. Called once.
   * @throws {LogError} TRANSACTION_ABORTED with the cause; IO with `details.outcome: 'unknown'`.
   */
  async commit(): Promise<void> {
    this.#checkOpen()
    this.#state = 'committing'
    this.#committing = this.#commit()
    await this.#committing
  }

  /**
   * Aborts, unless it is decided or over: then it resolves once that is done. Nothing of it is
   * visible when it resolves.
   */
  async abort(reason: LogError): Promise<void> {
    this.#abort(reason)
    await this.committed()
  }

  /** Resolves once a commit that was asked for is over, whatever became of it. */
  async committed(): Promise<void> {
    await this.#committing?.catch(() => undefined)
  }

  /** Calls `listener` once, when it is over, whoever ended it. */
  onEnded(listener: EndedListener): void {
    this.#listeners.push(listener)
  }

  // ------------------------------------------------------------------ commit

  async #commit(): Promise<void> {
    try {
      if (this.#offsets.length > 0) await this.#stage()
      if (this.#state === 'committing') await this.#decide()
    } catch (error) {
      if (this.#state === 'unknown') throw error
      assert(!this.#isHandedOver, 'I1: what was decided is not aborted')
      this.#abort(this.#abortedBy(error))
    }
    if (this.#reason !== undefined) throw this.#reason
  }

  /** Line 1. */
  async #stage(): Promise<void> {
    const { offsets } = this.#host
    if (!offsets.isPrepared) {
      await this.#host.prepareOffsets()
      if (this.#state !== 'committing') return
    }
    this.#staged = offsets.stage(this.#offsets, (log) => this.#nextIn(log))
  }

  async #decide(): Promise<void> {
    const logs = this.#openLogs()
    const [only] = logs
    if (logs.length > 1 || this.#hasPositions) await this.#commitAcross(logs)
    else if (only !== undefined) await this.#commitIn(only)
    else this.#over('committed')
  }

  get #hasPositions(): boolean {
    const staged = this.#staged
    return staged !== undefined && staged.logs.length + staged.sources.length > 0
  }

  /** I4. */
  async #commitIn(log: PartitionLog): Promise<void> {
    const marker = this.#marker('commit')
    const { firstOffset = 0 } = log.producers.openTransactionOf(this.producerId) ?? {}
    this.#handOver()
    log.undecided.add(firstOffset)
    let upTo: UpTo
    try {
      upTo = { log, offset: log.appendMarker(marker) + 1 }
    } catch (error) {
      log.undecided.remove(firstOffset)
      this.#notAppended(error)
    }
    await this.#decision(upTo) // Where nobody knows it, nobody is shown it as durable.
    log.undecided.remove(firstOffset)
    this.#over('committed')
  }

  /** Lines 2 to 4. */
  async #commitAcross(logs: readonly PartitionLog[]): Promise<void> {
    this.#reserve(logs)
    this.#host.markers.retryAll()
    const waits = logs.map((log) => durable({ log, offset: log.logEndOffset }))
    waits.push(this.id.settled(logs))
    for (const source of this.#staged?.sources ?? []) waits.push(durable(source))
    if (!this.#host.log.isPrepared) waits.push(this.#host.prepareTransactions())
    await Promise.all(waits)
    if (this.#state !== 'committing') return
    this.#host.checkDecidable()
    this.#handOver()
    this.#isRecorded = true
    let upTo: UpTo
    try {
      upTo = await this.#host.log.appendTogether(this.id.name, this.#record(logs))
    } catch (error) {
      this.#notAppended(error)
    }
    await this.#decision(upTo)
    this.id.decided()
    this.#endIn(logs, 'commit')
    this.#reserved = new Set()
    this.#over('committed')
  }

  /** Room for a marker in each, or in none. @throws {LogError} NO_SPACE, IO, READ_ONLY. */
  #reserve(logs: readonly PartitionLog[]): void {
    const reserved = new Set<PartitionLog>()
    this.#reserved = reserved
    for (const log of logs) {
      log.reserveMarker()
      reserved.add(log)
    }
  }

  /** From here on nobody aborts (I1). */
  #handOver(): void {
    this.#isHandedOver = true
    this.#host.clock.clearTimeout(this.#timer)
  }

  /** The decision could not be appended: thrown on, or unknown (I2). */
  #notAppended(error: unknown): never {
    if (LogError.is(error, 'IO') && error.details.outcome === 'unknown') this.#unknown(error)
    this.#isHandedOver = false
    throw error
  }

  /** Waits for it to be on stable storage (I2). */
  async #decision(upTo: UpTo): Promise<void> {
    try {
      await durable(upTo)
    } catch (error) {
      this.#unknown(error)
    }
  }

  #unknown(cause: unknown): never {
    const error = outcomeUnknown(this.id.name, cause)
    this.id.failure = error
    if (this.#isRecorded) this.#host.undecided(error)
    this.#reason = error
    this.#staged?.unknown(error)
    this.#over('unknown')
    throw error
  }

  // ------------------------------------------------------------------- abort

  #abort(reason: LogError): void {
    if (this.#isHandedOver || !(this.#state === 'open' || this.#state === 'committing')) return
    this.#state = 'aborting'
    this.#reason = reason
    this.#host.clock.clearTimeout(this.#timer)
    for (const log of this.#reserved) log.releaseMarker()
    this.#reserved = new Set()
    this.#endIn(this.#openLogs(), 'abort') // I5
    this.#over('aborted')
  }

  #abortedBy(error: unknown): LogError {
    if (LogError.is(error, 'TRANSACTION_ABORTED')) return error
    return transactionAborted(this.id.name, 'it could not be committed', error)
  }

  // ------------------------------------------------------------------ shared

  #checkOpen(): void {
    if (this.#state === 'open') return
    if (this.#state === 'aborted' && this.#reason !== undefined) throw this.#reason
    throw transactionOver(this.id.name)
  }

  #nextIn(log: PartitionLog): BatchProducer {
    const { producerId, producerEpoch } = this
    this.#host.markers.settle(log, producerId)
    this.#logs.add(log)
    const baseSequence = log.nextSequence(producerId, producerEpoch)
    return { producerId, producerEpoch, baseSequence, transactional: true }
  }

  /** Where something of it is: not where its first batch could not be appended. */
  #openLogs(): readonly PartitionLog[] {
    const open: PartitionLog[] = []
    for (const log of this.#logs) {
      if (log.end === undefined && log.producers.hasOpen(this.producerId)) open.push(log)
    }
    return open
  }

  #marker(outcome: TransactionOutcome): {
    readonly producerId: number
    readonly producerEpoch: number
    readonly outcome: TransactionOutcome
    readonly coordinatorEpoch: number
  } {
    const { producerId, producerEpoch } = this
    const coordinatorEpoch = this.#host.log.coordinatorEpoch(this.id.name)
    return { producerId, producerEpoch, outcome, coordinatorEpoch }
  }

  /** Ends it in `logs`, now or later (I3). */
  #endIn(logs: readonly PartitionLog[], outcome: TransactionOutcome): void {
    const { producerId, producerEpoch, coordinatorEpoch } = this.#marker(outcome)
    for (const log of logs) {
      const written = outcome === 'commit' ? this.id.markerDue() : ignored
      this.#host.markers.write({
        producerId,
        producerEpoch,
        outcome,
        coordinatorEpoch,
        log,
        isReserved: this.#reserved.has(log),
        written: (offset) =>
          written(offset === undefined ? undefined : { log, offset: offset + 1 }),
      })
    }
  }

  #record(logs: readonly PartitionLog[]): NewTransactionState {
    const topics = new Map<string, number[]>()
    for (const { topic, partition } of logs) {
      const partitions = topics.get(topic)
      if (partitions === undefined) topics.set(topic, [partition])
      else partitions.push(partition)
    }
    const { producerId, producerEpoch } = this
    return {
      producerId,
      producerEpoch,
      timeoutMs: this.#timeoutMs,
      status: 'PrepareCommit',
      topics: [...topics].map(([topic, partitions]): TransactionTopic => ({ topic, partitions })),
      startTimestampMs: this.#startedMs,
    }
  }

  #over(state: 'committed' | 'aborted' | 'unknown'): void {
    this.#host.clock.clearTimeout(this.#timer)
    this.#state = state
    if (state === 'committed') this.#staged?.apply()
    if (state === 'aborted') this.#dropOffsets()
    this.#host.over(this)
    for (const listener of this.#listeners) listener(state, this.#reason)
  }

  #dropOffsets(): void {
    if (this.#staged !== undefined) this.#staged.drop()
    else for (const one of this.#offsets) one.ended('aborted')
  }
}

function ignored(): void {
  // Nothing waits for the marker of an abort.
}
