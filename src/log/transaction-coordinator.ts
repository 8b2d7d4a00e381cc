/**
 * TransactionCoordinator: the transactional ids of one open log and their transactions.
 *
 * Owns who has an id, and brings transactions to an end that their producers left behind: by a
 * newer producer of the id, at close, at reopen. How a transaction commits is its own business
 * (coordinated-transaction.ts), what recovery makes of the rest transaction-recovery.ts'.
 *   I1  one producer has an id at a time, and writes under an epoch that nobody used before: for an
 *       id that was given that is on stable storage before its first batch
 *   I2  the last record of an id decides: a newer one is appended only when the markers of the
 *       decision before are on stable storage
 *   I3  after a decision whose record may be there without being durable, nothing begins
 *   I4  nothing is read or written where no transaction needs it
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import { type Procedure, runProcedure } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'
import type { CommittedOffsets } from './committed-offsets.ts'
import { CoordinatedTransaction, type TransactionHost } from './coordinated-transaction.ts'
import type { Damage } from './damage.ts'
import type { LogTopic } from './open-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ProducerIds } from './producer-ids.ts'
import { fenced, notBegun, transactionAborted, undecidedSince } from './transaction-errors.ts'
import { TransactionLog } from './transaction-log.ts'
import { endLeftOpen } from './transaction-recovery.ts'
import { checkTransactionalId, durable, madeUpName, TransactionalId } from './transactional-id.ts'
import { UnwrittenMarkers } from './unwritten-markers.ts'

const RANDOM_BYTES = 12

/** Who writes transactions under a transactional id, until a newer one does. */
export interface TransactionalProducer {
  readonly transactionalId: string
  /** A newer producer has the id. */
  readonly isFenced: boolean
}

/** What makes the topics that transactions are kept in, where they are missing. */
export interface TransactionTopics {
  prepareOffsets(): Promise<void>
  prepareTransactions(): Promise<void>
}

/** What transactions run on. */
export interface TransactionsHost {
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  readonly producerIds: ProducerIds
  readonly offsets: CommittedOffsets
  topics(): readonly LogTopic[]
  /** The partitions of a topic that exists, in order. */
  partitionsOf(topic: string): readonly PartitionLog[] | undefined
}

/** The transactions of one log. */
export class TransactionCoordinator implements TransactionHost {
  readonly clock: Clock
  readonly offsets: CommittedOffsets
  readonly log: TransactionLog
  readonly markers: UnwrittenMarkers
  /** Without it the topics are there. */
  ownTopics: TransactionTopics | undefined
  readonly #host: TransactionsHost
  readonly #ids = new Map<string, TransactionalId>()
  readonly #producers = new WeakMap<TransactionalProducer, TransactionalId>()
  readonly #owners = new Map<TransactionalId, OwningProducer>()
  readonly #open = new Map<TransactionalId, CoordinatedTransaction>()
  /** Made-up ids whose producers are done. */
  readonly #released = new Set<TransactionalId>()
  #madeUpCount = 0
  #loaded: Promise<void> | undefined
  #failure: LogError | undefined
  #isClosed = false

  constructor(host: TransactionsHost) {
    this.#host = host
    this.clock = host.clock
    this.offsets = host.offsets
    this.log = new TransactionLog(
      host.clock,
      (topic) => host.partitionsOf(topic),
      () => this.checkDecidable(),
    )
    this.markers = new UnwrittenMarkers(host.clock)
  }

  /** Transactions that are not over. */
  get openCount(): number {
    return this.#open.size
  }

  /**
   * A producer for transactions under `transactionalId`, for which `null` makes one up. It fences
   * the one that had the id: its open transaction is aborted, one that is decided is waited for.
   * @throws {LogError} INVALID_ARGUMENT for an id that cannot be kept; NO_SPACE, IO, READ_ONLY,
   *   CLOSED: the older producer is fenced all the same.
   */
  async initProducer(transactionalId: string | null): Promise<TransactionalProducer> {
    this.#checkUsable()
    if (transactionalId === null) return this.#own(this.#made())
    checkTransactionalId(transactionalId)
    await this.#load()
    const id = this.#idOf(transactionalId)
    try {
      return await id.exclusively(() => this.#takeOver(id))
    } catch (error) {
      throw notBegun(id.name, error)
    }
  }

  /**
   * Begins a transaction; the one before is over. It is aborted after `timeoutMs`.
   * @throws {LogError} FENCED; READ_ONLY after an unknown outcome; CLOSED.
   */
  begin(producer: TransactionalProducer, timeoutMs: number): CoordinatedTransaction {
    this.#checkUsable()
    const id = this.#producers.get(producer)
    assert(id !== undefined, 'a producer was initialised')
    if (producer.isFenced) throw fenced(id.name)
    if (id.failure !== undefined) throw undecidedSince(id.name, id.failure)
    assert(!this.#open.has(id), 'a producer has one transaction at a time')
    const transaction = new CoordinatedTransaction(this, id, timeoutMs)
    this.#open.set(id, transaction)
    return transaction
  }

  /** The producer is done: aborts what it has open. What was made up for it is taken back later. */
  release(producer: TransactionalProducer): void {
    const id = this.#producers.get(producer)
    if (id === undefined || this.#owners.get(id) !== producer) return
    void this.#open.get(id)?.abort(transactionAborted(id.name, 'its producer was closed'))
    this.#owners.delete(id)
    if (!this.#open.has(id)) this.#forget(id)
  }

  // ------------------------------------------------------------- for the log

  /**
   * Ends what a stop left open, before anything reads: commits what was decided, aborts the rest.
   * What can be written is on stable storage then. After a clean stop of ours there is nothing.
   */
  *recover(isClean: boolean): Procedure<readonly Damage[]> {
    const partitions = this.#host.topics().flatMap((topic) => topic.partitions)
    const isOpen = partitions.some((log) => log.producers.open().length > 0)
    if (!isOpen && (isClean || !this.log.isPrepared)) return [] // I4
    const { states, damage } = yield* this.log.load()
    this.#loaded = Promise.resolve()
    const isWhole = damage.length === 0
    for (const [name, state] of states) this.#idOf(name).goOnFrom(state, isWhole)
    const ended = endLeftOpen(this, partitions, states, (name) => this.#idOf(name).markerDue())
    yield () => Promise.allSettled(ended.map((log) => log.makeDurable(log.logEndOffset)))
    for (const id of this.#ids.values()) if (id.isMadeUp) this.#released.add(id)
    this.completeSettled()
    return damage
  }

  /** Whether a transaction is committed although its marker in `log` could not be written yet. */
  isCommitted(log: PartitionLog, producerId: number, producerEpoch: number): boolean {
    return this.markers.isCommitted(log, producerId, producerEpoch)
  }

  /** Aborts what is open, and waits for what is being committed; nothing begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    const open = [...this.#open]
    await Promise.all(
      open.map(([id, one]) => {
        const isCommitting = one.state === 'committing'
        return isCommitting
          ? one.committed()
          : one.abort(transactionAborted(id.name, 'the log was closed'))
      }),
    )
  }

  /**
   * What is left to do before a clean close: nothing may be open, and a broker that takes the log
   * over is to find every id at rest.
   */
  *settle(): Procedure<void> {
    yield () => this.close()
    this.markers.close()
    this.markers.retryAll()
    const decided = [...this.#ids.values()].filter((id) => id.isDecided)
    yield () => Promise.allSettled(decided.map((id) => id.settled()))
    for (const id of decided) if (id.isMadeUp) this.#released.add(id)
    this.completeSettled()
  }

  /**
   * Records that decisions are complete whose markers are on stable storage, and takes back what
   * was made up. Nobody waits for it; where it cannot be written it is left to the next time.
   */
  completeSettled(): void {
    if (this.#failure !== undefined) return
    for (const id of this.#ids.values()) {
      if (!id.isDecided || !id.isSettled || id.failure !== undefined) continue
      if (this.#open.has(id)) continue // I2: its next decision may be in the log already.
      if (id.isMadeUp && !this.#released.has(id)) continue
      if (!this.#complete(id)) return
    }
  }

  // ---------------------------------------------------------- for transactions

  /** See `TransactionHost`. */
  prepareOffsets(): Promise<void> {
    return this.ownTopics?.prepareOffsets() ?? Promise.resolve()
  }

  prepareTransactions(): Promise<void> {
    if (this.log.isPrepared) return Promise.resolve()
    return this.ownTopics?.prepareTransactions() ?? Promise.resolve()
  }

  over(transaction: CoordinatedTransaction): void {
    const { id } = transaction
    this.#open.delete(id)
    if (!this.#owners.has(id)) this.#forget(id)
  }

  undecided(error: LogError): void {
    this.#failure ??= error
  }

  checkDecidable(): void {
    if (this.#failure !== undefined) throw undecidedSince('the log', this.#failure)
  }

  // ------------------------------------------------------------------- shared

  /** I1. */
  async #takeOver(id: TransactionalId): Promise<TransactionalProducer> {
    const older = this.#owners.get(id)
    if (older !== undefined) older.isFenced = true
    this.#owners.delete(id)
    const cause = fenced(id.name)
    await this.#open
      .get(id)
      ?.abort(transactionAborted(id.name, 'a newer producer has its id', cause))
    this.#checkUsable()
    if (id.failure !== undefined) throw undecidedSince(id.name, id.failure)
    this.markers.retryAll()
    await Promise.all([this.prepareTransactions(), id.settled()]) // I2
    this.#checkUsable() // Of a log that is being closed, files have their final shape.
    id.advance()
    await durable(this.log.append(id.name, restOf(id, 'Empty')))
    id.recorded()
    return this.#own(id)
  }

  #own(id: TransactionalId): TransactionalProducer {
    const producer = new OwningProducer(id.name)
    this.#owners.set(id, producer)
    this.#producers.set(producer, id)
    return producer
  }

  #made(): TransactionalId {
    this.#madeUpCount += 1
    const random = this.#host.randomBytes(RANDOM_BYTES)
    return this.#idOf(madeUpName(random, this.#madeUpCount))
  }

  #idOf(name: string): TransactionalId {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const id = new TransactionalId(name, () => this.#host.producerIds.draw())
    this.#ids.set(name, id)
    return id
  }

  /** What the topic says, where it is there: once, when the first id is given. */
  #load(): Promise<void> {
    this.#loaded ??= this.#read()
    return this.#loaded
  }

  async #read(): Promise<void> {
    try {
      const { states, damage } = await runProcedure(this.log.load())
      for (const [name, state] of states) {
        // What was written since is known better.
        if (this.#ids.has(name)) continue
        const id = this.#idOf(name)
        id.goOnFrom(state, damage.length === 0)
        if (id.isMadeUp) this.#released.add(id)
      }
    } catch (error) {
      this.#loaded = undefined
      throw error
    }
  }

  /** Nobody will use it again, where it was made up. */
  #forget(id: TransactionalId): void {
    if (!id.isMadeUp) return
    if (!id.isDecided) this.#ids.delete(id.name)
    else {
      this.#released.add(id)
      if (id.isSettled && id.failure === undefined) this.#complete(id)
    }
  }

  #complete(id: TransactionalId): boolean {
    try {
      this.log.append(id.name, id.isMadeUp ? null : restOf(id, id.complete))
    } catch {
      return false
    }
    id.recorded()
    this.#released.delete(id)
    if (id.isMadeUp) this.#ids.delete(id.name)
    return true
  }

  #checkUsable(): void {
    if (this.#isClosed) {
      throw new LogError('CLOSED', 'transaction: the log is closed', { call: 'transaction' })
    }
    this.checkDecidable()
  }
}

class OwningProducer implements TransactionalProducer {
  readonly transactionalId: string
  isFenced = false

  constructor(transactionalId: string) {
    this.transactionalId = transactionalId
  }
}

/** An id between transactions: a broker goes on behind the epoch. */
function restOf(
  { producerId, producerEpoch }: TransactionalId,
  status: 'Empty' | 'CompleteCommit' | 'CompleteAbort',
): Parameters<TransactionLog['append']>[1] {
  const topics = status === 'Empty' ? null : []
  return { producerId, producerEpoch, timeoutMs: 60_000, status, topics, startTimestampMs: -1 }
}
