/**
 * streambed as transactions are measured: one topic of some partitions, a producer for each
 * transaction that is under way at once. A transaction's records go to the partitions in turn. What
 * is there in the end is counted without order: transactions that run at once have none.
 */
import type * as Package from '../../dist/index.js'
import {
  POOL_RECORDS,
  crc32Of,
  mustEqual,
  type BenchRecord,
  type Dataset,
} from '../runner/dataset.ts'
import { loadStreambed } from './streambed.ts'

/** Records of a transaction. */
export const TRANSACTION_RECORDS = 10
const TOPIC = 'bench'

/** What one transaction sends. */
export type TransactionToSend = readonly (BenchRecord & { readonly partition: number })[]

/** An open log to run transactions in. */
export class StreambedTransactions {
  readonly #log: Package.EventLog
  readonly #topic: Package.Topic
  readonly #producers: readonly Package.Producer[]

  private constructor(log: Package.EventLog, topic: Package.Topic, atOnce: number) {
    this.#log = log
    this.#topic = topic
    this.#producers = Array.from({ length: atOnce }, () => log.producer())
  }

  /** Opens a new log with a topic of `partitions`, for `atOnce` transactions at once. */
  static async open(
    directory: string,
    { partitions, atOnce }: { readonly partitions: number; readonly atOnce: number },
  ): Promise<StreambedTransactions> {
    const { EventLog } = await loadStreambed()
    const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
    return new StreambedTransactions(log, await log.createTopic(TOPIC, { partitions }), atOnce)
  }

  /** The records of transactions, in turn, each with its partition. */
  transactionsOf(dataset: Dataset): readonly TransactionToSend[] {
    const partitionCount = this.#topic.partitions.length
    return dataset
      .batches(TRANSACTION_RECORDS)
      .map((records) => records.map((one, at) => ({ ...one, partition: at % partitionCount })))
  }

  /** Commits these records with the producer of `sender`. */
  commit(records: TransactionToSend, sender: number): Promise<unknown> {
    const producer = this.#producers[sender]
    if (producer === undefined) throw new RangeError(`there is no sender ${sender}`)
    return producer.transaction((transaction) => transaction.sendAll(this.#topic, records))
  }

  /** Throws unless the records of the first `transactionCount` transactions are committed. */
  check(dataset: Dataset, transactionCount: number): void {
    const recordCount = transactionCount * TRANSACTION_RECORDS
    let visited = 0
    let sum = 0
    for (const partition of this.#topic.partitions) {
      visited += partition.scan(
        ({ buffer, keyStart, keyLength, valueStart, valueLength }) => {
          const key = buffer.subarray(keyStart, keyStart + keyLength)
          sum += crc32Of(0, key, buffer.subarray(valueStart, valueStart + valueLength))
        },
        { isolation: 'read_committed' },
      )
    }
    mustEqual(visited, recordCount, 'records read back')
    mustEqual(sum, sumOfTransactions(dataset, transactionCount), 'sum of the checksums read back')
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

/** Of the checksums of the records of the first `transactionCount` transactions. */
export function sumOfTransactions(dataset: Dataset, transactionCount: number): number {
  const recordCount = transactionCount * TRANSACTION_RECORDS
  let sum = 0
  for (let index = 0; index < Math.min(POOL_RECORDS, recordCount); index += 1) {
    const { key, value } = dataset.at(index)
    sum += crc32Of(0, key, value) * Math.ceil((recordCount - index) / POOL_RECORDS)
  }
  return sum
}
