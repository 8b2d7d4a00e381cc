/**
 * Logs for tests with topics that groups commit in, and what the groups have committed, short.
 */
import type { OffsetCommit } from '../../src/log/committed-offsets.ts'
import { OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG } from '../../src/log/internal-topics.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { ReadableOffsets } from '../../src/log/readable-offsets.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

/** In each partition. */
export const RECORDS: number = 100

/** A log of the topics `orders` (two partitions) and `audit` that groups can commit in. */
export async function openGroups(
  driver: StorageDriver,
  clock: FakeClock = new FakeClock(),
  config: TopicConfig = {},
): Promise<LogDirectory> {
  const { log } = await openLog(driver, { clock })
  if (log.topic('orders') !== undefined) return log
  await runProcedure(log.createTopic('orders', { partitions: 2 }))
  await runProcedure(log.createTopic('audit', {}))
  await runProcedure(log.createTopic(OFFSETS_TOPIC, { ...OFFSETS_TOPIC_CONFIG, ...config }))
  appendMany(partitionOf(log, 'orders'), RECORDS)
  appendMany(partitionOf(log, 'orders', 1), RECORDS)
  appendMany(partitionOf(log, 'audit'), RECORDS)
  return log
}

export function at(offset: number, partition: number = 0, topic: string = 'orders'): OffsetCommit {
  return { topic, partition, offset, leaderEpoch: -1, metadata: '' }
}

/** What every group has committed, short. */
export function shown(offsets: ReadableOffsets): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    offsets.groups().map((groupId) => {
      const positions = offsets
        .of(groupId)
        .map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`)
      return [groupId, positions]
    }),
  )
}

/** What is there after a kill. */
export async function reopened(
  driver: FaultDriver,
): Promise<Readonly<Record<string, readonly string[]>>> {
  return shown((await openGroups(driver.processKill())).offsets)
}
