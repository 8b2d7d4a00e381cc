/**
 * How fast are records sent one by one, when each sender waits until its record is safe: from a
 * kill of the process (acks 1), from a power cut (acks 'all')? With one sender, and with 256 at
 * once.
 *
 * streambed: `producer.send`. SQLite: NORMAL for acks 1, FULL for 'all'; a transaction each with
 * one sender, a queue by hand and a transaction a turn with 256. lmdb: `put` with and without
 * syncs. Limits: raw writes, for 'all' into a preallocated file and followed by an awaited
 * fdatasync, with 256 senders one of each a turn; copying the bytes and nothing else.
 */
import { LMDB, EncodedRecords, LmdbLog } from './contestants/lmdb.ts'
import { FrameBuffer, RawFile } from './contestants/raw-file.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset } from './runner/dataset.ts'
import type { Case, Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf, warmUpFor, type Size } from './runner/scale.ts'
import { GroupCommit } from './runner/group-commit.ts'
import { timed } from './runner/stopwatch.ts'

const KINDS = [
  { acks: 1, senderCount: 1, base: 40_000 },
  { acks: 1, senderCount: 256, base: 150_000 },
  { acks: 'all', senderCount: 1, base: 1_000 },
  { acks: 'all', senderCount: 256, base: 80_000 },
] as const
/** Sent before the clock starts: with fewer, JavaScript is still being compiled while it runs. */
const MIN_WARM_UP_RECORDS = 2_000

/** The question. */
export const sendThroughput: Question = {
  name: 'send-throughput',
  asks: 'sends records one by one, each awaited by its sender',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).flatMap((size) =>
      KINDS.map(({ base, ...kind }) =>
        caseOf(size, { ...kind, recordCount: recordsFor(base, size, scale) }),
      ),
    ),
}

interface Kind {
  readonly acks: 1 | 'all'
  readonly senderCount: number
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

async function timedSends({ dataset, recordCount, senderCount }: Plan, send: Send): Promise<Timed> {
  let next = 0
  const sender = async (end: number): Promise<void> => {
    while (next < end) await send(next++)
  }
  const sendUpTo = async (end: number): Promise<void> => {
    await Promise.all(Array.from({ length: senderCount }, () => sender(end)))
  }
  const warmUpCount = Math.max(MIN_WARM_UP_RECORDS, warmUpFor(recordCount))
  const writtenCount = warmUpCount + recordCount
  await sendUpTo(warmUpCount)
  const measurement = await timed(recordCount, dataset.byteCount(recordCount), () =>
    sendUpTo(writtenCount),
  )
  return { measurement, writtenCount }
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
        const records = new EncodedRecords(dataset)
        return (index) => log.put(records.at(index))
      },
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

function rawWrites(file: RawFile, { dataset, acks, senderCount }: Plan): Send {
  if (acks === 'all') file.preallocate()
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
