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
import { EncodedRecords, LmdbLog } from './contestants/lmdb.ts'
import { FrameBuffer, RawFile } from './contestants/raw-file.ts'
import { SqliteLog } from './contestants/sqlite.ts'
import { checkLog, openLog } from './contestants/streambed.ts'
import { Dataset } from './runner/dataset.ts'
import type { Case, Contestant, Measurement, Question } from './runner/question.ts'
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
    contestants: [streambed(plan), sqlite(plan), lmdb(plan), raw(plan), memcpy(plan)],
  }
}

/** Sends record `index`; resolves when it is as safe as asked for. */
type Send = (index: number) => Promise<unknown>

async function timedSends(
  { dataset, recordCount, senderCount }: Plan,
  send: Send,
): Promise<{ readonly measurement: Measurement; readonly writtenCount: number }> {
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

function streambed(plan: Plan): Contestant {
  const { dataset, acks } = plan
  return {
    name: 'streambed',
    role: 'ours',
    async measure(directory) {
      const open = await openLog(directory)
      const { log, topic } = open
      const producer = log.producer({ acks })
      const { measurement, writtenCount } = await timedSends(plan, (index) =>
        producer.send(topic, dataset.at(index)),
      )
      checkLog(open, dataset, writtenCount)
      await log.close()
      return measurement
    },
  }
}

function sqlite(plan: Plan): Contestant {
  const { dataset, acks, senderCount } = plan
  const sync = acks === 1 ? 'NORMAL' : 'FULL'
  return {
    name: senderCount === 1 ? `sqlite ${sync}` : `sqlite ${sync}, queued`,
    role: 'peer',
    async measure(directory) {
      const log = new SqliteLog(directory, sync)
      const group = new GroupCommit<number>((indexes) => {
        log.appendAll(indexes.map((index) => dataset.at(index)))
      })
      const alone: Send = async (index) => log.append(dataset.at(index))
      const { measurement, writtenCount } = await timedSends(
        plan,
        senderCount === 1 ? alone : (index) => group.add(index),
      )
      log.check(dataset, writtenCount)
      log.close()
      return measurement
    },
  }
}

function lmdb(plan: Plan): Contestant {
  const { dataset, acks } = plan
  return {
    name: acks === 1 ? 'lmdb noSync' : 'lmdb',
    role: 'peer',
    async measure(directory) {
      const log = new LmdbLog(directory, acks === 1 ? 'written' : 'durable')
      const records = new EncodedRecords(dataset)
      const { measurement, writtenCount } = await timedSends(plan, (index) =>
        log.put(records.at(index)),
      )
      log.check(dataset, writtenCount)
      await log.close()
      return measurement
    },
  }
}

function raw(plan: Plan): Contestant {
  const { dataset, acks, senderCount } = plan
  return {
    name: acks === 1 ? 'raw write' : 'raw write + fdatasync',
    role: 'limit',
    async measure(directory) {
      const file = new RawFile(directory)
      if (acks === 'all') file.preallocate()
      const commit = (): Promise<void> | void => {
        file.write()
        return acks === 'all' ? file.sync() : undefined
      }
      const group = new GroupCommit<number>((indexes) => {
        for (const index of indexes) file.add(dataset.at(index))
        return commit()
      })
      const alone: Send = async (index) => {
        file.add(dataset.at(index))
        await commit()
      }
      const { measurement, writtenCount } = await timedSends(
        plan,
        senderCount === 1 ? alone : (index) => group.add(index),
      )
      file.check(dataset, writtenCount)
      file.close()
      return measurement
    },
  }
}

function memcpy(plan: Plan): Contestant {
  const { dataset } = plan
  return {
    name: 'memcpy',
    role: 'limit',
    async measure() {
      const frames = new FrameBuffer()
      const { measurement } = await timedSends(plan, async (index) => {
        frames.usedBytes = 0
        frames.add(dataset.at(index))
      })
      return measurement
    },
  }
}
