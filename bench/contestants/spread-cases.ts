/**
 * The cases that the questions about many topics and many partitions have in common: the same work
 * on logs that differ in how many there are. The smallest is the limit, so a row's ratio to it is
 * what growing costs, and 'us each' is the time by what there is of it. Making ten thousand takes
 * minutes, so a log is made once a case, and what is appended to it stays for the next round.
 */
import { rmSync } from 'node:fs'
import type { Case, Contestant, Measurement } from '../runner/question.ts'
import { timed } from '../runner/stopwatch.ts'
import { mustEqual } from '../runner/dataset.ts'
import { loadStreambed } from './streambed.ts'
import {
  SpreadLog,
  STORED_RECORDS,
  copyOf,
  crashedWriter,
  createTopics,
  openAnother,
  spreadStore,
  type Spread,
} from './streambed-spread.ts'

/** A log of one size, and what that is called. */
export interface NamedSpread {
  readonly name: string
  readonly spread: Spread
}

/** How much work a case is. */
export interface SpreadWork {
  /** Batches of ten records, to the partitions in turn. */
  readonly batchCount: number
  /** Records handed over one by one, with different keys. */
  readonly enqueuedCount: number
  /** Records sent to one partition, each awaited until it is safe from a power cut. */
  readonly durableCount: number
}

const VALUE: Buffer = Buffer.alloc(100, 1)
const BATCH: readonly { readonly value: Buffer }[] = Array.from({ length: 10 }, () => ({
  value: VALUE,
}))
const ENQUEUED_A_TURN = 1_000
const US_PER_NS = 1e-3

type Measure = (directory: string, spread: Spread) => Promise<Measurement>

/** All of them. */
export function spreadCases(sizes: readonly NamedSpread[], work: SpreadWork): readonly Case[] {
  const { batchCount, enqueuedCount, durableCount } = work
  const stored = (name: string, measure: Measure): Case => ({
    name,
    contestants: sizes.map(({ name: size, spread }, index) => ({
      ...rowOf(size, index),
      store: spreadStore(spread),
      measure: (directory) => measure(directory, spread),
    })),
  })
  const created: Case = {
    name: 'create',
    contestants: sizes.map(({ name: size, spread }, index) => ({
      ...rowOf(size, index),
      measure: (directory) => creates(directory, spread),
    })),
  }
  return [
    stored(`${batchCount * BATCH.length} records, batches of 10 in turn`, (at) =>
      appends(at, batchCount),
    ),
    stored(`${enqueuedCount} records by key`, (at) => enqueues(at, enqueuedCount)),
    stored(`${durableCount} durable records to one`, (at) => durables(at, durableCount)),
    created,
    stored('open to the first record, closed cleanly', opens),
    stored('open to the first record, after kill -9', opensKilled),
    stored('append to one and close', visits),
    stored('a run of housekeeping', housekeeping),
  ]
}

function rowOf(name: string, index: number): Pick<Contestant, 'name' | 'role'> {
  return { name, role: index === 0 ? 'limit' : 'ours' }
}

/** The same, with the time by each of what there is many of. */
function byEach(measurement: Measurement, { topicCount, partitionCount }: Spread): Measurement {
  const each = (measurement.wallNs * US_PER_NS) / (topicCount * partitionCount)
  return { ...measurement, also: { 'us each': each } }
}

async function appends(directory: string, batchCount: number): Promise<Measurement> {
  const open = await SpreadLog.open(directory)
  const append = (count: number): void => {
    for (let batch = 0; batch < count; batch += 1) open.inTurn(batch).append(BATCH)
  }
  append(batchCount)
  const recordCount = batchCount * BATCH.length
  const measurement = await timed(recordCount, recordCount * VALUE.length, () => {
    append(batchCount)
  })
  open.checkAppended(2 * recordCount)
  await open.close()
  return measurement
}

async function enqueues(directory: string, recordCount: number): Promise<Measurement> {
  const open = await SpreadLog.open(directory)
  const producer = open.log.producer({ acks: 1 })
  const handOver = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      const topic = open.topics[index % open.topics.length]
      if (topic !== undefined) producer.enqueue(topic, { key: `key-${index}`, value: VALUE })
      if (index % ENQUEUED_A_TURN === ENQUEUED_A_TURN - 1) await producer.drained()
    }
    await producer.flush()
  }
  await handOver(recordCount)
  const measurement = await timed(recordCount, recordCount * VALUE.length, () =>
    handOver(recordCount),
  )
  open.checkAppended(2 * recordCount)
  await open.close()
  return measurement
}

async function durables(directory: string, recordCount: number): Promise<Measurement> {
  const open = await SpreadLog.open(directory)
  const topic = open.log.topic(open.inTurn(0).topic)
  const send = async (): Promise<void> => {
    for (let index = 0; index < recordCount; index += 1) {
      await topic.send({ value: VALUE, partition: 0 })
    }
  }
  await send()
  const measurement = await timed(recordCount, recordCount * VALUE.length, send)
  open.checkAppended(2 * recordCount)
  await open.close()
  return measurement
}

async function creates(directory: string, spread: Spread): Promise<Measurement> {
  await openAnother()
  const { EventLog } = await loadStreambed()
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const measurement = await timed(1, 0, async () => {
    await createTopics(log, spread)
  })
  mustEqual(log.topics().length, spread.topicCount, 'topics made')
  await log.close()
  return byEach(measurement, spread)
}

async function opens(directory: string, spread: Spread): Promise<Measurement> {
  await openAnother()
  return byEach(await timedOpen(directory, spread, STORED_RECORDS), spread)
}

async function opensKilled(store: string, spread: Spread): Promise<Measurement> {
  const directory = copyOf(store)
  const errand = { contestant: 'spread', directory, valueBytes: VALUE.length } as const
  await crashedWriter({ ...errand, fromRecord: STORED_RECORDS, recordCount: STORED_RECORDS })
  await openAnother()
  const measurement = await timedOpen(directory, spread, 2 * STORED_RECORDS)
  rmSync(directory, { recursive: true })
  return byEach(measurement, spread)
}

async function timedOpen(
  directory: string,
  { topicCount, partitionCount }: Spread,
  recordsEach: number,
): Promise<Measurement> {
  const count = topicCount * partitionCount
  let open: SpreadLog | undefined
  let offset: number | undefined
  const measurement = await timed(1, 0, async () => {
    open = await SpreadLog.open(directory)
    offset = open.inTurn(count >> 1).get(recordsEach - 1)?.offset
  })
  mustEqual(offset ?? -1, recordsEach - 1, 'the record read')
  mustEqual(open?.partitions.length ?? 0, count, 'partitions found')
  open?.check(count * recordsEach)
  await open?.close()
  return measurement
}

async function visits(store: string, spread: Spread): Promise<Measurement> {
  const directory = copyOf(store)
  const open = await SpreadLog.open(directory)
  const measurement = await timed(1, 0, async () => {
    open.inTurn(0).append(BATCH)
    await open.close()
  })
  const again = await SpreadLog.open(directory)
  again.check(again.partitions.length * STORED_RECORDS + BATCH.length)
  await again.close()
  rmSync(directory, { recursive: true })
  return byEach(measurement, spread)
}

async function housekeeping(directory: string, spread: Spread): Promise<Measurement> {
  const open = await SpreadLog.open(directory)
  await open.topics[0]?.alterConfig({ retentionMs: Number.MAX_SAFE_INTEGER })
  const measurement = await timed(1, 0, async () => {
    await open.log.runHousekeeping()
  })
  open.check(open.partitions.length * STORED_RECORDS)
  await open.close()
  return byEach(measurement, spread)
}
