/** All records of some topics, read here or by Kafka's consumer, by the folder they are in. */
import type { EventLog, Isolation } from '../../src/index.ts'
import type { KafkaBroker } from './kafka-broker.ts'
import type { ConsumedPartition } from './kafka-driver.ts'
import { plainRecord } from './sample-records.ts'

/** Partitions by folder, as `orders-0`. */
export type ReadTopics = Record<string, ConsumedPartition>

/** What a broker's consumer reads of each topic. */
export async function readFromBroker(
  broker: KafkaBroker,
  topics: readonly string[],
  isolation: Isolation = 'read_uncommitted',
): Promise<ReadTopics> {
  const read: ReadTopics = {}
  for (const topic of topics) {
    for (const [index, partition] of (await broker.consume(topic, { isolation })).entries()) {
      read[`${topic}-${index}`] = partition
    }
  }
  return read
}

/** What an open log holds of each topic. */
export function readFromLog(
  log: EventLog,
  topics: readonly string[],
  isolation: Isolation = 'read_uncommitted',
): ReadTopics {
  const read: ReadTopics = {}
  for (const partition of topics.flatMap((topic) => log.topic(topic).partitions)) {
    const records = Array.from(partition.records({ isolation }), plainRecord)
    const { logEndOffset, lastStableOffset } = partition
    const endOffset = isolation === 'read_committed' ? lastStableOffset : logEndOffset
    read[`${partition.topic}-${partition.index}`] = { endOffset, records }
  }
  return read
}

/** The latest value of each key, by topic; keys that were deleted are not there. */
export function latestValues(
  read: ReadTopics,
  topics: readonly string[],
): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const latest: Record<string, Record<string, string>> = {}
  for (const topic of topics) {
    const values = new Map<string, string>()
    for (const { key, value } of read[`${topic}-0`]?.records ?? []) {
      if (value === null) values.delete(key ?? '')
      else values.set(key ?? '', value)
    }
    latest[topic] = Object.fromEntries(values)
  }
  return latest
}
