/**
 * CoordinatedTransaction: one transaction, from its first batch to its end.
 *
 * Owns which partitions it is in and how far it has come; what outlives it is the business of its
 * transactional id (transactional-id.ts). A commit goes in this order, and a crash between any two
 * of its lines leaves all of it or nothing:
 *   1  positions of groups are checked and appended, in one go
 *   2  room for every marker is set aside; everything it wrote is on stable storage, what its
 *      positions were committed of too, and the commit markers of the same id's decision before
 *   3  the decision is appended to `__transaction_state`, and is on stable storage
 *   4  markers are appended to every partition, positions move, `commit` resolves
 *
 *   I1  up to 3 anybody may abort it; from the moment the decision is handed to `write` nobody
 *   I2  a decision that cannot be appended, with nothing of it left behind, aborts; one that may be
 *       there without being durable is unknown, and nobody touches the transaction any more
 *   I3  a decision stands even where a marker cannot be written: that is tried again, and the last
 *       stable offset of its partition waits
 *   I4  in one partition, without positions, the commit marker behind the data is the decision
 */
import type { LogError } from '../errors/log-error.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'
import type { TransactionOffsets } from './staged-offsets.ts'
import type { PartitionLog } from './partition-log.ts'

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

/** One transaction. */
export class CoordinatedTransaction {
  readonly producerId: number = -1
  readonly producerEpoch: number = -1

  /** How far it has come. */
  get state(): TransactionPhase {
    return 'open'
  }

  /**
   * What the next batch in `log` is finished with; from now on the transaction is in `log` too.
   * @throws {LogError} TRANSACTION_ABORTED, CLOSED once it is over; what a marker in `log` that the
   *   transaction before could not write fails with again.
   */
  producerFor(log: PartitionLog): BatchProducer {
    throw new Error(`${log.topic}: not there yet`)
  }

  /** Positions that move with the commit. @throws {LogError} As `producerFor`. */
  addOffsets(_offsets: TransactionOffsets): void {}

  /**
   * Commits: durable in all its partitions when it resolves. May be called once.
   * @throws {LogError} TRANSACTION_ABORTED with the cause; IO with `details.outcome: 'unknown'`.
   */
  async commit(): Promise<void> {}

  /**
   * Aborts, unless it is decided or over: then it resolves once that is done. Nothing of it is
   * visible when it resolves.
   */
  async abort(_reason: LogError): Promise<void> {}

  /** Calls `listener` once, when it is over, whoever ended it. */
  onEnded(_listener: EndedListener): void {}
}
