/**
 * What the tests of consumers share: logs with a topic and records in them, and what happened to
 * promises so far.
 */
import { expect } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import type { LogWarning } from '../../../src/client/log-options.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { numbered, openLog, type LogKind } from '../open-log.ts'

/** A log with the topic `t`, its clock and what it warned of. */
export interface GroupLog {
  readonly log: EventLog
  readonly topic: Topic
  readonly clock: FakeClock
  readonly warnings: readonly LogWarning[]
}

/** A log with a topic of so many partitions, each with so many records: v0, v1 … */
export async function groupLog(
  kind: LogKind,
  { partitions = 1, records = 0 }: { partitions?: number; records?: number } = {},
): Promise<GroupLog> {
  const clock = new FakeClock()
  const warnings: LogWarning[] = []
  const log = await openLog(kind, { clock, onWarning: (warning) => void warnings.push(warning) })
  const topic = await log.createTopic('t', { partitions })
  for (const partition of topic.partitions) fill(partition, records)
  return { log, topic, clock, warnings }
}

/** Appends v0, v1 … or, with `first`, those that follow. */
export function fill(partition: Topic['partitions'][number], count: number, first = 0): void {
  for (const record of numbered(count, first)) partition.append([record])
}

/** Lets everything that is due now happen. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}

/** What became of a promise so far. */
export async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'settled'> {
  let state: 'pending' | 'settled' = 'pending'
  promise.then(
    () => (state = 'settled'),
    () => (state = 'settled'),
  )
  await settle()
  return state
}

/** Partition and offset of records, as `0:5`. */
export function places(records: readonly LogRecord[]): readonly string[] {
  return records.map(({ partition, offset }) => `${partition}:${offset}`)
}

/** Offsets of records. */
export function offsetsOf(records: readonly LogRecord[]): readonly number[] {
  return records.map(({ offset }) => offset)
}

/** What a group has committed in partition 0 of `t`; undefined where nothing. */
export function committedIn(log: EventLog, group = 'g', partition = 0): number | undefined {
  const offsets = log.consumerGroup(group).offsets()
  return offsets.find((position) => position.partition === partition)?.offset
}

/** Partition `partition` of `t`. */
export function tp(partition = 0, topic = 't'): TopicPartition {
  return { topic, partition }
}

/** Takes `count` records one by one and stays in the loop; returns the iterator too. */
export async function take<R extends LogRecord>(
  consumer: Consumer<R>,
  count: number,
): Promise<{ readonly records: readonly R[]; readonly iterator: AsyncIterator<R> }> {
  const iterator = consumer[Symbol.asyncIterator]()
  const records: R[] = []
  while (records.length < count) {
    const result: IteratorResult<R, unknown> = await iterator.next()
    expect(result.done).not.toBe(true)
    if (result.done !== true) records.push(result.value)
  }
  return { records, iterator }
}
