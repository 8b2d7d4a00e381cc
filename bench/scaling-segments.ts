/**
 * What do segments cost, when a partition has many? The same 100,000 records in 1 to 10,000 of
 * them, and the same work on each: the first row is the limit of the others. Without peers: nobody
 * here has segments. Looking one up among many may cost a little more, opening, housekeeping and
 * closing a fixed time for each; appending and rolling nothing at all.
 */
import { rmSync } from 'node:fs'
import type * as Package from '../dist/index.js'
import { copyOf, openAnother } from './contestants/streambed-spread.ts'
import { loadStreambed } from './contestants/streambed.ts'
import { mustEqual, scatteredOffsets } from './runner/dataset.ts'
import type { Case, Measurement, Question, Store } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const QUICK = [1, 30, 300]
const FULL = [1, 10, 100, 1_000, 10_000]

const TOPIC = 'bench'
const RECORDS = 100_000
const BATCH_RECORDS = 10
const LOOKUPS = 20_000
const APPENDED_BATCHES = 5_000
const ROLLS = 200
const VALUE: Buffer = Buffer.alloc(100, 1)
/** Nothing rolls by the clock of this machine. */
const FIRST_TIMESTAMP = 1_700_000_000_000
const DAY_MS = 86_400_000
/** So many batches may be on their way to the disk. */
const BATCHES_A_FLUSH = 1_000
const US_PER_NS = 1e-3

/** The question. */
export const scalingSegments: Question = {
  name: 'scaling-segments',
  asks: 'the same work on a partition of more and more segments',
  answer: 'time',
  cases: ({ quick }) => {
    const sizes = quick ? QUICK : FULL
    return [
      caseOf(sizes, 'open to the first record, closed cleanly', opens),
      caseOf(sizes, `${LOOKUPS} random reads`, gets),
      caseOf(sizes, `${LOOKUPS} offsets by their time`, seeks),
      caseOf(sizes, `scan of ${RECORDS} records`, scans),
      caseOf(sizes, `${APPENDED_BATCHES * BATCH_RECORDS} records, batches of 10`, appends),
      caseOf(sizes, `${ROLLS} records, a segment each`, rolls),
      caseOf(sizes, 'a run of housekeeping', housekeeping),
      caseOf(sizes, 'append one and close', visits),
    ]
  },
}

type Work = () => void | Promise<void>
type Measure = (directory: string, segmentCount: number) => Promise<Measurement>

interface Open {
  readonly log: Package.EventLog
  readonly topic: Package.Topic
  readonly partition: Package.Partition
}

function caseOf(sizes: readonly number[], name: string, measure: Measure): Case {
  return {
    name,
    contestants: sizes.map((segmentCount, index) => ({
      name: `${segmentCount} segments`,
      role: index === 0 ? 'limit' : 'ours',
      store: storeOf(segmentCount),
      measure: (directory) => measure(directory, segmentCount),
    })),
  }
}

/** A topic that has rolled by the time of its records, and will not again by itself. */
function storeOf(segmentCount: number): Store {
  return {
    name: `streambed-${RECORDS}-in-${segmentCount}`,
    async fill(directory) {
      const { log, topic, partition } = await openLog(directory, { segmentMs: DAY_MS })
      const batchCount = RECORDS / BATCH_RECORDS
      for (let batch = 0; batch < batchCount; batch += 1) {
        const segment = Math.floor((batch * segmentCount) / batchCount)
        const timestamp = FIRST_TIMESTAMP + segment * (DAY_MS + 1)
        partition.append(Array.from({ length: BATCH_RECORDS }, () => ({ value: VALUE, timestamp })))
        if (batch % BATCHES_A_FLUSH === 0) await log.flush()
      }
      await topic.alterConfig({ segmentMs: Number.MAX_SAFE_INTEGER })
      mustEqual(topic.size().segments, segmentCount, 'segments made')
      await log.close()
    },
  }
}

async function openLog(directory: string, config: Package.TopicConfig = {}): Promise<Open> {
  const { EventLog } = await loadStreambed()
  const quiet = { housekeepingIntervalMs: null, onWarning: () => undefined }
  const log = await EventLog.open(directory, quiet)
  const topic = await log.ensureTopic(TOPIC, config)
  return { log, topic, partition: topic.partition(0) }
}

async function opens(directory: string, segmentCount: number): Promise<Measurement> {
  await openAnother()
  let open: Open | undefined
  let offset: number | undefined
  const measurement = await timed(1, 0, async () => {
    open = await openLog(directory)
    offset = open.partition.get(RECORDS / 2)?.offset
  })
  mustEqual(offset ?? -1, RECORDS / 2, 'the record read')
  mustEqual(open?.topic.size().segments ?? 0, segmentCount, 'segments found')
  await open?.log.close()
  return byEach(measurement, segmentCount)
}

/** Reads twice, the second time by the clock: what is loaded when it is needed is loaded then. */
async function readsTwice(
  directory: string,
  count: number,
  read: (open: Open) => void,
): Promise<Measurement> {
  const open = await openLog(directory)
  read(open)
  const measurement = await timed(count, count * VALUE.length, () => {
    read(open)
  })
  await open.log.close()
  return measurement
}

function gets(directory: string): Promise<Measurement> {
  const offsets = scatteredOffsets(LOOKUPS, RECORDS)
  return readsTwice(directory, LOOKUPS, ({ partition }) => {
    for (const offset of offsets) {
      if (partition.get(offset)?.offset !== offset) throw new Error('another record was read')
    }
  })
}

function seeks(directory: string, segmentCount: number): Promise<Measurement> {
  const segments = scatteredOffsets(LOOKUPS, segmentCount)
  return readsTwice(directory, LOOKUPS, ({ partition }) => {
    for (const segment of segments) {
      const timestamp = FIRST_TIMESTAMP + segment * (DAY_MS + 1)
      const offset = partition.offsetForTimestamp(timestamp)
      const first = firstBatchOf(segment, segmentCount) * BATCH_RECORDS
      if (offset !== first) throw new Error('another offset was found')
    }
  })
}

function firstBatchOf(segment: number, segmentCount: number): number {
  return Math.ceil((segment * (RECORDS / BATCH_RECORDS)) / segmentCount)
}

function scans(directory: string): Promise<Measurement> {
  return readsTwice(directory, RECORDS, ({ partition }) => {
    mustEqual(
      partition.scan(() => undefined),
      RECORDS,
      'records visited',
    )
  })
}

async function appends(store: string): Promise<Measurement> {
  const recordCount = APPENDED_BATCHES * BATCH_RECORDS
  return onCopy(store, recordCount, 2 * recordCount, ({ partition }) => {
    const batch = Array.from({ length: BATCH_RECORDS }, () => ({ value: VALUE }))
    const append = (): void => {
      for (let count = 0; count < APPENDED_BATCHES; count += 1) partition.append(batch)
    }
    append()
    return append
  })
}

async function rolls(store: string): Promise<Measurement> {
  return onCopy(store, ROLLS, 2 * ROLLS, async ({ topic, partition }) => {
    await topic.alterConfig({ segmentMs: 1 })
    let timestamp = FIRST_TIMESTAMP + RECORDS * DAY_MS
    const roll = (): void => {
      for (let count = 0; count < ROLLS; count += 1) {
        timestamp += DAY_MS
        partition.append({ value: VALUE, timestamp })
      }
    }
    roll()
    return roll
  })
}

async function housekeeping(store: string, segmentCount: number): Promise<Measurement> {
  const measurement = await onCopy(store, 1, 0, async ({ log, topic }) => {
    await topic.alterConfig({ retentionMs: Number.MAX_SAFE_INTEGER })
    return async () => {
      await log.runHousekeeping()
    }
  })
  return byEach(measurement, segmentCount)
}

async function visits(store: string, segmentCount: number): Promise<Measurement> {
  const directory = copyOf(store)
  const { log, partition } = await openLog(directory)
  const measurement = await timed(1, 0, async () => {
    partition.append({ value: VALUE })
    await log.close()
  })
  const again = await openLog(directory)
  mustEqual(again.partition.logEndOffset, RECORDS + 1, 'the end')
  await again.log.close()
  rmSync(directory, { recursive: true })
  return byEach(measurement, segmentCount)
}

/** Times what `prepare` returns, on a copy to which that appends `appendedCount` records. */
async function onCopy(
  store: string,
  recordCount: number,
  appendedCount: number,
  prepare: (open: Open) => Work | Promise<Work>,
): Promise<Measurement> {
  const directory = copyOf(store)
  const open = await openLog(directory)
  const work = await prepare(open)
  const measurement = await timed(recordCount, recordCount * VALUE.length, work)
  const visited = open.partition.scan(() => undefined)
  mustEqual(visited, RECORDS + appendedCount, 'records read back')
  await open.log.close()
  rmSync(directory, { recursive: true })
  return measurement
}

function byEach(measurement: Measurement, segmentCount: number): Measurement {
  return { ...measurement, also: { 'us each': (measurement.wallNs * US_PER_NS) / segmentCount } }
}
