/**
 * How fast are records appended in batches, when each batch has to survive a kill of the process?
 *
 * streambed: `partition.append`. SQLite: a transaction a batch, WAL, NORMAL. lmdb: a transaction a
 * batch, no sync. Limits: one raw positioned write a batch; copying the bytes and nothing else.
 */
import { LmdbLog, EncodedRecords } from './contestants/lmdb.ts'
import { FrameBuffer, RawFile } from './contestants/raw-file.ts'
import { SqliteLog } from './contestants/sqlite.ts'
import { checkLog, openLog } from './contestants/streambed.ts'
import { Dataset, mustEqual } from './runner/dataset.ts'
import type { Case, Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf, type Size } from './runner/scale.ts'
import { timedWrites, type WritePlan } from './runner/timed-writes.ts'

const KIB_10 = 10_240

/** The question. */
export const appendThroughput: Question = {
  name: 'append-throughput',
  asks: 'appends in batches, safe from a kill of the process',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).flatMap((size) =>
      // A batch of a thousand records of 10 KiB is more than anything here would write at once.
      (size.valueBytes < KIB_10 ? [1, 100, 1_000] : [1, 10, 100]).map((batchRecords) => {
        const base = batchRecords === 1 ? 100_000 : 600_000
        return caseOf(size, batchRecords, recordsFor(base, size, scale))
      }),
    ),
}

function caseOf(size: Size, batchRecords: number, recordCount: number): Case {
  const plan = { dataset: new Dataset(size.valueBytes), recordCount, batchRecords }
  return {
    name: `${size.name}, batches of ${batchRecords}`,
    contestants: [streambed(plan), sqlite(plan), lmdb(plan), raw(plan), memcpy(plan)],
  }
}

function streambed(plan: WritePlan): Contestant {
  return {
    name: 'streambed',
    role: 'ours',
    async measure(directory) {
      const open = await openLog(directory)
      const { partition } = open
      const batches = plan.dataset.batches(plan.batchRecords)
      const { measurement, writtenCount } = await timedWrites(plan, (turn) => {
        partition.append(batches[turn % batches.length] ?? [])
      })
      checkLog(open, plan.dataset, writtenCount)
      await open.log.close()
      return measurement
    },
  }
}

function sqlite(plan: WritePlan): Contestant {
  return {
    name: 'sqlite NORMAL',
    role: 'peer',
    async measure(directory) {
      const log = new SqliteLog(directory, 'NORMAL')
      const batches = plan.dataset.batches(plan.batchRecords)
      const { measurement, writtenCount } = await timedWrites(plan, (turn) => {
        log.appendAll(batches[turn % batches.length] ?? [])
      })
      log.check(plan.dataset, writtenCount)
      log.close()
      return measurement
    },
  }
}

function lmdb(plan: WritePlan): Contestant {
  return {
    name: 'lmdb noSync',
    role: 'peer',
    async measure(directory) {
      const log = new LmdbLog(directory, 'written')
      const batches = new EncodedRecords(plan.dataset).batches(plan.batchRecords)
      const { measurement, writtenCount } = await timedWrites(plan, (turn) => {
        log.appendAll(batches[turn % batches.length] ?? [])
      })
      log.check(plan.dataset, writtenCount)
      await log.close()
      return measurement
    },
  }
}

function raw(plan: WritePlan): Contestant {
  return {
    name: 'raw write',
    role: 'limit',
    async measure(directory) {
      const file = new RawFile(directory)
      const batches = plan.dataset.batches(plan.batchRecords)
      const { measurement, writtenCount } = await timedWrites(plan, (turn) => {
        file.appendAll(batches[turn % batches.length] ?? [])
      })
      file.check(plan.dataset, writtenCount)
      file.close()
      return measurement
    },
  }
}

function memcpy(plan: WritePlan): Contestant {
  return {
    name: 'memcpy',
    role: 'limit',
    async measure() {
      const frames = new FrameBuffer()
      const batches = plan.dataset.batches(plan.batchRecords)
      let copiedBytes = 0
      const { measurement, writtenCount } = await timedWrites(plan, (turn) => {
        frames.usedBytes = 0
        for (const record of batches[turn % batches.length] ?? []) frames.add(record)
        copiedBytes += frames.usedBytes
      })
      const frameBytes = plan.dataset.byteCount(writtenCount) + 4 * writtenCount
      mustEqual(copiedBytes, frameBytes, 'bytes copied')
      return measurement
    },
  }
}
