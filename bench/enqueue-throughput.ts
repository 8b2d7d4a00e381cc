/**
 * How fast are records handed over one by one, when nobody waits for each? Measured up to the
 * point where all of them have been written, safe from a kill of the process.
 *
 * streambed: `producer.enqueue`, acks 1. SQLite: a queue by hand, one transaction a turn of the
 * event loop. lmdb: `put`, not awaited, which it commits in groups by itself. classic-level: the
 * queue, a batch a turn, awaited. event-storage: `commit`, which has a buffer of its own, flushed
 * at the end. JSON lines: a write a turn. Limits: raw writes of 64 KiB from a buffer; copying the
 * bytes and nothing else. All of them hand over 1,000 a turn.
 */
import { CLASSIC_LEVEL, ClassicLevelLog } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog } from './contestants/event-storage.ts'
import { JSON_LINES, JsonLines } from './contestants/json-lines.ts'
import { LMDB, LmdbLog } from './contestants/lmdb.ts'
import { FrameBuffer, RawFile } from './contestants/raw-file.ts'
import { encodedRecords, jsonRecords } from './contestants/shaped-records.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset, type BenchRecord } from './runner/dataset.ts'
import type { Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf, warmUpFor } from './runner/scale.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

const RECORDS_PER_TURN = 1_000
const WRITE_BYTES = 65_536
/** So many unawaited puts lmdb gets before it is waited for, or it would hold all of them. */
const LMDB_WINDOW = 20_000

/** The question. */
export const enqueueThroughput: Question = {
  name: 'enqueue-throughput',
  asks: 'hands records over one by one, not awaited, until all survive a kill of the process',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const dataset = new Dataset(size.valueBytes)
      const recordCount = recordsFor(600_000, size, scale)
      const plan = { dataset, recordCount }
      return { name: size.name, contestants: contestantsOf(plan) }
    }),
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
}

/**
 * Takes one record after the other; `turnOver` at the end of each turn, `finish` at the very end.
 */
interface Sink {
  take(index: number): void
  turnOver(): void | Promise<void>
  finish(): void | Promise<void>
}

async function timedHandOver({ dataset, recordCount }: Plan, sink: Sink): Promise<Timed> {
  const handOver = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to;) {
      const turnEnd = Math.min(to, index + RECORDS_PER_TURN)
      for (; index < turnEnd; index += 1) sink.take(index)
      await sink.turnOver()
      await turn()
    }
    await sink.finish()
  }
  const warmUpCount = warmUpFor(recordCount)
  const writtenCount = warmUpCount + recordCount
  await handOver(0, warmUpCount)
  const measurement = await timed(recordCount, dataset.byteCount(recordCount), () =>
    handOver(warmUpCount, writtenCount),
  )
  return { measurement, writtenCount }
}

const nothing = (): void => undefined

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { dataset } = plan
  const contest = new Contest(dataset, (sink: Sink) => timedHandOver(plan, sink))
    .add({ name: 'streambed', role: 'ours' }, StreambedLog.open, (open) =>
      enqueueing(open, dataset),
    )
    .add(
      { name: 'sqlite NORMAL', ...SQLITE },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => queued(log, dataset),
    )
    .add(
      { name: 'lmdb noSync', ...LMDB },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => putting(log, dataset),
    )
    .add({ name: 'classic-level', ...CLASSIC_LEVEL }, ClassicLevelLog.create, (log) =>
      batched(log, dataset),
    )
    .add(
      { name: 'event-storage', ...EVENT_STORAGE },
      (directory) => EventStorageLog.open(directory, { valueBytes: dataset.valueBytes }),
      (log) => committing(log, dataset),
    )
    .add({ name: 'json lines', ...JSON_LINES }, JsonLines.open, (file) => lining(file, dataset))
    .add({ name: 'raw write', role: 'limit' }, RawFile.create, (file) => writing(file, dataset))
    .add(
      { name: 'memcpy', role: 'limit' },
      () => new FrameBuffer(),
      (frames) => copying(frames, dataset),
    )
  return contest.contestants
}

function enqueueing({ log, topic }: StreambedLog, dataset: Dataset): Sink {
  const producer = log.producer({ acks: 1 })
  let hasRoom = true
  return {
    take: (index) => {
      hasRoom = producer.enqueue(topic, dataset.at(index))
    },
    turnOver: () => (hasRoom ? undefined : producer.drained()),
    finish: () => producer.flush(),
  }
}

function queued(log: SqliteLog, dataset: Dataset): Sink {
  let queue: BenchRecord[] = []
  return {
    take: (index) => void queue.push(dataset.at(index)),
    turnOver: () => {
      log.appendAll(queue)
      queue = []
    },
    finish: nothing,
  }
}

function putting(log: LmdbLog, dataset: Dataset): Sink {
  const records = encodedRecords(dataset)
  let last: Promise<unknown> = Promise.resolve()
  let taken = 0
  return {
    take: (index) => {
      last = log.put(records.at(index))
      taken += 1
    },
    turnOver: () => (taken % LMDB_WINDOW === 0 ? last.then(nothing) : undefined),
    finish: () => last.then(nothing),
  }
}

function batched(log: ClassicLevelLog, dataset: Dataset): Sink {
  const records = encodedRecords(dataset)
  let batch: Buffer[] = []
  return {
    take: (index) => void batch.push(records.at(index)),
    turnOver: () => {
      const full = batch
      batch = []
      return log.appendAll(full)
    },
    finish: nothing,
  }
}

function committing(log: EventStorageLog, dataset: Dataset): Sink {
  const records = jsonRecords(dataset)
  return {
    take: (index) => log.commitAll([records.at(index)]),
    turnOver: nothing,
    finish: () => log.flush(),
  }
}

function lining(file: JsonLines, dataset: Dataset): Sink {
  const records = jsonRecords(dataset)
  return {
    take: (index) => file.add(records.at(index)),
    turnOver: () => file.write(),
    finish: nothing,
  }
}

function writing(file: RawFile, dataset: Dataset): Sink {
  const recordsPerWrite = Math.max(1, Math.floor(WRITE_BYTES / dataset.valueBytes))
  let added = 0
  return {
    take: (index) => {
      file.add(dataset.at(index))
      added += 1
      if (added % recordsPerWrite === 0) file.write()
    },
    turnOver: () => file.write(),
    finish: nothing,
  }
}

function copying(frames: FrameBuffer, dataset: Dataset): Sink {
  return {
    take: (index) => {
      if (frames.usedBytes > WRITE_BYTES) frames.startOver()
      frames.add(dataset.at(index))
    },
    turnOver: nothing,
    finish: nothing,
  }
}
