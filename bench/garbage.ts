/**
 * What does appending cost everybody else in the process: how long does V8 stop it to collect
 * garbage, how long is the event loop held at a stretch, how much memory does it come to hold?
 *
 *   as many as go     batches of 100, each in a turn of its own of the event loop
 *   200,000 a second  the same by a clock: everybody has the same work, and time left over
 *   durable           256 senders at once, each waiting until its record is safe from a power cut
 *
 * 'GC ms/s' is by the time that passed; the records are there before the clock starts, so all the
 * garbage is that of who stores them. A synchronous peer holds the loop as long as a batch takes;
 * SQLite FULL holds it while the disk syncs.
 */
import { setTimeout } from 'node:timers/promises'
import { LMDB, LmdbLog } from './contestants/lmdb.ts'
import { encodedRecords } from './contestants/shaped-records.ts'
import { LENGTH_BYTES, RawFile } from './contestants/raw-file.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset, type BenchRecord } from './runner/dataset.ts'
import { GroupCommit } from './runner/group-commit.ts'
import type { Case, Contestant, Measurement, Question } from './runner/question.ts'
import { strained } from './runner/strain.ts'
import { turn } from './runner/turn.ts'

const VALUE_BYTES = 100
const BATCH_RECORDS = 100
const RATE_PER_SECOND = 200_000
const SENDERS = 256
const MS_PER_SECOND = 1_000
const NS_PER_MS = 1e6
const NS_PER_SECOND = 1e9

/** The question. */
export const garbage: Question = {
  name: 'garbage',
  asks: 'appends beside other work: garbage, how long the event loop is held, memory',
  answer: 'throughput',
  cases: ({ quick }) => [
    writeCase('as many as go', quick ? 600_000 : 4_000_000, null),
    writeCase('200,000 a second', quick ? 300_000 : 2_000_000, RATE_PER_SECOND),
    durableCase(quick ? 80_000 : 600_000),
  ],
}

const dataset = new Dataset(VALUE_BYTES)

/** Writes the batch with this number, counted from 0. */
type WriteBatch = (batch: number) => unknown
/** Sends the record with this number; resolves when it is safe. */
type Send = (index: number) => Promise<unknown>

function writeCase(name: string, recordCount: number, perSecond: number | null): Case {
  const time = (write: WriteBatch): Promise<Timed> => timedTurns(recordCount, perSecond, write)
  const batches = dataset.batches(BATCH_RECORDS)
  const inTurn = <T>(all: readonly (readonly T[])[], batch: number): readonly T[] =>
    all[batch % all.length] ?? []
  const writing =
    (write: (batch: readonly BenchRecord[]) => unknown): WriteBatch =>
    (batch) =>
      write(inTurn(batches, batch))
  const { contestants } = new Contest(dataset, time)
    .add({ name: 'streambed', role: 'ours' }, StreambedLog.open, ({ partition }) =>
      writing((batch) => partition.append(batch)),
    )
    .add(
      { name: 'sqlite NORMAL', ...SQLITE },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => writing((batch) => log.appendAll(batch)),
    )
    .add(
      { name: 'lmdb noSync', ...LMDB },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => {
        const encoded = encodedRecords(dataset).batches(BATCH_RECORDS)
        return (batch) => log.appendAll(inTurn(encoded, batch))
      },
    )
    .add({ name: 'raw write', role: 'limit' }, RawFile.create, (file) =>
      writing((batch) => file.appendAll(batch)),
    )
  return { name, contestants: withGarbage(contestants) }
}

function durableCase(recordCount: number): Case {
  const time = (send: Send): Promise<Timed> => timedSends(recordCount, send)
  const { contestants } = new Contest(dataset, time)
    .add(
      { name: 'streambed', role: 'ours' },
      StreambedLog.open,
      ({ topic }) =>
        (index) =>
          topic.send(dataset.at(index)),
    )
    .add(
      { name: 'sqlite FULL', ...SQLITE },
      (directory) => new SqliteLog(directory, 'FULL'),
      (log) => {
        const queue = new GroupCommit<BenchRecord>((records) => log.appendAll(records))
        return (index) => queue.add(dataset.at(index))
      },
    )
    .add(
      { name: 'lmdb', ...LMDB },
      (directory) => new LmdbLog(directory, 'durable'),
      (log) => {
        const encoded = encodedRecords(dataset)
        return (index) => log.put(encoded.at(index))
      },
    )
    .add({ name: 'raw write', role: 'limit' }, RawFile.create, (file) => {
      file.preallocate(2 * recordCount * (LENGTH_BYTES + dataset.byteCount(1)))
      const queue = new GroupCommit<BenchRecord>(async (records) => {
        file.appendAll(records)
        await file.sync()
      })
      return (index) => queue.add(dataset.at(index))
    })
  return { name: 'durable, 256 senders', contestants: withGarbage(contestants) }
}

/** The same contestants, who say what they left to collect in the words of a table. */
function withGarbage(contestants: readonly Contestant[]): readonly Contestant[] {
  return contestants.map((contestant) => ({
    ...contestant,
    async measure(directory) {
      const measurement = await contestant.measure(directory)
      const { gc, wallNs } = measurement
      const pauseNs = gc?.pauseNs ?? NaN
      const also = {
        'GC ms/s': pauseNs / NS_PER_MS / (wallNs / NS_PER_SECOND),
        'longest GC ms': (gc?.longestNs ?? NaN) / NS_PER_MS,
      }
      return { ...measurement, also }
    },
  }))
}

async function timedTurns(
  recordCount: number,
  perSecond: number | null,
  writeBatch: WriteBatch,
): Promise<Timed> {
  const batchCount = recordCount / BATCH_RECORDS
  for (let batch = 0; batch < batchCount; batch += 1) {
    writeBatch(batch)
    await turn()
  }
  const write = async (): Promise<void> => {
    const started = performance.now()
    for (let done = 0; done < batchCount;) {
      const passedMs = performance.now() - started
      const due =
        perSecond === null ? done + 1 : (passedMs * perSecond) / MS_PER_SECOND / BATCH_RECORDS
      for (; done < Math.min(due, batchCount); done += 1) writeBatch(batchCount + done)
      await (perSecond === null ? turn() : setTimeout(1))
    }
  }
  const measurement = await strainedRun(recordCount, write)
  return { measurement, writtenCount: 2 * recordCount }
}

async function timedSends(recordCount: number, send: Send): Promise<Timed> {
  const sendAll = async (from: number): Promise<void> => {
    let next = from
    const sender = async (): Promise<void> => {
      while (next < from + recordCount) {
        const index = next
        next += 1
        await send(index)
      }
    }
    await Promise.all(Array.from({ length: SENDERS }, sender))
  }
  await sendAll(0)
  const measurement = await strainedRun(recordCount, () => sendAll(recordCount))
  return { measurement, writtenCount: 2 * recordCount }
}

function strainedRun(recordCount: number, work: () => Promise<void>): Promise<Measurement> {
  return strained(recordCount, dataset.byteCount(recordCount), work)
}
