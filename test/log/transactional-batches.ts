/**
 * Batches of transactions and their markers for tests, straight into a partition: what producers
 * and their coordinator write, without either.
 */
import type { Codec } from '../../src/format/compression.ts'
import type { TransactionOutcome } from '../../src/format/control-record.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import type { AppendedBatch } from '../../src/log/encoded-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { NewRecord } from './open-log.ts'

/** Who writes; -1 for somebody without a number. */
export interface TestProducer {
  readonly producerId: number
  readonly transactional: boolean
}

/** Appends one batch of `records`, numbered as their producer goes on. */
export function appendAs(
  log: PartitionLog,
  producer: TestProducer,
  records: readonly NewRecord[],
  codec: Codec = 'none',
): AppendedBatch {
  const builder = new RecordBatchBuilder()
  const { buffer, start } = log.tail.reserve()
  builder.begin(buffer, start)
  for (const { timestamp, value } of records) builder.add(timestamp, null, Buffer.from(value), null)
  const { producerId, transactional } = producer
  if (producerId < 0) builder.finish(codec)
  else {
    const baseSequence = log.nextSequence(producerId, 0)
    builder.finish(codec, { producerId, producerEpoch: 0, baseSequence, transactional })
  }
  return log.append(builder)
}

/** Appends one record in a transaction of `producerId`, and returns its offset. */
export function appendInTransaction(log: PartitionLog, producerId: number, value: string): number {
  const producer = { producerId, transactional: true }
  return appendAs(log, producer, [{ timestamp: 1_000, value }]).baseOffset
}

/** Appends the marker that ends what `producerId` has open, and returns its offset. */
export function appendMarker(
  log: PartitionLog,
  producerId: number,
  outcome: TransactionOutcome,
): number {
  return log.appendMarker({ producerId, producerEpoch: 0, outcome, coordinatorEpoch: 0 })
}
