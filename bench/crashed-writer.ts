/**
 * A writer that is killed: opens a store, appends to it in batches as the store was filled, and
 * sends itself SIGKILL with everything open. Started by contestants/streambed-spread.ts for the
 * questions that open what such a process left.
 */
import { LmdbLog } from './contestants/lmdb.ts'
import { encodedRecords } from './contestants/shaped-records.ts'
import { SqliteLog } from './contestants/sqlite.ts'
import { SpreadLog, STORED_RECORDS, type CrashErrand } from './contestants/streambed-spread.ts'
import { StreambedLog } from './contestants/streambed.ts'
import { Dataset } from './runner/dataset.ts'

const BATCH_RECORDS = 50

const errand = JSON.parse(process.argv[2] ?? '{}') as CrashErrand // Written by crashedWriter.
const { directory, valueBytes, fromRecord, recordCount } = errand
const dataset = new Dataset(valueBytes)

switch (errand.contestant) {
  case 'streambed': {
    const { partition } = await StreambedLog.open(directory)
    inBatches(([from, to]) =>
      partition.append(Array.from({ length: to - from }, (_, at) => dataset.at(from + at))),
    )
    break
  }
  case 'spread': {
    const { partitions } = await SpreadLog.open(directory)
    const batch = Array.from({ length: STORED_RECORDS }, (_, at) => dataset.at(at))
    for (const partition of partitions) partition.append(batch)
    break
  }
  case 'sqlite': {
    const log = new SqliteLog(directory, 'NORMAL')
    inBatches(([from, to]) =>
      log.appendAll(Array.from({ length: to - from }, (_, at) => dataset.at(from + at))),
    )
    break
  }
  case 'lmdb': {
    const log = new LmdbLog(directory, 'written', fromRecord)
    const records = encodedRecords(dataset)
    inBatches(([from, to]) =>
      log.appendAll(Array.from({ length: to - from }, (_, at) => records.at(from + at))),
    )
  }
}
process.kill(process.pid, 'SIGKILL')

function inBatches(append: (range: readonly [from: number, to: number]) => unknown): void {
  const end = fromRecord + recordCount
  for (let from = fromRecord; from < end; from += BATCH_RECORDS) {
    append([from, Math.min(end, from + BATCH_RECORDS)])
  }
}
