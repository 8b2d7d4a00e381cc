/**
 * BatchWriter: as whom a batch is written. Asked right before each append, so that a sequence is
 * used up by what got into the log and by nothing else: what failed leaves no gap behind.
 */
import { NO_PRODUCER, type BatchProducer } from '../format/record-batch-builder.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ProducerIds } from '../log/producer-ids.ts'

/** Whose batches are appended. */
export interface BatchWriter {
  /**
   * What the next batch in `log` says of its producer.
   * @throws {LogError} Where it may write no more: the batch is not appended.
   */
  producerFor(log: PartitionLog): BatchProducer
  /** What the users are told where `error` kept a batch out of the log; it, where undefined. */
  readonly refusal?: (error: unknown) => unknown
}

/** Batches of nobody in particular: what is sent twice is kept twice. */
export const PLAIN_WRITER: BatchWriter = { producerFor: () => NO_PRODUCER }

const SHARED_EPOCH = 0

/** Batches of the id that all producers of a log share outside transactions. */
export class SharedWriter implements BatchWriter {
  readonly #log: { readonly producerIds: ProducerIds }

  constructor(log: { readonly producerIds: ProducerIds }) {
    this.#log = log
  }

  producerFor(log: PartitionLog): BatchProducer {
    const producerId = this.#log.producerIds.shared()
    const baseSequence = log.nextSequence(producerId, SHARED_EPOCH)
    return { producerId, producerEpoch: SHARED_EPOCH, baseSequence, transactional: false }
  }
}
