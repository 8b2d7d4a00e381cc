/**
 * Producer: sends records to the partitions of a log, gathered into batches.
 *
 * Owns the life from open to closed. What is an argument and what is refused is send-front.ts,
 * order and room are send-queue.ts, batches and acknowledgements batcher.ts, transactions
 * transaction-queue.ts.
 *   I1  once closed, nothing is taken, and everything taken before finishes or is rejected
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import type { CommittedOffsets } from '../log/committed-offsets.ts'
import type { ResolvedTopicConfig } from '../log/log-config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ProducerIds } from '../log/producer-ids.ts'
import type { TransactionCoordinator } from '../log/transaction-coordinator.ts'
import { PLAIN_WRITER, SharedWriter } from './batch-writer.ts'
import type { OpenTransaction, Transaction } from './group-types.ts'
import {
  checkProducerOptions,
  type ProducerOptions,
  type ProducerSettings,
} from './producer-options.ts'
import type { SendInput, TopicRecord } from './record-input.ts'
import type { RecordTypes } from './record-types.ts'
import { SendFront } from './send-front.ts'
import { SendQueue } from './send-queue.ts'
import type { RecordMetadata } from './send-result.ts'
import type { Anything } from './standard-schema.ts'
import type { AnyTopicRef, TopicRef } from './topic-ref.ts'
import { TransactionQueue } from './transaction-queue.ts'

export type { RecordMetadata } from './send-result.ts'

/** What sends records: a producer, or a transaction. */
export interface Sender {
  /** Sends a record of bytes to the topic it names. */
  send(record: TopicRecord): Promise<RecordMetadata>
  /** Sends a record with the types of a definition or a handle. */
  send<KI, VI>(
    topic: TopicRef<Anything, Anything, string, KI, VI>,
    record: SendInput<KI, VI>,
  ): Promise<RecordMetadata>
  /** Sends records of bytes, each to the topic it names; results are in the order given. */
  sendAll(records: readonly TopicRecord[]): Promise<readonly RecordMetadata[]>
  /** Sends records with the types of a definition or a handle; results are in the order given. */
  sendAll<KI, VI>(
    topic: TopicRef<Anything, Anything, string, KI, VI>,
    records: readonly SendInput<KI, VI>[],
  ): Promise<readonly RecordMetadata[]>
}

/** A topic as a producer sees it, through one handle, definition or name. */
export interface ProducerTopic {
  readonly name: string
  readonly types: RecordTypes
  readonly config: ResolvedTopicConfig
  /** Its partitions, to append to; may grow. */
  readonly logs: readonly PartitionLog[]
  /** False once it is deleted or its log closed: what it was found by may name another one then. */
  readonly isUsable: boolean
}

/** The log that a producer belongs to. */
export interface ProducerHost {
  readonly clock: Clock
  readonly randomBytes: (byteCount: number) => Uint8Array
  /** Under which ids producers write. */
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
  /** Records on their way keep the process alive. */
  readonly holdsProcess: boolean
  /** Where it is set, `producerTopic` has to be asked for each record. */
  readonly onSend?: (() => void) | undefined
  /** @throws {LogError} `TOPIC_NOT_FOUND`, `CLOSED`, `INVALID_ARGUMENT` for internal topics. */
  producerTopic(topic: string | AnyTopicRef): ProducerTopic
  /** Where consumer groups go on, for `call` to change. @throws {LogError} READ_ONLY. */
  writableOffsets(call: string): CommittedOffsets
  /** The producer has ended: everything it took is settled. */
  producerClosed(producer: Producer): void
}

/**
 * Sends records, gathered into batches of one partition each. One producer is one queue: the order
 * of `send`, `sendAll` and `enqueue` holds between them, and records of a partition are
 * acknowledged in offset order. Made by `log.producer(options)`; a log closes its producers when it
 * closes.
 *
 * @example
 * ```ts
 * const producer = log.producer({ lingerMs: 5 })
 * const { offset } = await producer.send({ topic: 'orders', key: 'o-1', value: 'paid' })
 * for (const line of lines) {
 *   if (!producer.enqueue({ topic: 'lines', value: line })) await producer.drained()
 * }
 * await producer.close()
 * ```
 */
export class Producer implements Sender, AsyncDisposable {
  readonly #host: ProducerHost
  readonly #queue: SendQueue
  readonly #front: SendFront
  readonly #settings: ProducerSettings
  /** Made with the first transaction. */
  #transactionQueue: TransactionQueue | undefined
  /** Everything it took is settled, and it takes nothing more. */
  #isFinished = false
  /** What closed it, where that was not `close`. */
  #closedBy: unknown
  #ended: Promise<void> | undefined

  private constructor(host: ProducerHost, options: ProducerOptions | undefined) {
    const settings = checkProducerOptions(options)
    this.#host = host
    this.#settings = settings
    const writer = settings.idempotent ? new SharedWriter(host) : PLAIN_WRITER
    this.#queue = new SendQueue(host, settings, writer)
    this.#front = new SendFront(host, this.#queue)
    const { signal } = settings
    if (signal?.aborted === true) this.#aborted()
    else signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /**
   * For the log that makes it.
   * @throws {LogError} `INVALID_ARGUMENT`
   * @internal
   */
  static create(host: ProducerHost, options?: ProducerOptions): Producer {
    return new Producer(host, options)
  }

  /**
   * Sends one record: resolves when it is acknowledged as `acks` says, with its place. Waits for
   * room where too much is on its way. The bytes given may change once the call has returned.
   *
   * @throws {LogError} Never at the call. Rejects with `INVALID_ARGUMENT`, `INVALID_RECORD`,
   * `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `RECORD_TOO_LARGE`, `BUFFER_FULL` (a record larger
   * than bufferBytes), `CLOSED`, `ABORTED`, `NO_SPACE`, `READ_ONLY`: the record was not appended;
   * and with `IO`, where `details.outcome: 'unknown'` says that it may have been.
   */
  send: Sender['send'] = (topicOrRecord: unknown, record?: unknown): Promise<RecordMetadata> =>
    this.#front.send(topicOrRecord, record)

  /**
   * Sends several records, all or none of which are accepted: every one is checked first. Resolves
   * with their places in the order given. Where some fail later, it rejects as the first of them
   * would, once all are settled; `details.failed` has them all as `{ index, error }`.
   */
  sendAll: Sender['sendAll'] = (
    topicOrRecords: unknown,
    records?: unknown,
  ): Promise<readonly RecordMetadata[]> => this.#front.sendAll(topicOrRecords, records)

  /**
   * Sends a record without waiting for anything: it is taken in any case. Returns false when as
   * much is buffered as should be: then wait for `drained` before the next. Without a timestamp the
   * record gets the time of the call or, under the machine's clock, that of one of the 15 calls
   * before it in this turn of the event loop.
   *
   * What goes wrong later rejects the next `flush`, `drained` or `close`, once.
   * @throws {LogError} What can be known at once, as `send` rejects: the record was not taken.
   */
  enqueue(record: TopicRecord): boolean
  enqueue<KI, VI>(
    topic: TopicRef<Anything, Anything, string, KI, VI>,
    record: SendInput<KI, VI>,
  ): boolean
  enqueue(topicOrRecord: unknown, record?: unknown): boolean {
    this.#front.take(topicOrRecord, record, null)
    return !this.#queue.isFull
  }

  /** Resolves when less than bufferBytes is buffered: at once, or when half of it is free. */
  async drained(): Promise<void> {
    if (this.#isFinished) throw this.#closedError()
    await new Promise<void>((resolve) => this.#queue.whenDrained(resolve))
    this.#queue.throwUnseen()
  }

  /**
   * Resolves when everything sent and enqueued before is acknowledged as `acks` says (with acks 0:
   * appended; in a transaction too). Nothing lingers. Rejects with the error of an enqueued record
   * that failed, once.
   */
  async flush(): Promise<void> {
    if (this.#isFinished) throw this.#closedError()
    const flushed = new Promise<void>((resolve) => this.#queue.flush(resolve))
    await Promise.all([flushed, this.#transactionQueue?.flush()])
    this.#queue.throwUnseen()
  }

  /**
   * Runs `fn` in a transaction: what it sends counts together or not at all, in any number of
   * topics, with the positions of consumer groups. Commits when `fn` returns, and resolves with
   * what it returned: all of it is durable then, whatever `acks` says. Aborts when it throws.
   *
   * The transactions of a producer run one after the other: one that is begun inside another waits
   * for it, until that one's time is over. A transaction that was aborted rejects at once, though
   * `fn` may still run; what it sends is refused from then on.
   *
   * @example
   * ```ts
   * await producer.transaction(async (tx) => {
   *   await tx.send({ topic: 'debits', key: 'a', value: '5' })
   *   await tx.send({ topic: 'credits', key: 'b', value: '5' })
   * })
   * ```
   * @throws {LogError} Rejects with whatever `fn` threw; `TRANSACTION_ABORTED` where it was aborted
   * otherwise, by `tx.abort()`, by `transactionTimeoutMs`, by a newer producer of the same
   * transactionalId, by `close`, or since something in it failed, which is the `cause`; `FENCED`
   * where a newer producer has the transactionalId; `READ_ONLY` after an unknown outcome;
   * `CLOSED`; and with `IO`, where `details.outcome: 'unknown'` says that only opening the log
   * again will tell whether it is committed.
   */
  async transaction<R>(fn: (tx: Transaction) => Promise<R> | R): Promise<R> {
    return await this.#transactions('producer.transaction').run(fn)
  }

  /**
   * Begins a transaction that `commit` or `abort` ends: for those whose work does not fit into one
   * function. With `await using` it is aborted where nobody committed it. Waits until the one
   * before is over.
   *
   * @example
   * ```ts
   * await using tx = await producer.begin()
   * await tx.send({ topic: 'orders', value: 'paid' })
   * await tx.commit()
   * ```
   * @throws {LogError} `FENCED`, `READ_ONLY`, `CLOSED`, `NO_SPACE`, `IO`: none was begun.
   */
  async begin(): Promise<OpenTransaction> {
    return await this.#transactions('producer.begin').begin()
  }

  /**
   * Takes nothing more and resolves when everything taken is acknowledged or rejected. A
   * transaction that is open is aborted, one that is being committed is waited for. Rejects with
   * the error of an enqueued record that failed, once; the producer is closed all the same.
   */
  async close(): Promise<void> {
    await this.shutdown()
    this.#queue.throwUnseen()
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Everything it took is settled. @internal */
  get isIdle(): boolean {
    return this.#queue.isIdle && (this.#transactionQueue?.isIdle ?? true)
  }

  /** Appends what is gathered in batches, lingering or not. @internal */
  sendBatches(): void {
    this.#queue.sendBatches()
    this.#transactionQueue?.sendBatches()
  }

  /**
   * Closes it for its log: resolves when everything it took is settled, and never rejects.
   * @internal
   */
  shutdown(): Promise<void> {
    this.#front.end(this.#closedError)
    this.#ended ??= this.#finish()
    return this.#ended
  }

  /**
   * Closes it and rejects with `error` whatever it has not appended yet: for a log that has no more
   * time, and for signals.
   * @internal
   */
  abandon(error: LogError): void {
    this.#closedBy ??= error
    this.#front.end(this.#closedError)
    this.#queue.abandon(error)
    this.#transactionQueue?.abandon(error)
    void this.shutdown()
  }

  #transactions(call: string): TransactionQueue {
    if (this.#ended !== undefined) throw this.#closedError()
    if (!this.#settings.idempotent) {
      throw invalidArgument(
        `${call}: transactions need a producer that is idempotent: leave idempotent: false out`,
        { call, option: 'idempotent', value: false },
      )
    }
    this.#transactionQueue ??= new TransactionQueue(this.#host, this.#settings, this.#closedError)
    return this.#transactionQueue
  }

  readonly #closedError = (): LogError<'CLOSED'> => {
    const cause = this.#closedBy
    const by = cause === undefined ? '' : ' by its signal or its log'
    const message = `the producer is closed${by}: make another with log.producer`
    return new LogError('CLOSED', message, {}, cause === undefined ? undefined : { cause })
  }

  async #finish(): Promise<void> {
    const flushed = new Promise<void>((resolve) => this.#queue.flush(resolve))
    await Promise.all([flushed, this.#transactionQueue?.close()])
    this.#settings.signal?.removeEventListener('abort', this.#aborted)
    this.#isFinished = true
    this.#host.producerClosed(this)
  }

  readonly #aborted = (): void => {
    const cause: unknown = this.#settings.signal?.reason
    const message = 'the producer was closed by its signal before the record was appended'
    this.abandon(new LogError('ABORTED', message, {}, { cause }))
  }
}
