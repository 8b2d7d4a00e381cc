/**
 * How long do the single steps of a consumer group take? All in one process, on a log in memory.
 *
 *   append to handler   from just before `partition.append` to the first line of the handler, one
 *                       record at a time: the median, and what one in a hundred exceeds
 *   rebalance           100 members join a group of 1,000 partitions, from `run` to `ready`; one
 *                       more joins, until all are settled again
 *   commit              `consumer.commit()` of one offset, awaited one after the other: to the
 *                       page cache on disk, and `{ durable: true }`
 *
 *   open                a log that was closed cleanly, with 100,000 commits of a batch each to
 *                       read, of ten groups in 16 partitions, and with none
 *
 * The times of the first and of `commit` are those of one record and of one commit.
 */
import { loadStreambed } from './contestants/streambed.ts'
import type { Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

/** The question. */
export const groupTimes: Question = {
  name: 'groups-times',
  asks: 'the steps of a consumer group, one at a time',
  answer: 'time',
  cases: ({ quick }) => [
    {
      name: 'append to handler, one record',
      contestants: [
        { name: 'p50', role: 'ours', measure: () => latency(quick ? 20_000 : 100_000, 0.5) },
        { name: 'p99', role: 'ours', measure: () => latency(quick ? 20_000 : 100_000, 0.99) },
      ],
    },
    {
      name: 'rebalance, 1,000 partitions',
      contestants: [
        { name: '100 members join', role: 'ours', measure: () => rebalance('all') },
        { name: 'one more joins', role: 'ours', measure: () => rebalance('one more') },
      ],
    },
    {
      name: 'commit of one offset',
      contestants: [
        { name: 'written', role: 'ours', measure: (directory) => commits(directory, false) },
        { name: 'durable', role: 'ours', measure: (directory) => commits(directory, true) },
      ],
    },
    {
      name: 'open with 100,000 commits',
      contestants: [
        { name: 'all of them', role: 'ours', measure: (directory) => opening(directory, 100_000) },
        { name: 'none', role: 'ours', measure: (directory) => opening(directory, 0) },
      ],
    },
  ],
}

const VALUE = Buffer.alloc(100, 1)
const PARTITIONS = 1_000
const MEMBERS = 100
const NS_PER_MS = 1e6
const COMMITS = 20_000
const DURABLE_COMMITS = 500

async function latency(sampleCount: number, quantile: number): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = EventLog.inMemory()
  const topic = await log.createTopic('bench')
  const partition = topic.partition(0)
  const samples = new Float64Array(sampleCount)
  let started = 0
  let seen = 0
  let answer = (): void => undefined
  const running = log.consumerGroup('bench', { topics: ['bench'] }).run(() => {
    samples[seen % sampleCount] = performance.now() - started
    seen += 1
    answer()
  })
  await running.ready
  // The first half is warm-up, and is overwritten.
  for (let index = 0; index < 2 * sampleCount; index += 1) {
    await turn() // The member is idle by now.
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    started = performance.now()
    partition.append([{ value: VALUE }])
    await answered
  }
  await running.stop()
  await log.close()
  const sorted = samples.toSorted()
  const ms = sorted[Math.floor(sampleCount * quantile)] ?? 0
  return measured(ms * NS_PER_MS)
}

async function rebalance(step: 'all' | 'one more'): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = EventLog.inMemory()
  await log.createTopic('bench', { partitions: PARTITIONS })
  const group = log.consumerGroup('bench', { topics: ['bench'] })
  const began = performance.now()
  const running = group.run(() => undefined, { members: MEMBERS })
  await running.ready
  let ms = performance.now() - began
  if (step === 'one more') {
    const beganAgain = performance.now()
    const consumer = await group.join()
    await consumer.ready()
    ms = performance.now() - beganAgain
    await consumer.leave()
  }
  await running.stop()
  await log.close()
  return measured(ms * NS_PER_MS)
}

async function commits(directory: string, durable: boolean): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const topic = await log.createTopic('bench')
  const commitCount = durable ? DURABLE_COMMITS : COMMITS
  topic.partition(0).append(Array.from({ length: 1_000 }, () => ({ value: VALUE })))
  const consumer = await log.consumerGroup('bench', { topics: ['bench'] }).join()
  const commitAll = async (): Promise<void> => {
    for (let index = 0; index < commitCount; index += 1) {
      const offset = index % 1_000
      await consumer.commit([{ topic: 'bench', partition: 0, offset }], { durable })
    }
  }
  await commitAll()
  const { wallNs, userNs, systemNs } = await timed(commitCount, 0, commitAll)
  await log.close()
  return {
    recordCount: 1,
    byteCount: 0,
    wallNs: wallNs / commitCount,
    userNs: userNs / commitCount,
    systemNs: systemNs / commitCount,
  }
}

async function opening(directory: string, commitCount: number): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const options = { housekeepingIntervalMs: null }
  const log = await EventLog.open(directory, options)
  const topic = await log.createTopic('bench', { partitions: 16 })
  for (const partition of topic.partitions) {
    partition.append(Array.from({ length: 1_000 }, () => ({ value: VALUE })))
  }
  const groups = Array.from({ length: 10 }, (_, index) =>
    log.consumerGroup(`group-${index}`, { topics: ['bench'] }),
  )
  const consumers = await Promise.all(groups.map((group) => group.join()))
  for (let index = 0; index < commitCount; index += 1) {
    const offset = 1 + (index % 999)
    await consumers[index % 10]?.commit([{ topic: 'bench', partition: index % 16, offset }])
  }
  await log.close()
  let opened = log
  const { wallNs, userNs, systemNs } = await timed(1, 0, async () => {
    opened = await EventLog.open(directory, options)
  })
  await opened.close()
  return { recordCount: 1, byteCount: 0, wallNs, userNs, systemNs }
}

function measured(wallNs: number): Measurement {
  return { recordCount: 1, byteCount: 0, wallNs, userNs: 0, systemNs: 0 }
}
