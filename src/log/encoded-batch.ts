/**
 * What goes into a partition, and what comes out of it: a finished batch, a marker, and where they
 * ended up. Owned by nobody: the partition assigns offsets, whoever encoded a batch keeps its bytes
 * as they are until `append` returns.
 */
import type { TransactionOutcome } from '../format/control-record.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'

/** A finished batch whose offsets are to be assigned. */
export interface EncodedBatch {
  readonly buffer: Buffer
  readonly start: number
  readonly sizeBytes: number
  readonly recordCount: number
  readonly maxTimestamp: number
  /** Whom its header names; `NO_PRODUCER` where it names nobody. */
  readonly producer: BatchProducer
}

/** Where a batch ended up. */
export interface AppendedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  /** Largest timestamp of the batch, or the time of the append. */
  readonly timestamp: number
  readonly leaderEpoch: number
  /**
   * Nothing was appended: it is one of its producer's last five batches, which is where the other
   * fields say. As durable as what was appended then: `makeDurable` tells.
   */
  readonly isDuplicate: boolean
}

/** How a transaction ends in one partition. */
export interface TransactionMarker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly outcome: TransactionOutcome
  readonly coordinatorEpoch: number
  /** Room was kept for it (`reserveMarker`); whoever kept it releases it once it is written. */
  readonly isReserved?: boolean
}
