/**
 * Events as services write them, JSON of about 300 B: how many bytes do they take on disk, how fast
 * are they appended, and read again, with each codec?
 *
 * 'bytes/event' is all that the closed store has on disk, indexes included, by the number of
 * events. streambed compresses a batch by itself, so what a codec finds depends on the size of
 * batches; LevelDB compresses blocks of 4 KiB, whatever the batch, with snappy, later, in a thread:
 * its append is not slowed by it and its user CPU is. It is compacted before its bytes are counted.
 * Limits: the events with a length before each; gzip -6 of all of them in one piece, what nobody
 * who wants to append or to read one event can have. Reading looks at each event, and parses none.
 */
import { gzipSync } from 'node:zlib'
import { CLASSIC_LEVEL } from './contestants/classic-level.ts'
import {
  bytesBelow,
  frameEvents,
  levelEvents,
  lineEvents,
  streambedEvents,
  type EventPlan,
  type OpenEvents,
} from './contestants/event-stores.ts'
import { JSON_LINES } from './contestants/json-lines.ts'
import { EVENT_POOL, OrderEvents, ReadBack } from './contestants/order-events.ts'
import { mustEqual, touch } from './runner/dataset.ts'
import type { Case, Contestant, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

const QUICK_EVENTS = 100_000
const FULL_EVENTS = 300_000
const GZIP_LEVEL = 6

/** The question. */
export const jsonEvents: Question = {
  name: 'json-events',
  asks: 'JSON events of about 300 B: their bytes on disk, and the speed, with each codec',
  answer: 'throughput',
  cases: ({ quick }) =>
    [100, 1_000].flatMap((batchRecords) => {
      const counts = { batchRecords, eventCount: quick ? QUICK_EVENTS : FULL_EVENTS }
      return [appendCase(counts), scanCase(counts)]
    }),
}

interface Counts {
  readonly batchRecords: number
  readonly eventCount: number
}

/** Who takes part, and how each is opened. */
const STORES: readonly (Pick<Contestant, 'name' | 'role' | 'needs'> & {
  readonly open: OpenEvents
})[] = [
  { name: 'streambed', role: 'ours', open: streambedEvents('none') },
  { name: 'streambed lz4', role: 'ours', open: streambedEvents('lz4') },
  { name: 'streambed snappy', role: 'ours', open: streambedEvents('snappy') },
  { name: 'streambed zstd', role: 'ours', open: streambedEvents('zstd') },
  { name: 'streambed gzip', role: 'ours', open: streambedEvents('gzip') },
  { name: 'JSON lines', ...JSON_LINES, open: lineEvents },
  { name: 'classic-level', ...CLASSIC_LEVEL, open: levelEvents },
  { name: 'raw frames', role: 'limit', open: frameEvents },
]

function appendCase(counts: Counts): Case {
  const contestants = STORES.map(({ open, ...entry }): Contestant => ({
    ...entry,
    measure: (directory) => appended(directory, counts, open),
  }))
  const whole: Contestant = {
    name: 'gzip -6 of all',
    role: 'limit',
    measure: () => compressed(counts),
  }
  return { name: `append, ${batchesOf(counts)}`, contestants: [...contestants, whole] }
}

function scanCase(counts: Counts): Case {
  return {
    name: `scan, ${batchesOf(counts)}`,
    contestants: STORES.map(({ open, ...entry }) => ({
      ...entry,
      store: {
        name: `events-${entry.name.replaceAll(' ', '-')}-${counts.batchRecords}`,
        fill: (directory) => filled(directory, counts, open),
      },
      measure: (directory) => scanned(directory, counts, open),
    })),
  }
}

function batchesOf({ batchRecords }: Counts): string {
  return `batches of ${batchRecords.toLocaleString('en-US')}`
}

async function appended(
  directory: string,
  { batchRecords, eventCount }: Counts,
  open: OpenEvents,
): Promise<Measurement> {
  const events = new OrderEvents()
  const plan: EventPlan = { events, batchRecords }
  const store = await open(directory, plan)
  const batchCount = eventCount / batchRecords
  const warmUpCount = batchCount / 2
  const append = async (from: number, to: number): Promise<void> => {
    for (let batch = from; batch < to; batch += 1) {
      const pending = store.append(batch)
      if (pending !== undefined) await pending
    }
  }
  await append(0, warmUpCount)
  await turn()
  // Whole rounds of the pool, wherever it starts.
  const measuredBytes = events.byteCount(eventCount)
  const measurement = await timed(eventCount, measuredBytes, () =>
    append(warmUpCount, warmUpCount + batchCount),
  )
  await store.close()
  const writtenCount = (warmUpCount + batchCount) * batchRecords
  const bytes = bytesBelow(directory) / writtenCount
  await mustHold(directory, plan, open, writtenCount)
  return { ...measurement, also: { 'bytes/event': bytes } }
}

/** Opens it again, so that what was counted is what is read. */
async function mustHold(
  directory: string,
  plan: EventPlan,
  open: OpenEvents,
  eventCount: number,
): Promise<void> {
  const store = await open(directory, plan)
  const readBack = new ReadBack(plan.events)
  await store.scan((bytes, start, byteLength) => {
    readBack.add(bytes.subarray(start, start + byteLength))
  })
  readBack.finish(eventCount)
  await store.close()
}

async function filled(
  directory: string,
  { batchRecords, eventCount }: Counts,
  open: OpenEvents,
): Promise<void> {
  const plan = { events: new OrderEvents(), batchRecords }
  const store = await open(directory, plan)
  for (let batch = 0; batch < eventCount / batchRecords; batch += 1) await store.append(batch)
  await store.close()
  await mustHold(directory, plan, open, eventCount)
}

/** Reads all of it twice, the second time by the clock. */
async function scanned(
  directory: string,
  { batchRecords, eventCount }: Counts,
  open: OpenEvents,
): Promise<Measurement> {
  const events = new OrderEvents()
  const store = await open(directory, { events, batchRecords })
  let sum = 0
  const scan = async (): Promise<void> => {
    sum = 0
    const visited = await store.scan((bytes, start, byteLength) => {
      sum += touch(bytes, start, byteLength)
    })
    mustEqual(visited, eventCount, 'events read')
  }
  await scan()
  const measurement = await timed(eventCount, events.byteCount(eventCount), scan)
  const pool = Buffer.from(events.range(0, EVENT_POOL).join(''), 'latin1')
  let expected = 0
  for (let index = 0, at = 0; index < EVENT_POOL; index += 1) {
    const { length } = events.at(index)
    expected += touch(pool, at, length)
    at += length
  }
  mustEqual(sum, (expected * eventCount) / EVENT_POOL, 'what was read')
  await store.close()
  return measurement
}

async function compressed({ eventCount }: Counts): Promise<Measurement> {
  const events = new OrderEvents()
  const text = `${events.range(0, eventCount).join('\n')}\n`
  let bytes = 0
  const measurement = await timed(eventCount, events.byteCount(eventCount), () => {
    bytes = gzipSync(text, { level: GZIP_LEVEL }).length
  })
  return { ...measurement, also: { 'bytes/event': bytes / eventCount } }
}
