/**
 * How fast is a log cleaned of records that newer ones of their key superseded, how long does that
 * hold the event loop at a stretch, and how much memory does it take? 1 GiB of records of 100 B, of
 * a million keys in no order, in segments of 64 MiB; 64 MiB of 62,500 keys in a quick run. The
 * records and bytes counted are those before.
 *
 * streambed: `runHousekeeping`, all of it on the event loop of the process that writes and reads;
 * with a map of 16 MiB it takes several passes. SQLite: rows that are not the last of their key are
 * deleted, then VACUUM gives the space back; it answers nobody else meanwhile. Limit: reading all
 * files twice, as a cleaner does that first has to know which record is the last.
 */
import { closeSync, cpSync, mkdtempSync, openSync, readSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { loadPeers } from './contestants/peer-packages.ts'
import { SqliteKeyedLog, sqliteKeyedStore } from './contestants/sqlite-keyed.ts'
import { HousekeptLog, keyedStore, type KeyedPlan } from './contestants/streambed-housekeeping.ts'
import { Dataset } from './runner/dataset.ts'
import type { Case, Contestant, Measurement, Question } from './runner/question.ts'
import { strained } from './runner/strain.ts'

const VALUE_BYTES = 100
const MIB = 1_048_576
/** A record of 100 B takes 126 with its key and its varints. */
const FULL_RECORDS = 8_524_000
const QUICK_RECORDS = 532_000
const READ_BYTES = 262_144

/** The question. */
export const compaction: Question = {
  name: 'compaction',
  asks: 'compacts a log, beside whatever else the process does',
  answer: 'throughput',
  cases: ({ quick }) => [
    caseOf(quick ? '64 MiB, 62,500 keys' : '1 GiB, 1,000,000 keys', {
      dataset: new Dataset(VALUE_BYTES),
      recordCount: quick ? QUICK_RECORDS : FULL_RECORDS,
      keyCount: quick ? 62_500 : 1_000_000,
      segmentBytes: (quick ? 4 : 64) * MIB,
    }),
  ],
}

function caseOf(name: string, plan: KeyedPlan): Case {
  const store = keyedStore(plan)
  const contestants: readonly Contestant[] = [
    { name: 'streambed', role: 'ours', store, measure: (from) => cleaned(plan, from) },
    {
      name: 'streambed, map of 16 MiB',
      role: 'ours',
      store,
      measure: (from) => cleaned(plan, from, 16 * MIB),
    },
    {
      name: 'sqlite',
      role: 'peer',
      needs: 'better-sqlite3',
      store: sqliteKeyedStore(plan),
      measure: (from) => deletedRows(plan, from),
    },
    { name: 'files read twice', role: 'limit', store, measure: (from) => readTwice(plan, from) },
  ]
  return { name, contestants }
}

async function cleaned(
  plan: KeyedPlan,
  store: string,
  cleanerBufferBytes?: number,
): Promise<Measurement> {
  const options = cleanerBufferBytes === undefined ? {} : { cleanerBufferBytes }
  const copy = await HousekeptLog.openCopy(store, options)
  const measurement = await strainedOver(plan, () => copy.log.runHousekeeping({ force: true }))
  copy.checkCompacted(plan)
  await copy.close()
  return measurement
}

async function deletedRows(plan: KeyedPlan, store: string): Promise<Measurement> {
  loadPeers()
  const directory = mkdtempSync(join(dirname(store), 'copy-'))
  cpSync(store, directory, { recursive: true })
  const log = new SqliteKeyedLog(directory)
  const measurement = await strainedOver(plan, async () => log.compact())
  log.checkCompacted(plan)
  log.close()
  rmSync(directory, { recursive: true, force: true })
  return measurement
}

function readTwice(plan: KeyedPlan, store: string): Promise<Measurement> {
  const target = Buffer.alloc(READ_BYTES)
  const paths = readdirSync(store, { recursive: true, encoding: 'utf8' })
  const logs = paths.filter((path) => path.endsWith('.log')).map((path) => join(store, path))
  return strainedOver(plan, async () => {
    for (const path of [...logs, ...logs]) {
      const fd = openSync(path, 'r')
      for (let at = 0, count = -1; count !== 0; at += count) {
        count = readSync(fd, target, 0, READ_BYTES, at)
      }
      closeSync(fd)
    }
  })
}

function strainedOver(
  { dataset, recordCount }: KeyedPlan,
  work: () => Promise<unknown>,
): Promise<Measurement> {
  return strained(recordCount, dataset.byteCount(recordCount), work)
}
