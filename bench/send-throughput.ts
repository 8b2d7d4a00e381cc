/**
 * How fast are records sent one by one, when each sender waits until its record is safe: from a
 * kill of the process (acks 1), from a power cut (acks 'all')? With one sender, and with 256 at
 * once.
 *
 * streambed: `producer.send`. SQLite: NORMAL for acks 1, FULL for 'all'; a transaction each with
 * one sender, a queue by hand and a transaction a turn with 256. lmdb: `put` with and without
 * syncs. classic-level: `put`, with `sync` for 'all'; with 256 senders the queue and a batch a
 * turn. event-storage: a commit and a flush, which is what keeps it (peer-durability), with
 * `syncOnFlush` for 'all'; JSON lines: a write, for 'all' and an awaited fdatasync; the queue for
 * both. Limits: raw writes, for 'all' into a preallocated file and followed by an awaited
 * fdatasync, with 256 senders one of each a turn; copying the bytes and nothing else.
 *
 * Where it is durable, sends are timed one by one: with one sender all of them, with 256 every
 * eighth, because looking at the clock is no longer little beside a send. SQLite and event-storage
 * hold the event loop while they sync: their latency is that of everybody else in the process too.
 */
import { CLASSIC_LEVEL, ClassicLevelLog } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog } from './contestants/event-storage.ts'
import { JSON_LINES, JsonLines } from './contestants/json-lines.ts'
import { LMDB, LmdbLog } from './contestants/lmdb.ts'
import { FrameBuffer, LENGTH_BYTES, RawFile } from './contestants/raw-file.ts'
import { encodedRecords, jsonRecords } from './contestants/shaped-records.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset } from './runner/dataset.ts'
import type { Case, Contestant, Latency, Question } from './runner/question.ts'
import { recordsFor, sizesOf, type Size } from './runner/scale.ts'
import { GroupCommit } from './runner/group-commit.ts'
import { latencyOf } from './runner/latency.ts'
import { timed } from './runner/stopwatch.ts'

/**
 * `warmUp` of the smallest records are sent before the clock starts: with fewer, V8 still compiles
 * while it runs. A send took 1.5 µs of CPU after the first 100,000, and 0.8 after 400,000.
 */
const KINDS = [
  { acks: 1, senderCount: 1, base: 40_000, warmUp: 100_000 },
  { acks: 1, senderCount: 256, base: 150_000, warmUp: 400_000 },
  { acks: 'all', senderCount: 1, base: 2_000, warmUp: 6_000 },
  { acks: 'all', senderCount: 256, base: 80_000, warmUp: 400_000 },
] as const
/** Of larger ones there are fewer, but not fewer than these. */
const LEAST_WARM_UP = 20_000
/** One send in so many is timed, with one sender and with more. */
const SAMPLE_ONE = 1
const SAMPLE_MANY = 8
const NS_PER_MS = 1e6

/** The question. */
export const sendThroughput: Question = {
  name: 'send-throughput',
  asks: 'sends records one by one, each awaited by its sender',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).flatMap((size) =>
      KINDS.map(({ base, warmUp, ...kind }) => {
        const fewer = Math.max(LEAST_WARM_UP, Math.ceil(warmUp / size.divisor))
        const warmUpCount = Math.min(warmUp, fewer)
        return caseOf(size, { ...kind, warmUpCount, recordCount: recordsFor(base, size, scale) })
      }),
    ),
}

interface Kind {
  readonly acks: 1 | 'all'
  readonly senderCount: number
  readonly warmUpCount: number
  readonly recordCount: number
}

interface Plan extends Kind {
  readonly dataset: Dataset
}

function caseOf(size: Size, kind: Kind): Case {
  const plan = { ...kind, dataset: new Dataset(size.valueBytes) }
  return {
    name: `${size.name}, acks ${kind.acks}, ${kind.senderCount} in flight`,
    contestants: contestantsOf(plan),
  }
}

/** Sends record `index`; resolves when it is as safe as asked for. */
type Send = (index: number) => Promise<unknown>

async function timedSends(plan: Plan, send: Send): Promise<Timed> {
  const { dataset, recordCount, senderCount, warmUpCount } = plan
  let next = 0
  const timedSend = plan.acks === 'all' ? new SampledSend(plan, send) : undefined
  const sender = async (end: number): Promise<void> => {
    if (timedSend === undefined) while (next < end) await send(next++)
    else while (next < end) await timedSend.call(next++)
  }
  const sendUpTo = async (end: number): Promise<void> => {
    await Promise.all(Array.from({ length: senderCount }, () => sender(end)))
  }
  const writtenCount = warmUpCount + recordCount
  await sendUpTo(warmUpCount)
  timedSend?.forget()
  const measurement = await timed(recordCount, dataset.byteCount(recordCount), () =>
    sendUpTo(writtenCount),
  )
  if (timedSend === undefined) return { measurement, writtenCount }
  return { measurement: { ...measurement, latency: timedSend.latency() }, writtenCount }
}

/** Sends, and times some of them. */
class SampledSend {
  readonly #send: Send
  readonly #every: number
  readonly #samplesNs: Float64Array
  #sampleCount = 0

  constructor({ senderCount, recordCount, warmUpCount }: Plan, send: Send) {
    this.#send = send
    this.#every = senderCount === 1 ? SAMPLE_ONE : SAMPLE_MANY
    this.#samplesNs = new Float64Array(Math.max(warmUpCount, recordCount))
  }

  call(index: number): Promise<unknown> {
    return index % this.#every === 0 ? this.#timed(index) : this.#send(index)
  }

  /** What was timed so far does not count. */
  forget(): void {
    this.#sampleCount = 0
  }

  latency(): Latency {
    return latencyOf(this.#samplesNs, this.#sampleCount)
  }

  async #timed(index: number): Promise<void> {
    const started = performance.now()
    await this.#send(index)
    this.#samplesNs[this.#sampleCount++] = (performance.now() - started) * NS_PER_MS
  }
}

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { dataset, acks, senderCount } = plan
  const isDurable = acks === 'all'
  const sync = isDurable ? 'FULL' : 'NORMAL'
  const contest = new Contest(dataset, (send: Send) => timedSends(plan, send))
    .add({ name: 'streambed', role: 'ours' }, StreambedLog.open, ({ log, topic }) => {
      const producer = log.producer({ acks })
      return (index) => producer.send(topic, dataset.at(index))
    })
    .add(
      { name: senderCount === 1 ? `sqlite ${sync}` : `sqlite ${sync}, queued`, ...SQLITE },
      (directory) => new SqliteLog(directory, sync),
      (log) => (senderCount === 1 ? inserts(log, dataset) : insertsInGroups(log, dataset)),
    )
    .add(
      { name: isDurable ? 'lmdb' : 'lmdb noSync', ...LMDB },
      (directory) => new LmdbLog(directory, isDurable ? 'durable' : 'written'),
      (log) => {
        const records = encodedRecords(dataset)
        return (index) => log.put(records.at(index))
      },
    )
    .add(
      { name: isDurable ? 'classic-level sync' : 'classic-level', ...CLASSIC_LEVEL },
      ClassicLevelLog.create,
      (log) => levelPuts(log, plan),
    )
    .add(
      { name: isDurable ? 'event-storage sync' : 'event-storage', ...EVENT_STORAGE },
      (directory) => EventStorageLog.open(directory, { isDurable, valueBytes: dataset.valueBytes }),
      (log) => commits(log, plan),
    )
    .add(
      { name: isDurable ? 'json lines + fdatasync' : 'json lines', ...JSON_LINES },
      JsonLines.open,
      (file) => lines(file, plan),
    )
    .add(
      { name: isDurable ? 'raw write + fdatasync' : 'raw write', role: 'limit' },
      RawFile.create,
      (file) => rawWrites(file, plan),
    )
    .add(
      { name: 'memcpy', role: 'limit' },
      () => new FrameBuffer(),
      (frames) => async (index) => {
        frames.startOver()
        frames.add(dataset.at(index))
      },
    )
  return contest.contestants
}

function inserts(log: SqliteLog, dataset: Dataset): Send {
  return async (index) => log.append(dataset.at(index))
}

function insertsInGroups(log: SqliteLog, dataset: Dataset): Send {
  const group = new GroupCommit<number>((indexes) => {
    log.appendAll(indexes.map((index) => dataset.at(index)))
  })
  return (index) => group.add(index)
}

function levelPuts(log: ClassicLevelLog, { dataset, acks, senderCount }: Plan): Send {
  const records = encodedRecords(dataset)
  if (senderCount === 1) {
    return (index) =>
      acks === 'all' ? log.putDurably(records.at(index)) : log.put(records.at(index))
  }
  const group = new GroupCommit<number>((indexes) => {
    const batch = indexes.map((index) => records.at(index))
    return acks === 'all' ? log.appendAllDurably(batch) : log.appendAll(batch)
  })
  return (index) => group.add(index)
}

function commits(log: EventStorageLog, { dataset, senderCount }: Plan): Send {
  const records = jsonRecords(dataset)
  const commit = (indexes: readonly number[]): void => {
    log.commitAll(indexes.map((index) => records.at(index)))
    log.flush()
  }
  const group = new GroupCommit<number>(commit)
  return senderCount === 1 ? async (index) => commit([index]) : (index) => group.add(index)
}

function lines(file: JsonLines, { dataset, acks, senderCount }: Plan): Send {
  const records = jsonRecords(dataset)
  const append = (indexes: readonly number[]): void | Promise<void> => {
    for (const index of indexes) file.add(records.at(index))
    file.write()
    if (acks === 'all') return file.sync()
  }
  const group = new GroupCommit<number>(append)
  return senderCount === 1 ? async (index) => append([index]) : (index) => group.add(index)
}

function rawWrites(file: RawFile, plan: Plan): Send {
  const { dataset, acks, senderCount } = plan
  if (acks === 'all') {
    const recordCount = plan.warmUpCount + plan.recordCount
    file.preallocate(recordCount * (LENGTH_BYTES + dataset.byteCount(1)))
  }
  const commit = (): Promise<void> | void => {
    file.write()
    return acks === 'all' ? file.sync() : undefined
  }
  const group = new GroupCommit<number>((indexes) => {
    for (const index of indexes) file.add(dataset.at(index))
    return commit()
  })
  if (senderCount > 1) return (index) => group.add(index)
  return async (index) => {
    file.add(dataset.at(index))
    await commit()
  }
}
