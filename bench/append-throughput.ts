/**
 * How fast are records appended in batches, when each batch has to survive a kill of the process?
 *
 * streambed: `partition.append`. SQLite: a transaction a batch, WAL, NORMAL. lmdb: a transaction a
 * batch, no sync. classic-level: a batch each, in a thread, awaited. event-storage: a commit and a
 * flush a batch, without which its index is lost. JSON lines: one write a batch. The last two get
 * their values in base64 beforehand, lmdb and classic-level key and value in one piece: favours.
 * Limits: one raw positioned write a batch; copying the bytes and nothing else.
 */
import { CLASSIC_LEVEL, ClassicLevelLog } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog } from './contestants/event-storage.ts'
import { JSON_LINES, JsonLines } from './contestants/json-lines.ts'
import { LMDB, LmdbLog } from './contestants/lmdb.ts'
import { FrameBuffer, RawFile } from './contestants/raw-file.ts'
import { encodedRecords, jsonRecords } from './contestants/shaped-records.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Contest } from './runner/contest.ts'
import { Dataset, type BenchRecord } from './runner/dataset.ts'
import type { Case, Contestant, Question, Scale } from './runner/question.ts'
import { recordsFor, sizesOf, type Size } from './runner/scale.ts'
import { timedWrites, type WriteBatch, type WritePlan } from './runner/timed-writes.ts'

const KIB = 1_024
const KIB_10 = 10_240

/** The question. */
export const appendThroughput: Question = {
  name: 'append-throughput',
  asks: 'appends in batches, safe from a kill of the process',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf({ quick: false }).flatMap((size) =>
      batchesOf(size, scale).map((batchRecords) => {
        const base = batchRecords === 1 ? 100_000 : 600_000
        return caseOf(size, batchRecords, recordsFor(base, size, scale))
      }),
    ),
}

/** A quick run measures of the larger records what the targets name (targets.ts). */
function batchesOf({ valueBytes }: Size, { quick }: Scale): readonly number[] {
  // A batch of a thousand records of 10 KiB is more than anything here would write at once.
  if (valueBytes >= KIB_10) return quick ? [10] : [1, 10, 100]
  return quick && valueBytes >= KIB ? [100] : [1, 100, 1_000]
}

function caseOf(size: Size, batchRecords: number, recordCount: number): Case {
  const plan = { dataset: new Dataset(size.valueBytes), recordCount, batchRecords }
  return { name: `${size.name}, batches of ${batchRecords}`, contestants: appendContestants(plan) }
}

/** Everybody who appends batches. */
export function appendContestants(plan: WritePlan): readonly Contestant[] {
  const { dataset, batchRecords } = plan
  const { valueBytes } = dataset
  const writing = (write: (batch: readonly BenchRecord[]) => void): WriteBatch =>
    inTurn(dataset.batches(batchRecords), write)
  const contest = new Contest(dataset, (write: WriteBatch) => timedWrites(plan, write))
    .add({ name: 'streambed', role: 'ours' }, StreambedLog.open, ({ partition }) =>
      writing((batch) => void partition.append(batch)),
    )
    .add(
      { name: 'sqlite NORMAL', ...SQLITE },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => writing((batch) => log.appendAll(batch)),
    )
    .add(
      { name: 'lmdb noSync', ...LMDB },
      (directory) => new LmdbLog(directory, 'written'),
      (log) =>
        inTurn(encodedRecords(dataset).batches(batchRecords), (batch) => log.appendAll(batch)),
    )
    .add({ name: 'classic-level', ...CLASSIC_LEVEL }, ClassicLevelLog.create, (log) =>
      inTurn(encodedRecords(dataset).batches(batchRecords), (batch) => log.appendAll(batch)),
    )
    .add(
      { name: 'event-storage', ...EVENT_STORAGE },
      (directory) => EventStorageLog.open(directory, { valueBytes }),
      (log) =>
        inTurn(jsonRecords(dataset).batches(batchRecords), (batch) => {
          log.commitAll(batch)
          log.flush()
        }),
    )
    .add({ name: 'json lines', ...JSON_LINES }, JsonLines.open, (file) =>
      inTurn(jsonRecords(dataset).batches(batchRecords), (batch) => file.appendAll(batch)),
    )
    .add({ name: 'raw write', role: 'limit' }, RawFile.create, (file) =>
      writing((batch) => file.appendAll(batch)),
    )
    .add(
      { name: 'memcpy', role: 'limit' },
      () => new FrameBuffer(),
      (frames) =>
        writing((batch) => {
          frames.startOver()
          for (const record of batch) frames.add(record)
        }),
    )
  return contest.contestants
}

/** Writes one batch after the other, from the first again when there are no more. */
function inTurn<T>(
  batches: readonly (readonly T[])[],
  write: (batch: readonly T[]) => void | Promise<void>,
): WriteBatch {
  return (turn) => write(batches[turn % batches.length] ?? [])
}
