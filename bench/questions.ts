/**
 * The questions that `npm run bench` asks, in its order.
 */
import { appendThroughput } from './append-throughput.ts'
import { compaction } from './compaction.ts'
import { enqueueThroughput } from './enqueue-throughput.ts'
import { followLatency } from './follow-latency.ts'
import { garbage } from './garbage.ts'
import { groupThroughput } from './group-throughput.ts'
import { groupTimes } from './group-times.ts'
import { kafkaLoopback } from './kafka-loopback.ts'
import { jsonEvents } from './json-events.ts'
import { openTime } from './open-time.ts'
import { peerDurability } from './peer-durability.ts'
import { randomGet } from './random-get.ts'
import { readersThrough, readersWake } from './readers.ts'
import { readersWriter } from './readers-writer.ts'
import { appendByRecordSize, scanByRecordSize } from './record-sizes.ts'
import { retentionTime } from './retention-time.ts'
import { scalingLogSize } from './scaling-log-size.ts'
import { scalingPartitions } from './scaling-partitions.ts'
import { scalingReaders } from './scaling-readers.ts'
import { scalingSegments } from './scaling-segments.ts'
import { scalingTopics } from './scaling-topics.ts'
import { scanThroughput } from './scan-throughput.ts'
import { sendThroughput } from './send-throughput.ts'
import { startUp } from './start-up.ts'
import { tableLoad } from './table-load.ts'
import { transactions } from './transactions.ts'
import type { Question } from './runner/question.ts'

/** All of them. */
export const questions: readonly Question[] = [
  appendThroughput,
  enqueueThroughput,
  sendThroughput,
  transactions,
  scanThroughput,
  randomGet,
  openTime,
  peerDurability,
  appendByRecordSize,
  scanByRecordSize,
  compaction,
  retentionTime,
  tableLoad,
  groupThroughput,
  groupTimes,
  readersWriter,
  readersWake,
  readersThrough,
  followLatency,
  startUp,
  kafkaLoopback,
  jsonEvents,
  garbage,
  scalingLogSize,
  scalingPartitions,
  scalingTopics,
  scalingSegments,
  scalingReaders,
]
