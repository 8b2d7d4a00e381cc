/**
 * The questions that `npm run bench` asks, in its order.
 */
import { appendThroughput } from './append-throughput.ts'
import { compaction } from './compaction.ts'
import { enqueueThroughput } from './enqueue-throughput.ts'
import { groupThroughput } from './group-throughput.ts'
import { groupTimes } from './group-times.ts'
import { openTime } from './open-time.ts'
import { randomGet } from './random-get.ts'
import { readersThrough, readersWake, readersWriter } from './readers.ts'
import { retentionTime } from './retention-time.ts'
import { scanThroughput } from './scan-throughput.ts'
import { sendThroughput } from './send-throughput.ts'
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
  compaction,
  retentionTime,
  tableLoad,
  groupThroughput,
  groupTimes,
  readersWriter,
  readersWake,
  readersThrough,
]
