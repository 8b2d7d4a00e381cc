/**
 * How long does it take to open a log that was closed cleanly, up to the first record read from its
 * middle? 1 GiB of records of 1 KiB; 64 MiB in a quick run. The process is fresh, and nothing is
 * warm but the page cache.
 *
 * Loading packages, their native parts included, is left out: streambed loads its own with the
 * first log that is opened, so an empty one is opened before. 'first log' shows what that adds. A
 * limit: opening a file and reading one record of it.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { LENGTH_BYTES, pathIn, rawStore } from './contestants/raw-file.ts'
import { SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { loadStreambed, openLog, streambedStore } from './contestants/streambed.ts'
import { loadPeers } from './contestants/peer-packages.ts'
import { Dataset, KEY_BYTES, mustEqual, touch } from './runner/dataset.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const VALUE_BYTES = 1_024
const FULL_RECORDS = 1_048_576
const QUICK_RECORDS = 65_536

/** The question. */
export const openTime: Question = {
  name: 'open-time',
  asks: 'opens a log after a clean close and reads one record from its middle',
  answer: 'time',
  cases: ({ quick }) => {
    const recordCount = quick ? QUICK_RECORDS : FULL_RECORDS
    const plan = { dataset: new Dataset(VALUE_BYTES), recordCount }
    return [
      {
        name: quick ? '64 MiB' : '1 GiB',
        contestants: [
          streambed(plan, false),
          streambed(plan, true),
          sqlite(plan),
          lmdb(plan),
          raw(plan),
        ],
      },
    ]
  },
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
}

/** Times `open`, which also reads the record at the offset given and says what `touch` says. */
async function timedOpen(
  { dataset, recordCount }: Plan,
  open: (offset: number) => number | Promise<number>,
): Promise<Measurement> {
  const offset = Math.floor(recordCount / 2)
  let seen = 0
  const measurement = await timed(1, dataset.byteCount(1), async () => {
    seen = await open(offset)
  })
  mustEqual(seen, dataset.touched(offset, offset + 1), 'the value read')
  return measurement
}

function streambed(plan: Plan, isFirstLog: boolean): Contestant {
  return {
    name: isFirstLog ? 'streambed, first log' : 'streambed',
    role: 'ours',
    store: streambedStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      if (isFirstLog) await loadStreambed()
      else await openAnother()
      let close = async (): Promise<void> => undefined
      const measurement = await timedOpen(plan, async (offset) => {
        const { log, partition } = await openLog(directory)
        close = () => log.close()
        const value = partition.get(offset)?.value
        return value === undefined || value === null ? -1 : touch(value, 0, value.length)
      })
      await close()
      return measurement
    },
  }
}

/** Opens an empty log and closes it. */
async function openAnother(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-bench-empty-'))
  const { log } = await openLog(directory)
  await log.close()
  rmSync(directory, { recursive: true })
}

function sqlite(plan: Plan): Contestant {
  return {
    name: 'sqlite',
    role: 'peer',
    store: sqliteStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      loadPeers()
      let close = (): void => undefined
      const measurement = await timedOpen(plan, (offset) => {
        const log = new SqliteLog(directory, 'NORMAL')
        close = () => log.close()
        const { value } = log.get(offset)
        return touch(value, 0, value.length)
      })
      close()
      return measurement
    },
  }
}

function lmdb(plan: Plan): Contestant {
  return {
    name: 'lmdb',
    role: 'peer',
    store: lmdbStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      loadPeers()
      let close = async (): Promise<void> => undefined
      const measurement = await timedOpen(plan, (offset) => {
        const log = new LmdbLog(directory, 'written')
        close = () => log.close()
        const bytes = log.get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      })
      await close()
      return measurement
    },
  }
}

function raw(plan: Plan): Contestant {
  return {
    name: 'raw read',
    role: 'limit',
    store: rawStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      return timedOpen(plan, (offset) => {
        const fd = openSync(pathIn(directory), 'r')
        const recordBytes = LENGTH_BYTES + KEY_BYTES + VALUE_BYTES
        const target = Buffer.alloc(recordBytes)
        readSync(fd, target, 0, recordBytes, offset * recordBytes)
        closeSync(fd)
        return touch(target, LENGTH_BYTES + KEY_BYTES, VALUE_BYTES)
      })
    },
  }
}
