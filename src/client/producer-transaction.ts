/**
 * ProducerTransaction: one transaction as its producer has it, from `begin` to its end. Takes
 * records and positions, sees that nothing is on its way when the commit is handed over, and tells
 * its user how it ended. What makes it all or nothing is coordinated-transaction.ts.
 *
 *   open -> flushing -> deciding -> committed | aborted | unknown
 *     \________\____ -> aborting -> aborted
 *   I1  once it is not open any more nothing is taken
 *   I2  what failed in it makes its commit abort, whoever saw the error
 *   I3  everything taken is in the log when the commit is handed over
 */
import type { LogError } from '../errors/log-error.ts'
import { holdProcess } from '../log/clock.ts'
import type { CoordinatedTransaction, TransactionPhase } from '../log/coordinated-transaction.ts'
import { transactionAborted, transactionOver } from '../log/transaction-errors.ts'
import { failureText } from './groups/failure-text.ts'
import type { Transaction } from './group-types.ts'
import type { ProducerHost, Sender } from './producer.ts'
import type { RecordMetadata } from './send-result.ts'
import { SendFront } from './send-front.ts'
import type { SendQueue } from './send-queue.ts'
import { deliveredOffsets, givenGroupOffsets } from './transaction-offsets.ts'

type Stage =
  | 'open'
  | 'flushing'
  | 'deciding'
  | 'aborting'
  | Exclude<TransactionPhase, 'open' | 'committing'>

/** What a transaction is made of. */
export interface TransactionParts {
  readonly host: ProducerHost
  readonly transactionalId: string
  /** Its records pass through it; nothing else does until it is over. */
  readonly queue: SendQueue
  readonly coordinated: CoordinatedTransaction
}

/** See the file's header. Users hold it through a handle (transaction.ts). */
export class ProducerTransaction {
  /** Resolves once it is over, however it ended. */
  readonly over: Promise<void>
  /** Rejects once it was aborted by anybody but whoever has it in hand. */
  readonly interrupted: Promise<never>
  readonly #parts: TransactionParts
  readonly #front: SendFront
  #stage: Stage = 'open'
  /** Why it is aborted, or unknown. */
  #reason: LogError | undefined
  /** The first that failed in it. */
  #failure: { readonly error: unknown } | undefined
  /** Sends whose promises are on their way: they tell of failures a little later than the queue. */
  #unsettledCount = 0
  #allSettled: (() => void) | undefined
  #isQueueSpent = false
  /** Whoever has it in hand asked for its end, and is told by that call. */
  #isEnding = false
  #tellOver: () => void = () => undefined
  #interrupt: (reason: LogError) => void = () => undefined

  constructor(parts: TransactionParts) {
    this.#parts = parts
    this.#front = new SendFront(parts.host, parts.queue)
    this.over = new Promise((resolve) => {
      this.#tellOver = resolve
    })
    this.interrupted = new Promise((_resolve, reject) => {
      this.#interrupt = reject
    })
    this.interrupted.catch(() => undefined) // Nobody waits where it was begun by hand.
    parts.coordinated.onEnded(this.#ended)
  }

  /** Its user has it in hand, and nothing of it is on its way. */
  get isIdle(): boolean {
    return this.#stage === 'open' && this.#parts.queue.isIdle
  }

  /** Something was given up in its queue, which takes nothing more. */
  get isQueueSpent(): boolean {
    return this.#isQueueSpent
  }

  readonly send: Sender['send'] = (first: unknown, second?: unknown): Promise<RecordMetadata> =>
    this.#watched(this.#front.send(first, second))

  readonly sendAll: Sender['sendAll'] = (
    first: unknown,
    second?: unknown,
  ): Promise<readonly RecordMetadata[]> => this.#watched(this.#front.sendAll(first, second))

  readonly commitOffsets: Transaction['commitOffsets'] = (
    deliveredOrGroup: unknown,
    offsets?: unknown,
  ): void => {
    if (this.#stage !== 'open') throw this.#refusal()
    try {
      const known = this.#parts.host.writableOffsets('transaction.commitOffsets')
      this.#parts.coordinated.addOffsets(
        offsets === undefined
          ? deliveredOffsets(deliveredOrGroup, known)
          : givenGroupOffsets(deliveredOrGroup, offsets, known),
      )
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  /** @throws {LogError} TRANSACTION_ABORTED; CLOSED once it is over; IO with an unknown outcome. */
  readonly commit = async (): Promise<void> => {
    if (this.#stage !== 'open') throw this.#refusal()
    const { host, queue } = this.#parts
    this.#stage = 'flushing'
    this.#isEnding = true
    this.#front.end(this.#refusal)
    const release = host.holdsProcess ? holdProcess() : undefined
    try {
      await new Promise<void>((resolve) => queue.flush(resolve))
      await this.#settled()
      await this.#decide()
    } finally {
      release?.()
    }
  }

  /** For its user. @throws {LogError} CLOSED where it is committed; IO where nobody knows. */
  readonly abort = async (): Promise<void> => {
    await this.abortBecause('tx.abort() was called')
    if (this.#stage === 'aborted') return
    throw this.#stage === 'unknown' && this.#reason !== undefined ? this.#reason : this.#refusal()
  }

  /** Sees to its end: aborts it, unless it is committed by then. Never rejects. */
  readonly dispose = async (): Promise<void> => {
    if (this.#stage === 'open') await this.abortBecause('it was disposed without a commit')
    await this.over
  }

  /** For whoever has it in hand. Resolves once it is over, aborted or not. */
  async abortBecause(why: string, cause?: unknown): Promise<void> {
    this.#isEnding = true
    await this.interrupt(why, cause)
  }

  /** Aborts it unless it is decided, and tells its user. Resolves once it is over. */
  async interrupt(why: string, cause?: unknown): Promise<void> {
    const { coordinated, transactionalId } = this.#parts
    const reason = transactionAborted(transactionalId, why, cause)
    if (this.#stage === 'open' || this.#stage === 'flushing') {
      this.#stage = 'aborting'
      this.#giveUp(reason)
    }
    await coordinated.abort(reason)
    await this.over
  }

  /** Aborts it, unless it is being committed already. Resolves once it is over. */
  async close(why: string, cause: unknown): Promise<void> {
    if (this.#stage === 'open') await this.interrupt(why, cause)
    await this.over
  }

  /** What failed has been heard of (I2), or it is over anyway. */
  async #settled(): Promise<void> {
    if (this.#unsettledCount === 0 || this.#stage !== 'flushing') return
    await new Promise<void>((resolve) => {
      this.#allSettled = resolve
    })
  }

  async #decide(): Promise<void> {
    if (this.#failure !== undefined) {
      const { error } = this.#failure
      await this.abortBecause(`something in it failed: ${failureText(error)}`, error)
    }
    if (this.#stage !== 'flushing') {
      await this.over
      throw this.#refusal()
    }
    this.#stage = 'deciding'
    await this.#parts.coordinated.commit()
  }

  /** What was sent and is not in the log yet fails with `reason`. */
  #giveUp(reason: LogError): void {
    this.#reason ??= reason
    this.#allSettled?.()
    this.#front.end(this.#refusal)
    const { queue } = this.#parts
    if (queue.isIdle) return
    this.#isQueueSpent = true
    queue.abandon(this.#reason)
  }

  readonly #ended = (phase: TransactionPhase, reason?: LogError): void => {
    if (phase === 'committed') {
      this.#stage = 'committed'
    } else {
      this.#stage = phase === 'unknown' ? 'unknown' : 'aborted'
      this.#giveUp(this.#asReason(reason))
      if (this.#reason !== undefined && !this.#isEnding) this.#interrupt(this.#reason)
    }
    this.#tellOver()
  }

  /** What users get where the coordinator ended it. */
  #asReason(reason: LogError | undefined): LogError {
    if (reason?.code === 'TRANSACTION_ABORTED' || this.#stage === 'unknown') {
      if (reason !== undefined) return reason
    }
    const why = reason === undefined ? 'the log gave it up' : reason.message
    return transactionAborted(this.#parts.transactionalId, why, reason)
  }

  readonly #refusal = (): LogError => {
    const { transactionalId } = this.#parts
    const isAborted = this.#stage === 'aborting' || this.#stage === 'aborted'
    return isAborted && this.#reason !== undefined ? this.#reason : transactionOver(transactionalId)
  }

  /** I2. What was refused because the transaction is over is for whoever sent it alone. */
  #watched<T>(sending: Promise<T>): Promise<T> {
    if (this.#stage === 'open') {
      this.#unsettledCount += 1
      sending.then(this.#sendSettled, this.#sendFailed)
    }
    return sending
  }

  readonly #sendSettled = (): void => {
    this.#unsettledCount -= 1
    if (this.#unsettledCount === 0) this.#allSettled?.()
  }

  readonly #sendFailed = (error: unknown): void => {
    this.#failed(error)
    this.#sendSettled()
  }

  #failed(error: unknown): void {
    this.#failure ??= { error }
  }
}
