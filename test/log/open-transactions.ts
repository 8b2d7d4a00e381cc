/**
 * Logs for tests of transactions, without the client: topics to write to, batches in a transaction
 * by hand, and what a reader that trusts nothing but the batches takes for committed.
 */
import { controlTypeOf } from '../../src/format/control-record.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import {
  batchSizeBytesOf,
  isTransactionalBatch,
  producerEpochOf,
  producerIdOf,
} from '../../src/format/record-batch.ts'
import { readTransactionKey, readTransactionValue } from '../../src/format/transaction-state.ts'
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from '../../src/log/internal-topics.ts'
import type { CoordinatedTransaction } from '../../src/log/coordinated-transaction.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { ProcedureQueue, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { openLog, partitionOf } from './open-log.ts'

const MAX_DECOMPRESSED_BYTES = 1 << 26
export const TIMEOUT_MS = 60_000

/** A log of the topics `orders` (two partitions) and `audit`; each power cut is another boot. */
export async function openTransactions(
  driver: StorageDriver,
  clock: FakeClock = new FakeClock(),
  bootId: string = 'boot',
): Promise<LogDirectory> {
  const { log } = await openLog(driver, { clock, bootId })
  if (log.topic('orders') === undefined) {
    await runProcedure(log.createTopic('orders', { partitions: 2 }))
    await runProcedure(log.createTopic('audit', {}))
  }
  const procedures = new ProcedureQueue()
  const make = async (topic: string): Promise<void> => {
    await procedures.run(function* () {
      if (log.topic(topic) === undefined) yield* log.createTopic(topic, {})
    })
  }
  log.transactions.ownTopics = {
    prepareOffsets: () => make(OFFSETS_TOPIC),
    prepareTransactions: () => make(TRANSACTIONS_TOPIC),
  }
  return log
}

/** The three partitions: `orders-0`, `orders-1`, `audit-0`. */
export function partitionsOf(log: LogDirectory): readonly PartitionLog[] {
  return [partitionOf(log, 'orders'), partitionOf(log, 'orders', 1), partitionOf(log, 'audit')]
}

/** Begins a transaction of a new producer. */
export async function begin(
  log: LogDirectory,
  transactionalId: string | null = null,
): Promise<CoordinatedTransaction> {
  const producer = await log.transactions.initProducer(transactionalId)
  return log.transactions.begin(producer, TIMEOUT_MS)
}

/** Appends one batch of the transaction. */
export function add(
  transaction: CoordinatedTransaction,
  log: PartitionLog,
  ...values: readonly string[]
): void {
  const producer = transaction.producerFor(log)
  const builder = new RecordBatchBuilder()
  const { buffer, start } = log.tail.reserve()
  builder.begin(buffer, start)
  for (const value of values) builder.add(1_000, null, value, null)
  builder.finish('none', producer)
  log.append(builder)
}

/** A batch as it was written: records, or a marker. */
export interface WrittenBatch {
  readonly producer: string
  readonly values: readonly string[]
  readonly marker: 'commit' | 'abort' | undefined
}

/** Every batch of `log`, from its files. */
export function batchesOf(log: PartitionLog): readonly WrittenBatch[] {
  log.tail.clear()
  const batches: WrittenBatch[] = []
  const cursor = log.cursor(log.logStartOffset)
  const reader = new RecordBatchReader()
  for (let run = cursor.next(log.highWatermark); run; run = cursor.next(log.highWatermark)) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      reader.reset(run.buffer, at, MAX_DECOMPRESSED_BYTES)
      const producer = isTransactionalBatch(reader.attributes)
        ? `${producerIdOf(run.buffer, at)}@${producerEpochOf(run.buffer, at)}`
        : ''
      const values: string[] = []
      let marker: WrittenBatch['marker']
      while (reader.next()) {
        const { buffer, keyStart, keyLength, valueStart, valueLength } = reader
        if (reader.isControl) {
          const type = controlTypeOf(buffer, keyStart, keyLength)
          if (type !== 'other') marker = type
        } else values.push(buffer.toString('utf8', valueStart, valueStart + valueLength))
      }
      batches.push({ producer, values, marker })
    }
  }
  return batches
}

/** Values that are committed, and how many transactions are still open. */
export interface Outcome {
  readonly committed: readonly string[]
  readonly openCount: number
}

/** What became of the transactions in `log`. */
export function outcomeIn(log: PartitionLog): Outcome {
  const open = new Map<string, string[]>()
  const committed: string[] = []
  for (const { producer, values, marker } of batchesOf(log)) {
    const id = producer.slice(0, producer.indexOf('@'))
    if (marker === 'commit') committed.push(...(open.get(id) ?? []))
    if (marker !== undefined) open.delete(id)
    else if (producer === '') committed.push(...values)
    else open.set(id, [...(open.get(id) ?? []), ...values])
  }
  return { committed, openCount: open.size }
}

/** What is committed in each of the three partitions. */
export function committedIn(log: LogDirectory): readonly (readonly string[])[] {
  return partitionsOf(log).map((one) => outcomeIn(one).committed)
}

/** What `__transaction_state` says last of each id, as `Empty@0`. */
export function statesOf(log: LogDirectory): Readonly<Record<string, string>> {
  const states = new Map<string, string>()
  const topic = log.topic(TRANSACTIONS_TOPIC)
  const reader = new RecordBatchReader()
  for (const partition of topic?.partitions ?? []) {
    partition.tail.clear()
    const cursor = partition.cursor(0)
    for (let run = cursor.next(Infinity); run; run = cursor.next(Infinity)) {
      for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
        reader.reset(run.buffer, at, MAX_DECOMPRESSED_BYTES)
        while (reader.next()) {
          const { buffer, keyStart, keyLength, valueStart, valueLength } = reader
          const id = readTransactionKey(buffer, keyStart, keyLength)
          if (id === undefined) continue
          const state =
            valueLength < 0 ? undefined : readTransactionValue(buffer, valueStart, valueLength)
          if (state === undefined) states.delete(id)
          else states.set(id, `${state.status}@${state.producerEpoch}`)
        }
      }
    }
  }
  return Object.fromEntries(states)
}

/** How a call ended: 'ok', or the code of what it failed with, and whether that is unknown. */
export async function endOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (!LogError.is(error)) throw error
    const isUnknown = LogError.is(error, 'IO') && error.details.outcome === 'unknown'
    return isUnknown ? 'unknown' : error.code
  }
}
