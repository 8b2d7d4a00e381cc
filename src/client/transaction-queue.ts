/**
 * TransactionQueue: the transactions of one producer, one after the other in the order in which
 * they were asked for.
 *   I1  one is open at a time; the next begins when it is over
 *   I2  once closed none begins: whoever waits is told
 * The transactional id is taken with the first transaction, not before: a producer that was only
 * made fences nobody.
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'
import { holdProcess } from '../log/clock.ts'
import type { CoordinatedTransaction } from '../log/coordinated-transaction.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { TransactionalProducer } from '../log/transaction-coordinator.ts'
import { transactionOver } from '../log/transaction-errors.ts'
import type { BatchWriter } from './batch-writer.ts'
import { describeValue } from './check-options.ts'
import { Fifo } from './fifo.ts'
import type { OpenTransaction, Transaction } from './group-types.ts'
import type { ProducerHost } from './producer.ts'
import type { ProducerSettings } from './producer-options.ts'
import { ProducerTransaction } from './producer-transaction.ts'
import { SendQueue } from './send-queue.ts'
import { openTransactionHandle, transactionHandle } from './transaction.ts'

/** What waits for the transaction before it. */
interface Turn {
  begin(): void
  refuse(error: LogError): void
}

/** The transactions of one producer. */
export class TransactionQueue {
  readonly #host: ProducerHost
  readonly #settings: ProducerSettings
  readonly #closedError: () => LogError
  readonly #writer = new TransactionWriter()
  /** From transaction to transaction the same, unless something in it was given up. */
  #queue: SendQueue | undefined
  #producer: Promise<TransactionalProducer> | undefined
  #current: ProducerTransaction | undefined
  readonly #waiting = new Fifo<Turn>()
  /** A transaction is open, or about to be. */
  #isTaken = false
  /** The function of a transaction is being called: what it calls is nested for certain. */
  #isCalling = false
  #isClosed = false
  #beginning: Promise<unknown> = Promise.resolve()

  /** `closedError` says that the producer is closed, and by what. */
  constructor(host: ProducerHost, settings: ProducerSettings, closedError: () => LogError) {
    this.#host = host
    // A send in a transaction waits for its append, the commit for the sync.
    this.#settings = { ...settings, acks: 1 }
    this.#closedError = closedError
  }

  /** Nothing goes on by itself: what is open is in its user's hands. */
  get isIdle(): boolean {
    return this.#current === undefined ? !this.#isTaken : this.#current.isIdle
  }

  /** Runs `fn` in a transaction that is committed when it returns and aborted when it throws. */
  async run<R>(fn: (tx: Transaction) => Promise<R> | R): Promise<R> {
    if (typeof fn !== 'function') {
      throw invalidArgument(
        `producer.transaction: takes a function of the transaction, not ${describeValue(fn)}`,
        { value: fn },
      )
    }
    const transaction = await this.#begin('producer.transaction')
    let value: R
    try {
      value = await Promise.race([this.#call(fn, transaction), transaction.interrupted])
    } catch (error) {
      await transaction.abortBecause('its function threw', error)
      throw error
    }
    await transaction.commit()
    return value
  }

  /** Begins a transaction that its user ends. */
  async begin(): Promise<OpenTransaction> {
    return openTransactionHandle(await this.#begin('producer.begin'))
  }

  /** Resolves when everything sent before is appended, or was refused; nothing lingers. */
  flush(): Promise<void> {
    const queue = this.#queue
    return new Promise((resolve) => {
      if (queue === undefined) resolve()
      else queue.flush(resolve)
    })
  }

  /** Appends what is gathered in batches. */
  sendBatches(): void {
    this.#queue?.sendBatches()
  }

  /** Begins nothing more, aborts what is open, waits for what is being committed. Never rejects. */
  async close(): Promise<void> {
    this.#refuseMore()
    await this.#beginning
    await this.#current?.close('its producer was closed', this.#closedError())
    if (this.#producer !== undefined) this.#host.transactions.release(await this.#producer)
  }

  /** As `close`, and aborts what is being committed unless it is decided. */
  abandon(error: LogError): void {
    this.#refuseMore()
    void this.#current?.interrupt('its producer was closed', error)
  }

  async #begin(where: string): Promise<ProducerTransaction> {
    if (this.#isClosed) throw this.#closedError()
    if (this.#isCalling) {
      throw invalidArgument(
        `${where}: called inside a transaction of the same producer, it would wait for itself: ` +
          'send with the tx at hand, or use another producer',
        { call: where },
      )
    }
    if (this.#isTaken) await this.#turn()
    this.#isTaken = true
    const beginning = this.#open()
    this.#beginning = beginning.then(nothing, nothing)
    return await beginning
  }

  /** Waits for the one before: its end comes, with its time at the latest. */
  async #turn(): Promise<void> {
    const release = this.#host.holdsProcess ? holdProcess() : nothing
    try {
      await new Promise<void>((begin, refuse) => this.#waiting.push({ begin, refuse }))
    } finally {
      release()
    }
  }

  async #open(): Promise<ProducerTransaction> {
    try {
      const producer = await this.#initialised()
      if (this.#isClosed) throw this.#closedError()
      const { transactions } = this.#host
      const coordinated = transactions.begin(producer, this.#settings.transactionTimeoutMs)
      this.#writer.transaction = coordinated
      this.#queue ??= new SendQueue(this.#host, this.#settings, this.#writer)
      const { transactionalId } = producer
      const parts = { host: this.#host, transactionalId, queue: this.#queue, coordinated }
      const transaction = new ProducerTransaction(parts)
      this.#current = transaction
      void transaction.over.then(() => this.#ended(transaction))
      return transaction
    } catch (error) {
      this.#next()
      throw error
    }
  }

  /** Takes the id; where that failed, the next transaction tries again. */
  #initialised(): Promise<TransactionalProducer> {
    if (this.#producer === undefined) {
      const producer = this.#host.transactions.initProducer(this.#settings.transactionalId)
      this.#producer = producer
      producer.catch(() => {
        this.#producer = undefined
      })
    }
    return this.#producer
  }

  #ended(transaction: ProducerTransaction): void {
    if (transaction.isQueueSpent) this.#queue = undefined
    this.#current = undefined
    this.#writer.transaction = undefined
    this.#next()
  }

  #next(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#isTaken = false
    else next.begin()
  }

  #refuseMore(): void {
    this.#isClosed = true
    for (let turn = this.#waiting.shift(); turn !== undefined; turn = this.#waiting.shift()) {
      turn.refuse(this.#closedError())
    }
  }

  #call<R>(fn: (tx: Transaction) => R, transaction: ProducerTransaction): R {
    this.#isCalling = true
    try {
      return fn(transactionHandle(transaction))
    } finally {
      this.#isCalling = false
    }
  }
}

/** Batches of whichever transaction is open. */
class TransactionWriter implements BatchWriter {
  transaction: CoordinatedTransaction | undefined

  producerFor(log: PartitionLog): BatchProducer {
    if (this.transaction === undefined) throw transactionOver(log.topic)
    return this.transaction.producerFor(log)
  }

  /**
   * A batch that could not be taken back may be found in the log; its transaction cannot be
   * committed any more, so of its records it is known.
   */
  readonly refusal = (error: unknown): unknown => {
    if (!LogError.is(error, 'IO') || error.details.outcome !== 'unknown') return error
    const { file } = error.details
    const message = 'a batch of the transaction could not be written, it will be aborted: see cause'
    return new LogError('IO', message, file === undefined ? {} : { file }, { cause: error })
  }
}

function nothing(): void {}
