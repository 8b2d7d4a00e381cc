/**
 * Every call of the public interface on a log that was opened read-only, with what it must do. The
 * names are checked against the classes, so that no later call can be forgotten.
 */
import type { EventLog } from '../../../src/client/event-log.ts'
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import type { GroupAdministration } from '../../../src/client/groups/group-admin.ts'
import type { Partition } from '../../../src/client/partition.ts'
import type { Producer } from '../../../src/client/producer.ts'
import type { Topic } from '../../../src/client/topic.ts'

/** A read-only log with a handle of each kind; the topic is compacted and has five records. */
export interface ReadOnlyWorld {
  readonly log: EventLog
  readonly topic: Topic
  readonly partition: Partition
  readonly producer: Producer
  readonly group: ConsumerGroup
  readonly admin: GroupAdministration
}

/** What a call does: on an open log, and on a closed one, where it may keep its last value. */
export interface PublicCall {
  readonly does: 'works' | 'throws READ_ONLY' | 'rejects READ_ONLY'
  readonly closed: 'CLOSED' | 'kept'
  readonly call: (world: ReadOnlyWorld) => unknown
}

/** Works while the log is open. */
function works(call: PublicCall['call']): PublicCall {
  return { does: 'works', closed: 'CLOSED', call }
}

/** Works on a closed log too. */
function kept(call: PublicCall['call']): PublicCall {
  return { does: 'works', closed: 'kept', call }
}

function throws(call: PublicCall['call']): PublicCall {
  return { does: 'throws READ_ONLY', closed: 'CLOSED', call }
}

function rejects(call: PublicCall['call']): PublicCall {
  return { does: 'rejects READ_ONLY', closed: 'CLOSED', call }
}

async function all<T>(records: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const record of records) found.push(record)
  return found
}

const RECORD = { key: 'k', value: 'v' }

/** Of `EventLog`. Those that end the log are the tests' own. */
export const LOG_CALLS: Readonly<Record<string, PublicCall>> = {
  isOpen: kept(({ log }) => log.isOpen),
  createTopic: rejects(({ log }) => log.createTopic('new')),
  ensureTopic: rejects(({ log }) => log.ensureTopic('t')),
  topic: works(({ log }) => log.topic('t')),
  topics: works(({ log }) => log.topics()),
  deleteTopic: rejects(({ log }) => log.deleteTopic('t')),
  producer: works(({ log }) => log.producer()),
  consumerGroup: works(({ log }) => log.consumerGroup('g', { topics: ['t'] })),
  consumerGroups: works(({ log }) => log.consumerGroups()),
  describe: works(({ log }) => log.describe()),
  flush: rejects(({ log }) => log.flush()),
  scrub: works(({ log }) => log.scrub()),
  runHousekeeping: rejects(({ log }) => log.runHousekeeping()),
  backup: rejects(({ log }) => log.backup('/nowhere')),
  exportRecords: works(({ log }) => all(log.exportRecords('t'))),
  importRecords: rejects(({ log }) => log.importRecords('t', ['{"value":"v"}'])),
  guarantees: kept(({ log }) => log.guarantees()),
}

/** Of `Topic`. */
export const TOPIC_CALLS: Readonly<Record<string, PublicCall>> = {
  config: kept(({ topic }) => topic.config),
  partitions: kept(({ topic }) => topic.partitions),
  partition: kept(({ topic }) => topic.partition(0)),
  partitionFor: kept(({ topic }) => topic.partitionFor('k')),
  send: rejects(({ topic }) => topic.send(RECORD)),
  sendAll: rejects(({ topic }) => topic.sendAll([RECORD])),
  read: works(({ topic }) => all(topic.read())),
  table: works(async ({ topic }) => await (await topic.table()).close()),
  alterConfig: rejects(({ topic }) => topic.alterConfig({ segmentBytes: 4_096 })),
  addPartitions: rejects(({ topic }) => topic.addPartitions(2)),
  size: works(({ topic }) => topic.size()),
  countRecords: works(({ topic }) => topic.countRecords()),
}

/** Of `Partition`. */
export const PARTITION_CALLS: Readonly<Record<string, PublicCall>> = {
  logStartOffset: kept(({ partition }) => partition.logStartOffset),
  highWatermark: kept(({ partition }) => partition.highWatermark),
  lastStableOffset: kept(({ partition }) => partition.lastStableOffset),
  logEndOffset: kept(({ partition }) => partition.logEndOffset),
  durableOffset: kept(({ partition }) => partition.durableOffset),
  append: throws(({ partition }) => partition.append(RECORD)),
  records: works(({ partition }) => [...partition.records()]),
  scan: works(({ partition }) => partition.scan(() => undefined)),
  read: works(({ partition }) => all(partition.read())),
  get: works(({ partition }) => partition.get(0)),
  offsetForTimestamp: works(({ partition }) => partition.offsetForTimestamp(0)),
  deleteRecords: rejects(({ partition }) => partition.deleteRecords(1)),
  why: works(({ partition }) => partition.why()),
  flush: rejects(({ partition }) => partition.flush()),
}

/** Of `Producer`. Closing one is nothing that changes the log. */
export const PRODUCER_CALLS: Readonly<Record<string, PublicCall>> = {
  send: rejects(({ producer }) => producer.send({ topic: 't', ...RECORD })),
  sendAll: rejects(({ producer }) => producer.sendAll([{ topic: 't', ...RECORD }])),
  enqueue: throws(({ producer }) => producer.enqueue({ topic: 't', ...RECORD })),
  drained: works(({ producer }) => producer.drained()),
  flush: works(({ producer }) => producer.flush()),
  transaction: rejects(({ producer }) => producer.transaction(() => undefined)),
  begin: rejects(({ producer }) => producer.begin()),
  isIdle: kept(({ producer }) => producer.isIdle),
  sendBatches: kept(({ producer }) => producer.sendBatches()),
}

/** Of `ConsumerGroup`. */
export const GROUP_CALLS: Readonly<Record<string, PublicCall>> = {
  id: kept(({ group }) => group.id),
  join: rejects(({ group }) => group.join()),
  run: rejects(({ group }) => group.run(() => undefined).done),
  runBatches: rejects(({ group }) => group.runBatches(() => undefined).done),
  describe: works(({ group }) => group.describe()),
  offsets: works(({ group }) => group.offsets()),
  lag: works(({ group }) => group.lag()),
  resetOffsets: rejects(({ group }) => group.resetOffsets('earliest')),
  delete: rejects(({ group }) => group.delete()),
  coverGiven: throws(({ group }) => group.coverGiven([])),
}

/** Of a group's administration, a handle without options. */
export const ADMIN_CALLS: Readonly<Record<string, PublicCall>> = {
  id: kept(({ admin }) => admin.id),
  describe: works(({ admin }) => admin.describe()),
  offsets: works(({ admin }) => admin.offsets()),
  lag: works(({ admin }) => admin.lag()),
  resetOffsets: rejects(({ admin }) => admin.resetOffsets('earliest')),
  delete: rejects(({ admin }) => admin.delete()),
  coverGiven: throws(({ admin }) => admin.coverGiven([])),
}
